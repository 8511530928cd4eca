/** Joins what the ranges of a log say of their entries: runs, sequences, operations that were left open, times. */
import type { StoredHead } from "./source.ts";
import type { Findings } from "./finding.ts";
import {
  type Interval,
  joinIntervals,
  type Mark,
  neverEnded,
  otherOperation,
  type Relations,
  type RunPart,
  secondOutcome,
  STEP_MS,
  STEPPED_BACK,
} from "./relations.ts";

/** A shared leaf holds an outcome that was handed over up to one group of the writer's after the intent. */
const GROUP_RECORDS_MAX = 2048;

/** What a run begins with, outcomes of earlier ones aside. */
const OPENINGS: ReadonlySet<string> = new Set(["audit.opened", "audit.loss_accepted"]);

type Run = {
  readonly boot: string;
  readonly first: number;
  /** Is its beginning among the entries that were read? */
  readonly isWhole: boolean;
  intervals: readonly Interval[];
  opensWith: string | null;
  unreadable: number;
};

export class Runs {
  readonly #findings: Findings;
  /** The first entry that is read. */
  readonly #from: number;
  readonly #ended = new Set<string>();
  #run: Run | null = null;
  readonly #open = new Map<number, string>();
  #latest = Number.NEGATIVE_INFINITY;
  #unreadable = 0;
  /** Where the clock went back, and where an entry says that it did. */
  readonly #steps: Mark[] = [];
  readonly #confirmed: Mark[] = [];

  constructor(findings: Findings, from: number) {
    this.#findings = findings;
    this.#from = from;
  }

  /** Takes the ranges in order. */
  add(relations: Relations): void {
    this.#unreadable += relations.unreadable;
    if (relations.runs.length === 0 && this.#run !== null) this.#run.unreadable += relations.unreadable;
    for (const part of relations.runs) this.#take(part);
    this.#outcomes(relations);
    for (const { index, id } of relations.open) this.#open.set(index, id);
    this.#times(relations);
  }

  /** Operations that wait for their outcome. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Jumps of the clock that no entry speaks of. */
  get unexplainedSteps(): readonly Mark[] {
    return this.#steps.filter((step) => !this.#confirmed.some((mark) => Math.abs(mark.timeMs - step.timeMs) < STEP_MS));
  }

  /** All entries are read. `isAll`: up to the end of the log, so that nothing may be missing there. */
  finish(isAll: boolean, head: StoredHead | null): void {
    const run = this.#run;
    if (run === null) return;
    this.#endRun(run, isAll);
    const last = run.intervals.at(-1)?.to ?? 0;
    if (!isAll || head === null || run.unreadable > 0) return;
    if (head.boot !== run.boot)
      this.#findings.add("head", "head", `names run ${head.boot}, but the last entries are of run ${run.boot}`);
    else if (head.sequence !== last) {
      this.#findings.add(
        "head",
        "head",
        `says that sequence ${head.sequence} was the last, but the entries end with ${last}`,
      );
    }
  }

  #take(part: RunPart): void {
    const known = this.#run;
    if (known?.boot === part.boot) {
      known.opensWith ??= part.opensWith;
      known.unreadable += part.unreadable;
      known.intervals = joinIntervals([...known.intervals, ...part.sequences], (sequence) =>
        this.#findings.add("sequence", `run ${part.boot}`, `sequence ${sequence} stands in two entries`),
      );
      return;
    }
    if (known !== null) {
      this.#endRun(known, true);
      this.#ended.add(known.boot);
    }
    if (this.#ended.has(part.boot)) {
      this.#findings.add(
        "run",
        `entry ${part.first}`,
        `is of run ${part.boot}, which another run has followed already`,
      );
    }
    this.#run = {
      boot: part.boot,
      first: part.first,
      isWhole: known !== null || part.first === 0,
      intervals: part.sequences,
      opensWith: part.opensWith,
      unreadable: part.unreadable,
    };
  }

  #endRun(run: Run, isEnd: boolean): void {
    if (run.isWhole && run.unreadable === 0 && run.opensWith !== null && !OPENINGS.has(run.opensWith)) {
      this.#findings.add(
        "run",
        `entry ${run.first}`,
        `begins run ${run.boot} with ${run.opensWith} and not with audit.opened`,
      );
    }
    if (run.unreadable > 0) return;
    const last = run.intervals.at(-1)?.to ?? 0;
    const first = run.intervals[0]?.from ?? 1;
    let next = run.isWhole ? 1 : first;
    for (const { from, to } of run.intervals) {
      // What stands in a shared leaf before the first entry that is read, or behind the last one, is not missing.
      const isSeen = (run.isWhole || next > first + GROUP_RECORDS_MAX) && (isEnd || from < last - GROUP_RECORDS_MAX);
      if (from > next && isSeen) {
        const which = from - next === 1 ? `sequence ${next} is` : `sequences ${next} to ${from - 1} are`;
        this.#findings.add("sequence", `run ${run.boot}`, `${which} in no entry, and in no audit.gap`);
      }
      next = to + 1;
    }
  }

  #outcomes({ outcomes, marks }: Relations): void {
    const openings = marks.filter(({ event }) => event === "audit.opened");
    let next = 0;
    for (const { index, intent, id } of outcomes) {
      for (; (openings[next]?.index ?? Number.POSITIVE_INFINITY) < index; next++)
        this.#opened(openings[next]?.index ?? index);
      const known = this.#open.get(intent);
      if (known === undefined) {
        if (intent >= this.#from && this.#unreadable === 0)
          this.#findings.add("outcome", `entry ${index}`, secondOutcome(intent));
      } else if (known !== id) this.#findings.add("outcome", `entry ${index}`, otherOperation(intent));
      this.#open.delete(intent);
    }
    for (const { index } of openings.slice(next)) this.#opened(index);
  }

  #opened(index: number): void {
    for (const intent of this.#open.keys()) this.#findings.add("outcome", `entry ${intent}`, neverEnded(index));
    this.#open.clear();
  }

  #times({ times, marks }: Relations): void {
    if (times !== null) {
      if (times.first < this.#latest - STEP_MS) {
        this.#steps.push({
          index: -1,
          event: STEPPED_BACK,
          timeMs: times.first,
          facts: { byMs: times.first - this.#latest },
        });
        this.#latest = times.latest;
      } else this.#latest = Math.max(this.#latest, times.latest);
    }
    for (const mark of marks) {
      if (mark.event === STEPPED_BACK) this.#steps.push(mark);
      else if (mark.event === "clock.stepped") this.#confirmed.push(mark);
    }
  }
}
