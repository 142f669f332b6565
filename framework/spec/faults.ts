/** What is wrong with a spec: all of it at once. */
import { type ErrorCode, type Fault, formatFault, RlrfError } from "../errors.js";

export interface SpecFault extends Fault {
  readonly code: ErrorCode;
  /** JSON pointer into the spec; "" is the whole. */
  readonly pointer: string;
}

/** Its code is the fault's own when there is one, and RLRF_SPEC_FAULTS when there are several. */
export class SpecFaults extends RlrfError {
  constructor(
    source: string,
    readonly faults: readonly SpecFault[],
  ) {
    super(...summary(source, faults));
  }
}

function summary(source: string, faults: readonly SpecFault[]): [ErrorCode, Fault] {
  const [first, ...others] = faults;
  if (first !== undefined && others.length === 0) return [first.code, first];
  const blocks = faults.map((fault) => formatFault(fault.code, fault));
  return ["RLRF_SPEC_FAULTS", { message: `${faults.length} faults in ${source}\n\n${blocks.join("\n\n")}` }];
}
