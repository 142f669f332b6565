/** Progress on stderr: a bar where it is a terminal, an occasional line where it is not, nothing for what takes less than 2 s. */
import cliProgress from "cli-progress";
import type { Progress, ProgressTask } from "../contracts/plugin.js";

const showAfter = 2_000; // ms
const lineEvery = 15_000; // ms
const redrawEvery = 100; // ms
/** Before this share is done its rate says little: the first of many that are worked on together comes late. */
const telling = 0.02;

export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** @param clock milliseconds, rising */
export function createProgress(
  { quiet = false, output = process.stderr }: { readonly quiet?: boolean; readonly output?: ProgressOutput } = {},
  clock: () => number = () => performance.now(),
): Progress {
  if (quiet) return { start: () => ({ advance: () => {}, end: () => {} }) };
  const display = output.isTTY ? new Bar(output) : new Lines(output);
  return { start: (label, total, unit) => new Task(label, total, unit, display, clock) };
}

/** Shows tasks; the innermost long one has the line. */
interface Display {
  show(task: Task, now: number): void;
  end(task: Task, now: number): void;
}

class Task implements ProgressTask {
  done = 0;
  readonly begun: number;

  constructor(
    readonly label: string,
    readonly total: number,
    readonly unit: string,
    private readonly display: Display,
    private readonly clock: () => number,
  ) {
    this.begun = clock();
  }

  advance(by = 1): void {
    this.done += by;
    const now = this.clock();
    if (now - this.begun >= showAfter) this.display.show(this, now);
  }

  end(): void {
    this.display.end(this, this.clock());
  }

  /** "1,200/5,000 users  300/s  13 s left" */
  status(now: number): string {
    const rate = this.done / ((now - this.begun) / 1000);
    const left =
      rate > 0 && this.done >= telling * this.total && this.total > 0
        ? `  ${duration(Math.max(0, this.total - this.done) / rate)} left`
        : "";
    const of = this.total > 0 ? `/${number(this.total)}` : "";
    return `${number(this.done)}${of} ${this.unit}  ${number(rate)}/s${left}`;
  }
}

class Lines implements Display {
  private readonly printed = new WeakMap<Task, number>();
  constructor(private readonly output: ProgressOutput) {}

  show(task: Task, now: number): void {
    if (now - (this.printed.get(task) ?? Number.NEGATIVE_INFINITY) < lineEvery) return;
    this.printed.set(task, now);
    this.output.write(`${task.label}: ${task.status(now)}\n`);
  }

  end(task: Task, now: number): void {
    if (now - task.begun < showAfter) return;
    this.output.write(`${task.label}: ${number(task.done)} ${task.unit} in ${duration((now - task.begun) / 1000)}\n`);
  }
}

class Bar implements Display {
  private bar: cliProgress.SingleBar | undefined;
  private shown: Task | undefined;
  private drawn = 0;
  constructor(private readonly output: ProgressOutput) {}

  show(task: Task, now: number): void {
    if (this.shown !== task && (this.shown === undefined || this.shown.begun < task.begun)) this.take(task, now);
    if (this.shown !== task || now - this.drawn < redrawEvery) return;
    this.drawn = now;
    this.bar?.update(Math.min(task.done, task.total), { status: task.status(now) });
  }

  end(task: Task): void {
    if (this.shown !== task) return;
    this.bar?.stop();
    this.shown = undefined;
  }

  private take(task: Task, now: number): void {
    this.bar?.stop();
    this.shown = task;
    this.bar = new cliProgress.SingleBar({
      format: "{label} {bar} {percentage}%  {status}",
      stream: this.output as NodeJS.WriteStream,
      barsize: 24,
      clearOnComplete: true,
      hideCursor: false,
      linewrap: false,
      gracefulExit: false, // Ctrl-C is interrupt.ts's
    });
    this.bar.start(task.total, task.done, { label: task.label, status: task.status(now) });
  }
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `${minutes.toFixed(minutes < 10 ? 1 : 0)} min` : `${(minutes / 60).toFixed(1)} h`;
}

function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 1 : 0 });
}
