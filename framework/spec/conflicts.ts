/** What the sections of a spec ask of each other, as far as the spec alone tells. */
import { aspectKey } from "./aspects.js";
import type { SoundSections } from "./sound.js";
import type { Arm, Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

interface Rule {
  readonly pointer: string;
  readonly broken: boolean;
  readonly message: string;
  readonly expected: string;
}

const tolerance = 1e-9;

/** @param spec may have faults: of the sections that are not sound only their presence is read */
export function conflicts(spec: Spec, { sound }: SoundSections): readonly PlainFault[] {
  const rules = [
    ...(sound("protocol") ? [...protocolRules(spec), ...metricRules(spec)] : []),
    ...(sound("arms") ? armRules(spec) : []),
    ...sectionRules(spec),
    ...(sound("prompt") ? promptRules(spec) : []),
  ];
  return rules
    .filter(({ broken }) => broken)
    .map(({ pointer, message, expected }) => ({ code: "RLRF_SPEC_CONFLICT", pointer, message, expected }));
}

function protocolRules({ protocol, alignment }: Spec): readonly Rule[] {
  const sum = protocol.split.reduce((a, b) => a + b, 0);
  const tuned = alignment !== undefined;
  return [
    {
      pointer: "/protocol/split",
      broken: Math.abs(sum - 1) > tolerance,
      message: `the shares of protocol.split sum to ${Number(sum.toFixed(6))}`,
      expected: "a sum of 1",
    },
    {
      pointer: "/protocol/split",
      broken: protocol.folds === 0 && protocol.split.some((share) => share === 0),
      message: "protocol.split leaves a part without users",
      expected: "train, valid and test shares above 0",
    },
    {
      pointer: "/protocol/align",
      broken: protocol.folds > 0 && tuned && protocol.align === 0,
      message: "with protocol.folds every user is tested, so none is left to tune on",
      expected: "protocol.align above 0, or protocol.folds = 0",
    },
    {
      pointer: "/protocol/align",
      broken: protocol.folds === 0 && protocol.align > 0,
      message: "protocol.align has no effect without protocol.folds",
      expected: "protocol.folds of 2 or more, or protocol.align = 0",
    },
    {
      pointer: "/protocol/stride",
      broken: (protocol.stride ?? 0) > protocol.history,
      message: `with steps of ${protocol.stride} and sequences of ${protocol.history} some interactions are never learnt`,
      expected: "protocol.stride of at most protocol.history",
    },
    {
      pointer: "/protocol/positives",
      broken: protocol.positives >= protocol.listLength,
      message: `${protocol.positives} of ${protocol.listLength} candidates come from the user, which leaves no negative`,
      expected: "protocol.positives below protocol.listLength",
    },
  ];
}

function metricRules({ protocol }: Spec): readonly Rule[] {
  return protocol.metrics.map((metric, i) => ({
    pointer: `/protocol/metrics/${i}`,
    broken: Number(metric.split("@")[1]) > protocol.listLength,
    message: `${metric} looks further than a list of ${protocol.listLength}`,
    expected: "a cut-off of at most protocol.listLength",
  }));
}

const armNeeds: Readonly<Partial<Record<Arm, readonly ("llm" | "sampling" | "alignment")[]>>> = {
  llm: ["llm", "sampling"],
  "best-of-N": ["llm", "sampling", "alignment"],
};

function armRules(spec: Spec): readonly Rule[] {
  return spec.arms.flatMap((arm, i) =>
    (armNeeds[arm] ?? []).map((section) => ({
      pointer: `/arms/${i}`,
      broken: spec[section] === undefined,
      message: `the arm "${arm}" needs the section "${section}", which the spec does not have`,
      expected: `a section "${section}", or no arm "${arm}"`,
    })),
  );
}

/** Which sections ask for which others, whatever stands in them. */
function sectionRules(spec: Spec): readonly Rule[] {
  const needed = ["llm", "reward", "sampling", "loss", "tuner"] as const;
  return [
    {
      pointer: "/llm",
      broken: spec.llm !== undefined && spec.sampling === undefined,
      message: 'the llm needs the section "sampling": it says how long a text may be and how it is drawn',
      expected: 'a section "sampling", or no "llm"',
    },
    ...needed.map((section) => ({
      pointer: "/alignment",
      broken: spec.alignment !== undefined && spec[section] === undefined,
      message: `alignment needs the section "${section}", which the spec does not have`,
      expected: `a section "${section}", or no "alignment"`,
    })),
    ...(["loss", "tuner"] as const).map((section) => ({
      pointer: `/${section}`,
      broken: spec[section] !== undefined && spec.alignment === undefined,
      message: `the ${section} has no effect without alignment`,
      expected: `a section "alignment", or no "${section}"`,
    })),
    ...(["sampling", "reward"] as const).map((section) => ({
      pointer: `/${section}`,
      broken: spec[section] !== undefined && spec.llm === undefined,
      message: `${section} has no effect without an LLM`,
      expected: `a section "llm", or no "${section}"`,
    })),
  ];
}

function promptRules({ prompt }: Spec): readonly Rule[] {
  const keys = prompt.aspects.map(({ name }) => aspectKey(name));
  return prompt.aspects.map(({ name }, i) => ({
    pointer: `/prompt/aspects/${i}/name`,
    broken: keys.indexOf(aspectKey(name)) < i,
    message: `the aspect "${name}" is asked for twice`,
    expected: "each aspect once",
  }));
}
