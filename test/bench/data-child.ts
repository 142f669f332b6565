/** Prepares so many synthetic interactions in a process of its own, and prints what it took: `node data-child.js MILLIONS`. */
import { prepare } from "../../framework/data/prepare.js";
import { Synthetic, type SyntheticOptions } from "../../plugins/datasets/synthetic.js";
import { peakMemory } from "./peak-memory.js";
import { defaultsOf } from "./workload.js";

/** 160,000 users and 60,000 items make 25 million. */
const [usersAMillion, itemsAMillion] = [6_400, 2_400];
const interactionsAUser = [131, 181] as const; // 156.25 on average make a million of 6,400 users

const millions = Number(process.argv[2]);
const dataset = new Synthetic({
  ...(defaultsOf(Synthetic) as SyntheticOptions),
  users: usersAMillion * millions,
  items: itemsAMillion * millions,
  interactions: interactionsAUser,
});
const protocol = {
  window: 30,
  history: 50,
  listLength: 10,
  positives: 4,
  ties: "expected",
  seed: 7,
  split: [0.8, 0.1, 0.1],
  align: 0,
  folds: 0,
  metrics: ["ndcg@5"],
} as const;
const begun = performance.now();
const { counts } = await prepare(dataset, protocol, { folds: 2 });
const seconds = (performance.now() - begun) / 1000;
const { userCPUTime, systemCPUTime } = process.resourceUsage();
console.log(JSON.stringify({ seconds, processor: (userCPUTime + systemCPUTime) / 1e6, bytes: peakMemory(), counts }));
