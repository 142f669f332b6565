/** The page of `rlrf report`: reads the data that stand in it and draws. */
import { armsSection } from "./arms.js";
import type { ReportData, RunView } from "./data.js";
import { type Child, h, replace, select } from "./dom.js";
import { restart } from "./figure.js";
import { curvesSection } from "./curves.js";
import { count } from "./format.js";
import { hearingSection } from "./hearing.js";
import { provenanceSection } from "./provenance.js";
import { rewardsSection } from "./rewards.js";
import { abstract } from "./summary.js";
import { pairsSection, secondsSection, structureSection } from "./texts.js";
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
  { id: "hearing", title: "Hearing test", content: hearingSection },
  { id: "rewards", title: "Rewards", content: rewardsSection },
  { id: "learning", title: "Learning", content: curvesSection },
  { id: "texts", title: "Texts and pairs", content: (run) => [...structureSection(run), ...pairsSection(run)] },
  { id: "users", title: "Users", content: usersSection },
  { id: "time", title: "Time", content: secondsSection },
  { id: "provenance", title: "Provenance", content: provenanceSection },
];

function page(): void {
  const root = document.getElementById("page") as HTMLElement;
  const [first] = data.runs;
  if (first === undefined) return;
  const body = h("div", { class: "sections" });
  const show = (run: RunView) => {
    restart();
    const shown = sections.map((section) => ({ ...section, content: section.content(run) })).filter(({ content }) => content.length > 0);
    const links = shown.map(({ id, title }) => h("li", {}, h("a", { href: `#${id}` }, title)));
    replace(
      body,
      h("h1", {}, run.title),
      h("p", { class: "subtitle" }, subtitle(run)),
      abstract(run),
      h("nav", { "aria-label": "Sections" }, h("ol", {}, ...links)),
      ...shown.map(({ id, title, content }) =>
        h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), ...content),
      ),
    );
  };
  const names = data.runs.map(({ name }, i) => [String(i), name] as const);
  const chooser =
    data.runs.length < 2
      ? null
      : h(
          "div",
          { class: "controls" },
          select("Run", names, "0", (value) => show(data.runs[Number(value)] ?? first)),
        );
  root.append(h("header", {}, h("div", { class: "top" }, h("p", { class: "kind" }, "RLRF4Rec run"), themeButton()), chooser ?? ""), body);
  show(first);
}

function subtitle({ name, facts, tested, users }: RunView): string {
  const fact = (wanted: string) => facts.find(([known]) => known === wanted)?.[1];
  const parts = [name, fact("ended")?.slice(0, 10), fact("engine"), `${count(tested)} users tested`, `${count(users.count)} to look at`];
  return parts.filter((part) => part !== undefined && part !== "").join("  ·  ");
}

page();
