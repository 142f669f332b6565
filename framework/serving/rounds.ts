/** Whom the recommenders that are promoted have learnt from. */
import type { PreparedData, Round } from "../contracts/dataset.js";
import type { Chosen } from "./model.js";

/** @returns the round and its number. A refit learns from everybody whom the run evaluated, but for those that stop it. */
export function roundOf({ parts: { evaluate } }: PreparedData, users: Chosen["users"]): [Round, number] {
  if (users !== "refit") return [evaluate[users === "split" ? 0 : users] as Round, users === "split" ? 0 : users];
  const { train, valid, test } = evaluate[0] as Round;
  return [{ train: Int32Array.from([...train, ...test]).sort(), valid, test: new Int32Array() }, evaluate.length];
}
