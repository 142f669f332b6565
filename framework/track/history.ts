import type { Entry } from "./batches.js";
import type { MlflowClient, MlflowMetric, MlflowRun } from "./mlflow.js";

/**
 * What a run that was found on the server has of each metric. MLflow would drop a second copy of a point itself, but takes a minute
 * for some thousand of them; and a server on plain files would keep it.
 */
export class MetricHistory {
  private readonly names: ReadonlySet<string>;
  private readonly points = new Map<string, ReadonlySet<string>>();

  constructor(
    private readonly client: MlflowClient,
    private readonly run: MlflowRun,
  ) {
    this.names = new Set((run.data.metrics ?? []).map(({ key }) => key));
  }

  /** The entries without the points that are there. */
  async without(entries: readonly Entry[]): Promise<Entry[]> {
    const news: Entry[] = [];
    for (const entry of entries) {
      if (entry.kind !== "metrics" || !(await this.has(entry.value))) news.push(entry);
    }
    return news;
  }

  private async has(metric: MlflowMetric): Promise<boolean> {
    if (!this.names.has(metric.key)) return false;
    let points = this.points.get(metric.key);
    if (points === undefined) {
      points = new Set((await this.client.metricHistory(this.run.info.run_id, metric.key)).map(pointOf));
      this.points.set(metric.key, points);
    }
    return points.has(pointOf(metric));
  }
}

/** MLflow keeps infinities as the largest doubles. */
function pointOf({ timestamp, step, value }: MlflowMetric): string {
  const number = Number(value);
  return `${Number(timestamp)} ${Number(step)} ${Math.abs(number) === Number.POSITIVE_INFINITY ? Math.sign(number) * Number.MAX_VALUE : number}`;
}
