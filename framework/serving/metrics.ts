/** What a server counts, in Prometheus' text form (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4). */

/** Upper bounds, seconds. */
const buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

type Labels = Readonly<Record<string, string>>;

class Counter {
  private readonly values = new Map<string, number>();

  constructor(
    private readonly name: string,
    private readonly help: string,
  ) {}

  add(labels: Labels): void {
    const series = `${this.name}${written(labels)}`;
    this.values.set(series, (this.values.get(series) ?? 0) + 1);
  }

  *lines(): Generator<string> {
    yield* head(this.name, "counter", this.help);
    for (const [series, value] of this.values) yield `${series} ${value}`;
  }
}

class Histogram {
  private readonly series = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number; count: number }>();

  constructor(
    private readonly name: string,
    private readonly help: string,
  ) {}

  observe(labels: Labels, seconds: number): void {
    const key = written(labels);
    const own = this.series.get(key) ?? { labels, counts: buckets.map(() => 0), sum: 0, count: 0 };
    this.series.set(key, own);
    own.sum += seconds;
    own.count++;
    for (const [i, bound] of buckets.entries()) if (seconds <= bound) own.counts[i] = (own.counts[i] as number) + 1;
  }

  *lines(): Generator<string> {
    yield* head(this.name, "histogram", this.help);
    for (const [key, { labels, counts, sum, count }] of this.series) {
      for (const [i, bound] of buckets.entries()) yield `${this.name}_bucket${written({ ...labels, le: String(bound) })} ${counts[i]}`;
      yield `${this.name}_bucket${written({ ...labels, le: "+Inf" })} ${count}`;
      yield `${this.name}_sum${key} ${sum}`;
      yield `${this.name}_count${key} ${count}`;
    }
  }
}

export class Metrics {
  private readonly requests = new Counter("rlrf_requests_total", "Requests answered, by route and status.");
  private readonly seconds = new Histogram("rlrf_request_seconds", "From a request's arrival to the end of its answer.");
  private readonly errors = new Counter("rlrf_errors_total", "Requests refused or failed, by code.");
  private readonly texts = new Counter("rlrf_texts_total", "Lists ranked, by where the user's text came from.");

  /** @param info of the model; @param gauges asked for at each reading */
  constructor(
    private readonly info: () => Labels,
    private readonly gauges: () => Readonly<Record<string, number>>,
  ) {}

  answered(route: string, status: number, seconds: number): void {
    this.requests.add({ route, status: String(status) });
    this.seconds.observe({ route }, seconds);
  }
  failed(code: string): void {
    this.errors.add({ code });
  }
  heard(from: string): void {
    this.texts.add({ from });
  }

  text(more: Readonly<Record<string, number>>): string {
    const lines = [this.requests, this.seconds, this.errors, this.texts].flatMap((metric) => [...metric.lines()]);
    lines.push(...head("rlrf_model_info", "gauge", "The model that is served."), `rlrf_model_info${written(this.info())} 1`);
    for (const [name, value] of Object.entries({ ...more, ...this.gauges(), ...ofProcess() }))
      lines.push(...head(name, name.endsWith("_total") ? "counter" : "gauge", helps[name] ?? name), `${name} ${value}`);
    return `${lines.join("\n")}\n`;
  }
}

const helps: Readonly<Record<string, string>> = {
  rlrf_requests_pending: "Requests being answered.",
  rlrf_tensors: "Tensors on the engine: the same between any two requests.",
  rlrf_texts_waiting: "Texts that the LLM is to write.",
  process_resident_memory_bytes: "Memory of the process.",
  process_cpu_seconds_total: "Time of the processors that the process took.",
  process_start_time_seconds: "When the process started, since 1970.",
};

function ofProcess(): Record<string, number> {
  const { user, system } = process.cpuUsage();
  return {
    process_resident_memory_bytes: process.memoryUsage.rss(),
    process_cpu_seconds_total: (user + system) / 1e6,
    process_start_time_seconds: Math.round(Date.now() / 1000 - process.uptime()),
  };
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function written(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
