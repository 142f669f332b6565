/** What a run reported of the very recommenders that are promoted. */
import { join } from "node:path";
import { readArm } from "../compare/read-run.js";
import { mean } from "../metrics/aggregate.js";
import { type ScoredLists, userValues } from "../method/figures.js";
import { listsOf } from "../method/recommender.js";
import type { Study } from "../method/study.js";
import type { Chosen, ModelDescription } from "./model.js";
import { roundOf } from "./rounds.js";
import { type EndedRun, unpromotable } from "./run.js";

export async function figuresOf(study: Study, run: EndedRun, chosen: Chosen): Promise<ModelDescription["figures"]> {
  const scored = await runScores(study, run, chosen);
  const metrics = study.spec.protocol.metrics;
  const model = scored && Object.fromEntries(metrics.map((metric) => [metric, mean(userValues(study, [scored], metric))]));
  return { arms: run.result.arms, model };
}

/**
 * Scores of the test lists of the chosen recommenders, from scores/ARM.jsonl; of several their mean, which is what they are served as.
 * @returns null for recommenders that the run did not have @throws RLRF_PROMOTE_RUN
 */
export async function runScores(study: Study, run: EndedRun, { arm, seeds, users }: Chosen): Promise<ScoredLists | null> {
  if (users === "refit") return null;
  const { data } = study;
  const path = join(run.folder, "scores", `${arm}.jsonl`);
  const { scores } = await readArm(path);
  const [round, fold] = roundOf(data, users);
  const lists = listsOf(data, round.test);
  // A seed's lines are those of its folds in turn.
  const before = data.parts.evaluate.slice(0, fold).reduce((sum, { test }) => sum + listsOf(data, test).length, 0);
  const total = new Float32Array(lists.length * data.lists.length);
  for (const seed of seeds) {
    const own = scores.bySeed.get(seed);
    const named = Array.from(lists, (list) => data.users[data.lists.user[list] as number]?.id);
    if (own === undefined || named.some((id, row) => own.users[before + row] !== id))
      throw unpromotable(path, `its lines of seed ${seed} are not those of the run's test users`, "run the spec again");
    for (let i = 0; i < total.length; i++)
      total[i] = (total[i] as number) + (own.scores[before * data.lists.length + i] as number) / seeds.length;
  }
  return { seed: seeds[0] as number, lists, scores: total };
}
