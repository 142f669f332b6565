/** How many lists a reward has the recommender rank, by what the registry says that it and the rewards within it need. */
import type { Registry } from "../kernel/registry.js";
import { type NamedPlugin, namedPlugins, needs, partsOf } from "../spec/named-plugins.js";
import type { Spec } from "../spec/types.js";
import { numberOf } from "./estimate.js";

/** Rankings a list of its user, those for other users and with a neutral text included. */
export interface Rankings {
  /** Of a text that is scored. */
  readonly scored: number;
  /** Of a text that the reward is calibrated by: one of each listener, every time that texts are scored. */
  readonly calibration: number;
}

export function rankingsOf(spec: Spec, registry: Registry): Rankings {
  const rewards = namedPlugins(spec, registry).filter(({ entry }) => entry.kind === "reward");
  const [outer] = rewards;
  if (outer === undefined || !ranks(outer)) return { scored: 0, calibration: 0 };
  const each = rewards.some((reward) => needs(reward, "neutral")) ? 2 : 1;
  const others = othersOf(outer);
  return {
    scored: each * (1 + others.scored),
    calibration: rewards.some((reward) => needs(reward, "calibration")) ? each * (1 + others.calibration) : 0,
  };
}

function ranks(reward: NamedPlugin): boolean {
  const parts = partsOf(reward);
  return parts.length === 0 ? reward.entry.reads === undefined : parts.some(ranks);
}

/** Other users whom it asks for; a reward that compares with a neutral text asks the one within it twice. */
function othersOf(reward: NamedPlugin): Rankings {
  const within = partsOf(reward).map(othersOf);
  const times = needs(reward, "neutral") ? 2 : 1;
  const sum = (of: keyof Rankings) => within.reduce((total, others) => total + times * others[of], 0);
  return {
    scored: sum("scored") + (needs(reward, "others") ? numberOf(reward.reference.options.users, 0) : 0),
    calibration: sum("calibration") + (needs(reward, "calibration") ? sum("scored") : 0),
  };
}
