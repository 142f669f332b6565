/** The page of `rlrf report`: reads the data that stand in it and draws. */
import { armsSection } from "./arms.js";
import type { ReportData, RunView } from "./data.js";
import { type Child, h, replace, select } from "./dom.js";
import { drawForPrint, restart } from "./figure.js";
import { comparisonSection, letterOf } from "./compare.js";
import { curvesSection } from "./curves.js";
import { count } from "./format.js";
import { hearingSection } from "./hearing.js";
import { provenanceSection } from "./provenance.js";
import { rewardsSection } from "./rewards.js";
import { abstract } from "./summary.js";
import { sweepSection } from "./sweep.js";
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
  const { runs, sweep } = data;
  const head = h(
    "div",
    { class: "top" },
    h("p", { class: "kind" }, sweep === null ? (runs.length > 1 ? "RLRF4Rec runs" : "RLRF4Rec run") : "RLRF4Rec sweep"),
    themeButton(),
  );
  const body = h("div", { class: "sections" });
  const [first] = runs;
  const show = (run: RunView) => replace(body, ...(sweep === null && runs.length < 2 ? runElements(run) : overview(run, show)));
  root.append(h("header", {}, head), body);
  if (first === undefined) replace(body, ...overview(null, show));
  else show(first);
}

/** One run: its sentences first. */
function runElements(run: RunView): Child[] {
  restart();
  const shown = shownOf(run);
  return [
    h("h1", {}, run.title),
    h("p", { class: "subtitle" }, subtitle(run)),
    abstract(run),
    navigation(shown),
    ...shown.map(sectionElement),
  ];
}

/** A sweep, or runs side by side; below, one run of them. */
function overview(run: RunView | null, show: (run: RunView) => void): Child[] {
  restart();
  const { runs, sweep } = data;
  const first: Shown[] = [
    ...(sweep === null ? [] : [{ id: "sweep", title: "Sweep", content: sweepSection(sweep) }]),
    ...(runs.length < 2 ? [] : [{ id: "runs", title: "Runs side by side", content: comparisonSection(data) }]),
  ];
  const below = run === null ? [] : shownOf(run);
  const names = runs.map(({ name }, i) => [String(i), `${letterOf(i)}  ${name}`] as const);
  const choose = (value: string) => {
    const chosen = runs[Number(value)];
    if (chosen !== undefined) show(chosen);
    document.getElementById("one-run")?.querySelector("select")?.focus();
  };
  const title = sweep?.name ?? `${runs.length} runs side by side`;
  return [
    h("h1", {}, title),
    navigation([...first, ...below]),
    ...first.map(sectionElement),
    ...(run === null
      ? []
      : [
          h(
            "section",
            { id: "one-run", "aria-label": "One run" },
            h("p", { class: "kind" }, "One run"),
            h("h2", { class: "run-title" }, run.title),
            names.length < 2 ? null : h("div", { class: "controls" }, select("Run", names, String(runs.indexOf(run)), choose)),
            h("p", { class: "subtitle" }, subtitle(run)),
            abstract(run),
          ),
        ]),
    ...below.map(sectionElement),
  ];
}

interface Shown {
  readonly id: string;
  readonly title: string;
  readonly content: readonly Child[];
}

function shownOf(run: RunView): Shown[] {
  return sections.map((section) => ({ ...section, content: section.content(run) })).filter(({ content }) => content.length > 0);
}

function navigation(shown: readonly Shown[]): HTMLElement {
  return h(
    "nav",
    { "aria-label": "Sections" },
    h("ol", {}, ...shown.map(({ id, title }) => h("li", {}, h("a", { href: `#${id}`, onclick: (event: Event) => go(event, id) }, title)))),
  );
}

/** A sandboxed frame does not follow links to its own fragments. */
function go(event: Event, id: string): void {
  event.preventDefault();
  const title = document.getElementById(`${id}-title`);
  title?.closest("section")?.scrollIntoView();
  title?.focus({ preventScroll: true });
}

function sectionElement({ id, title, content }: Shown): HTMLElement {
  return h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title`, tabindex: -1 }, title), ...content);
}

function subtitle({ name, facts, tested, users }: RunView): string {
  const fact = (wanted: string) => facts.find(([known]) => known === wanted)?.[1];
  const parts = [name, fact("ended")?.slice(0, 10), fact("engine"), `${count(tested)} users tested`, `${count(users.count)} to look at`];
  return parts.filter((part) => part !== undefined && part !== "").join("  ·  ");
}

page();
drawForPrint();
