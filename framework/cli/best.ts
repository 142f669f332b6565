/** `rlrf best [RUN…]`: which run, or which point of a sweep, is best on users who are not tested. */
import type { Best, Candidate } from "../compare/best.js";
import { jsonOption, type Register, sourceOptions } from "./command.js";
import { number } from "./result-text.js";
import { createLogger, onOutput, plain, print, printJson, table } from "./terminal.js";

interface BestOptions {
  readonly runs: string;
  readonly from?: string;
  readonly experiment?: string;
  readonly metric?: string;
  readonly json?: boolean;
}

const shownAtMost = 20;

export const register: Register = (program) => {
  const command = program
    .command("best")
    .description("rank runs, or the points of a sweep, by a metric on valid or held-out users; test users are shown and choose nothing")
    .argument("[run...]", "runs or a sweep; all runs when none is given")
    .option(
      "--metric <name>",
      "reward (of held-out users), ndcg@5 or ARM/ndcg@5 (of valid users); else the sweep's own, or the first of the runs",
    );
  jsonOption(sourceOptions(command)).action(best);
};

async function best(names: readonly string[], { metric, json = false, ...options }: BestOptions): Promise<void> {
  const { openRuns } = await import("../compare/open.js");
  const { bestOf } = await import("../compare/best.js");
  const { testFigure } = await import("../compare/listed-run.js");
  const { parseSelection, selectionText } = await import("../sweep/selection.js");
  const { valueText } = await import("../sweep/expand.js");
  const source = await openRuns(options, createLogger());
  try {
    const ranking = await bestOf(source, names, metric);
    if (json) return printJson(ranking);
    const by = selectionText(parseSelection(ranking.metric));
    const row = ({ id, values, selection, runs }: Candidate) => [
      plain(id),
      plain(
        Object.entries(values)
          .map(([pointer, value]) => `${pointer} = ${valueText(value)}`)
          .join(", "),
      ),
      number(selection ?? undefined),
      runs.map((run) => number(testFigure(run)?.value)).join(", "),
    ];
    const first = ranking.candidates[0]?.runs[0];
    const test = first === undefined ? null : testFigure(first);
    const head = ["", "", by, test === null ? "test users" : `${test.metric} of ${test.arm} on test users`];
    print(table([head, ...ranking.candidates.slice(0, shownAtMost).map(row)]));
    if (ranking.candidates.length > shownAtMost) print(`and ${ranking.candidates.length - shownAtMost} more (--json shows all)`);
    print(`\n${verdict(ranking, by)}`);
  } finally {
    await source.close();
  }
}

function verdict({ best, tied }: Best, by: string): string {
  if (best === null) return `none has the ${by}`;
  if (tied.length > 0) return `tied  ${[best.id, ...tied].map(plain).join(", ")}: none of them is better than the others`;
  return [`best  ${onOutput.bold(plain(best.id))}`, ...best.runs.map(({ at }) => `      ${plain(at)}`)].join("\n");
}
