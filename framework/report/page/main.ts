/** The page of `rlrf report`: reads the data that stand in it and draws. */
import { armsSection } from "./arms.js";
import type { ReportData, RunView } from "./data.js";
import { type Child, h, replace, select } from "./dom.js";
import { themeButton } from "./theme.js";
import { usersSection } from "./users.js";

const data = JSON.parse(document.getElementById("report")?.textContent ?? "null") as ReportData;

interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: (run: RunView) => readonly Child[];
}

const sections: readonly Section[] = [
  { id: "arms", title: "Arms", content: armsSection },
  { id: "users", title: "Users", content: usersSection },
];

function page(): void {
  const root = document.getElementById("page") as HTMLElement;
  const body = h("div", { class: "sections" });
  const show = (run: RunView) => {
    const shown = sections
      .map(({ id, title, content }) => ({ id, title, content: content(run) }))
      .filter(({ content }) => content.length > 0);
    replace(
      body,
      h("nav", { "aria-label": "Sections" }, h("ol", {}, ...shown.map(({ id, title }) => h("li", {}, h("a", { href: `#${id}` }, title))))),
      ...shown.map(({ id, title, content }) =>
        h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), ...content),
      ),
    );
  };
  const [first] = data.runs;
  if (first === undefined) return;
  const chooser =
    data.runs.length < 2
      ? null
      : select(
          "Run",
          data.runs.map(({ name }, i) => [String(i), name]),
          "0",
          (value) => show(data.runs[Number(value)] ?? first),
        );
  root.append(
    h("header", {}, h("div", { class: "top" }, h("p", { class: "kind" }, "RLRF4Rec run"), themeButton()), h("h1", {}, first.title)),
    h("div", {}, chooser),
    body,
  );
  show(first);
}

page();
