import { plugin, type Reward, type RewardBatch } from "rlrf4rec";

@plugin({
  kind: "reward",
  name: "structure",
  version: "1.0.0",
  summary: "Share of the asked aspects that a text answers exactly once, whatever it says; best as a part of `weighted`",
  source: "RLRF4Rec, arXiv 2410.05939: response to instructions, as the structure rate",
  pure: true,
  reads: "structure",
})
export class Structure implements Reward {
  readonly needs = [] as const;
  readonly reads = "structure";
  /** The largest of a share: calibration texts may all keep the structure (those of the template do). */
  readonly spread = 0.5;

  reward({ texts }: RewardBatch): Float64Array {
    return Float64Array.from(texts, ({ structureRate }) => structureRate);
  }
}
