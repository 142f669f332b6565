import { RlrfError } from "../errors.js";

/** Where the server itself serves a file. @param uri of a folder of artifacts @throws RLRF_TRACK_ARTIFACTS */
export function artifactPath(uri: string, path: string, whose: string): string {
  if (!uri.startsWith("mlflow-artifacts:"))
    throw new RlrfError("RLRF_TRACK_ARTIFACTS", {
      message: `${whose} keeps its artifacts at ${uri.split(":")[0]}:, which the server does not serve`,
      expected: "a server started with --artifacts-destination (mlflow-artifacts:)",
      hint: "metrics and params were logged; the artifacts are in the run folder",
    });
  const root = new URL(uri).pathname.replace(/^\/+/, "");
  return `mlflow-artifacts/artifacts/${root}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
