import { RlrfError } from "../errors.js";
import { nearest } from "../spec/nearest.js";

/** Of many runs, so many are named. */
const shownAtMost = 10;

/** The one way to say that there is no such run. @param known names of those that there are, the likeliest first */
export function unknownRun(name: string, place: string, known: readonly string[]): RlrfError {
  const begun = known.filter((other) => other.startsWith(name)); // the spec's name without the hash
  const meant = begun.length > 0 && name !== "" ? begun.slice(0, 3) : [nearest(name, known)].filter((one) => one !== undefined);
  const more = known.length - shownAtMost;
  return new RlrfError("RLRF_RUN_UNKNOWN", {
    message: `there is no run ${JSON.stringify(name)}`,
    where: place,
    expected:
      known.length === 0
        ? "a run, of which there is none here"
        : `one of ${known.slice(0, shownAtMost).join(", ")}${more > 0 ? `, and ${more} more` : ""}`,
    hint: `${meant.length === 0 ? "" : `did you mean ${meant.join(" or ")}? `}\`rlrf runs\` lists them; --runs names another folder`,
  });
}
