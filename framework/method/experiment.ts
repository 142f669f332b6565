/**
 * RLRF4Rec (arXiv 2410.05939), as a loop: an LLM writes what each user prefers, a recommender that hears the texts is the
 * reward, the best and the worst of N texts are a preference, and the LLM that was tuned on them writes again.
 * docs/method.md says what each step is; the file that a step is imported from says how it is done.
 */
import type { AdapterFiles, LlmBackend } from "../contracts/llm.js";
import type { Assembly } from "../kernel/assemble.js";
import type { Spec } from "../spec/types.js";
import { alignPolicy, warmUpPolicy } from "./align.js";
import { bestOfN, evaluate } from "./evaluate.js";
import { hearOnValidUsers, mustHear } from "./hearing.js";
import { type PolicyTexts, templateTexts } from "./infer.js";
import { divergence, type Judgement, judgeIteration, judgePolicies } from "./judge.js";
import { loadLanguageModel } from "./language-model.js";
import { requireMemoryOfRun } from "./memory.js";
import { pairTexts, type ScoredSample } from "./pairs.js";
import { alignUsers, type Policy, sampleScored, writePolicy } from "./policy.js";
import { writePairs, writeResult, writeTexts, writeUsers } from "./record.js";
import type { Hearing, IterationOutcome, Result } from "./result.js";
import { RewardModels } from "./reward.js";
import { writeWith } from "./sampler.js";
import { heldOutSamples, tunedSamples, writeSamples } from "./samples.js";
import { type RunContext, Study } from "./study.js";

export async function runExperiment(spec: Spec, parts: Assembly, context: RunContext): Promise<Result> {
  const study = await Study.prepare(spec, parts, context); // 0
  try {
    const metadata = templateTexts(study);
    const written = parts.llm === undefined ? null : await writeAndTune(study, parts.llm, metadata);
    const policies = spec.arms.includes("llm") ? (written?.policies ?? []) : [];
    const told = [...(spec.arms.includes("metadata") || policies.length === 0 ? [metadata] : []), ...policies];
    const hearing = written?.hearing ?? [await study.timed("hear", () => hearOnValidUsers(study, told.at(-1) ?? metadata))];
    await writeUsers(study);
    await writeTexts(study, told);
    const { arms, valid, tests } = await study.timed("evaluate", () => evaluate(study, told)); // 9
    return await writeResult(study, {
      arms: { ...arms, ...written?.upperReference },
      valid,
      tests: [...tests, ...(written?.judgement.tests ?? [])],
      hearing,
      llm: written?.judgement.figures ?? {},
      iterations: written?.iterations ?? [],
    });
  } finally {
    await study.close();
  }
}

interface Written {
  /** llm-0, llm-warm, llm-1, … in the order in which they were made. */
  readonly policies: readonly Policy[];
  readonly hearing?: readonly Hearing[];
  readonly iterations: readonly IterationOutcome[];
  /** How good the policies' sampled texts are. */
  readonly judgement: Judgement;
  readonly upperReference: Result["arms"];
}

/** Steps 1 to 8. */
async function writeAndTune(study: Study, llm: LlmBackend, metadata: PolicyTexts): Promise<Written> {
  const rewards: RewardModels[] = [];
  try {
    return await iterate(study, llm, metadata, rewards);
  } finally {
    for (const reward of rewards) reward.dispose();
  }
}

/** @param rewards takes reward models that the caller disposes: those of the first iteration and of the last */
async function iterate(study: Study, llm: LlmBackend, metadata: PolicyTexts, rewards: RewardModels[]): Promise<Written> {
  const users = alignUsers(study);
  await study.timed("language model", () => loadLanguageModel(study, llm));
  const { tuning } = study; // a policy can be asked for only now
  requireMemoryOfRun(study);
  const write = (name: string, adapter: AdapterFiles | null) =>
    study.timed("infer", () => writePolicy(study, name, adapter, users.heldOut)); // 1
  const policies = [await write("llm-0", null)];
  if (tuning === null) return { policies, iterations: [], judgement: { figures: {}, tests: [] }, upperReference: {} };

  if (tuning.alignment.warmup !== null) {
    const warm = await study.timed("warm-up", () => warmUpPolicy(study, tuning, users.tuned));
    policies.push(await write("llm-warm", warm));
  }
  const hearing: Hearing[] = [];
  const iterations: IterationOutcome[] = [];
  let samples: ReadonlyMap<number, readonly ScoredSample[]> = new Map();
  let previous = policies[0] as Policy; // what came before the policy that is tuned, whatever was rejected since
  for (let iteration = 1; iteration <= tuning.alignment.iterations; iteration++) {
    const current = policies.at(-1) as Policy;
    const own = { greedy: current, previous };
    const heard = tuning.alignment.hears === "template" ? metadata : current;
    for (const passed of rewards.splice(1)) passed.dispose();
    const reward = await study.timed("recommend", () => RewardModels.fit(study, tuning.reward, heard, rewards[0])); // 2, 3
    rewards.push(reward);
    hearing.push(await study.timed("hear", () => mustHear(study, reward, heard.name)));
    samples = await study.timed("sample", () => sampleScored(study, tuning, users.tuned, reward, iteration, own)); // 4, 5
    const pairing = pairTexts(samples, tuning.sampling, tuning.alignment, study.llmSeed + iteration); // 6
    await writePairs(study, iteration, pairing);

    const before = await tuning.policy.adapter();
    const { adapter, outcome } = await study.timed("align", () => alignPolicy(study, tuning, pairing, iteration)); // 7
    const next = await write(`llm-${iteration}`, adapter); // 8
    const kl = await study.timed("judge", () => divergence(study, tuning, next.heldOut, before));
    const judged = await study.timed("judge", () => judgeIteration(study, reward, tuning.alignment, current.heldOut, next.heldOut));
    const { reason, ...verdict } = judged.verdict;
    await writeSamples(study, iteration, [
      tunedSamples(current.name, samples),
      heldOutSamples("before", current, judged.rewards.before),
      heldOutSamples("after", next, judged.rewards.after),
    ]);
    policies.push(verdict.accepted ? next : { ...current, name: next.name });
    iterations.push({ iteration, ...verdict, pairs: pairing.counts, kl, ...outcome });
    if (verdict.accepted) previous = current;
    if (reason !== null) {
      study.rejected(iteration, reason);
      tuning.policy.restore(before);
      await writeWith(study, current.adapter);
      if (tuning.alignment.onReject === "stop") break;
    }
  }
  const referee = rewards[0] as RewardModels; // one for all policies, so that their figures can be compared
  const judgement = await study.timed("judge", () => judgePolicies(study, referee, policies));
  const upperReference = await bestOfN(study, rewards.at(-1) as RewardModels, samples);
  return { policies, hearing, iterations, judgement, upperReference };
}
