/** What the entries of one range say of each other, and what is left to be compared with those before and after it. */
import type { JsonObject } from "../canonical.ts";
import type { Findings } from "./finding.ts";
import type { LeafTrace } from "./leaf-form.ts";

/** Sequences from one to another, both included. */
export type Interval = { readonly from: number; readonly to: number };

/** What a range holds of one run of the gateway. */
export type RunPart = {
  readonly boot: string;
  /** Index of its first entry here, and of its last. */
  readonly first: number;
  readonly last: number;
  /** In order, without overlaps. */
  readonly sequences: readonly Interval[];
  /** The first of its events that is no outcome; null: there is none here. */
  readonly opensWith: string | null;
  /** Entries of it here, or beside it, that could not be read: what they held is not missed. */
  readonly unreadable: number;
};

export type OpenIntent = { readonly index: number; readonly id: string };
export type LateOutcome = { readonly index: number; readonly intent: number; readonly id: string | null };
/** An event that other checks look at. */
export type Mark = {
  readonly index: number;
  readonly event: string;
  readonly timeMs: number;
  readonly facts: JsonObject;
};

export type Relations = {
  readonly runs: readonly RunPart[];
  /** Intents of this range without an outcome in it. */
  readonly open: readonly OpenIntent[];
  /** Outcomes whose intents come before this range. */
  readonly outcomes: readonly LateOutcome[];
  readonly marks: readonly Mark[];
  /** Entries that are missing or could not be read. */
  readonly unreadable: number;
  /** Null: no entry could be read. */
  readonly times: { readonly first: number; readonly last: number; readonly latest: number } | null;
};

/** Families of events that are handed on; heartbeats are many and say nothing that others need. */
const MARKED = ["audit.", "recording.", "clock."];
const HEARTBEAT = "audit.heartbeat";
/** A clock that goes back by more than this should have left an entry. */
export const STEP_MS = 60_000;

type Run = {
  readonly boot: string;
  readonly first: number;
  last: number;
  readonly intervals: Interval[];
  from: number;
  to: number;
  opensWith: string | null;
  closed: boolean;
  unreadable: number;
};

/** Takes the entries of a range in order. */
export class RelationsWriter {
  readonly #findings: Findings;
  readonly #runs: Run[] = [];
  readonly #open = new Map<number, string>();
  readonly #outcomes: LateOutcome[] = [];
  readonly #marks: Mark[] = [];
  #from = -1;
  #unreadable = 0;
  #times: { first: number; last: number; latest: number } | null = null;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** `trace` null: the entry is missing or cannot be read. */
  add(index: number, trace: LeafTrace | null): void {
    if (this.#from === -1) this.#from = index;
    if (trace === null) {
      this.#unreadable++;
      const run = this.#runs.at(-1);
      if (run !== undefined) run.unreadable++;
      return;
    }
    const run = this.#run(trace);
    if (trace.sequence !== null) take(run, trace.sequence, trace.sequence);
    switch (trace.event) {
      case "operation.intent":
      case "operation.refusal":
        if (trace.outcome === null) this.#open.set(index, trace.id ?? "");
        else if (trace.outcome.sequence !== null) take(run, trace.outcome.sequence, trace.outcome.sequence);
        break;
      case "operation.outcome":
        this.#outcome(trace);
        break;
      default:
        this.#event(trace, run);
    }
    if (trace.event !== "operation.outcome") run.opensWith ??= trace.event;
    this.#time(trace);
  }

  finish(): Relations {
    return {
      runs: this.#runs.map((run) => ({
        boot: run.boot,
        first: run.first,
        last: run.last,
        sequences: this.#sequences(run),
        opensWith: run.opensWith,
        unreadable: run.unreadable,
      })),
      open: Array.from(this.#open, ([index, id]) => ({ index, id })),
      outcomes: this.#outcomes,
      marks: this.#marks,
      unreadable: this.#unreadable,
      times: this.#times,
    };
  }

  #run({ boot, index }: LeafTrace): Run {
    const last = this.#runs.at(-1);
    if (last?.boot === boot) {
      if (last.closed)
        this.#findings.add("run", `entry ${index}`, `was written by a run that had closed the log before it`);
      last.last = index;
      return last;
    }
    const run: Run = {
      boot,
      first: index,
      last: index,
      intervals: [],
      from: 0,
      to: -1,
      opensWith: null,
      closed: false,
      unreadable: this.#runs.length === 0 ? this.#unreadable : 0,
    };
    this.#runs.push(run);
    return run;
  }

  #outcome({ index, intent, id }: LeafTrace): void {
    if (intent === null) return;
    if (intent < this.#from) {
      this.#outcomes.push({ index, intent, id });
      return;
    }
    const known = this.#open.get(intent);
    if (known === undefined) {
      if (this.#unreadable === 0) this.#findings.add("outcome", `entry ${index}`, secondOutcome(intent));
    } else if (known !== id) this.#findings.add("outcome", `entry ${index}`, otherOperation(intent));
    this.#open.delete(intent);
  }

  #event({ index, event, facts, timeMs }: LeafTrace, run: Run): void {
    if (facts === null || event === HEARTBEAT || !MARKED.some((family) => event.startsWith(family))) return;
    this.#marks.push({ index, event, timeMs, facts });
    if (event === "audit.closed") run.closed = true;
    else if (event === "audit.opened") this.#opened(index);
    else if (event === "audit.gap") {
      const { from, to } = facts;
      if (typeof from !== "number" || typeof to !== "number") {
        this.#findings.add("sequence", `entry ${index}`, "says that records were lost, but not which");
      } else if (to >= from) take(run, from, to);
    }
  }

  /** Before a run takes new work, it closes what an earlier one left open. */
  #opened(index: number): void {
    for (const intent of this.#open.keys()) this.#findings.add("outcome", `entry ${intent}`, neverEnded(index));
    this.#open.clear();
  }

  #time({ timeMs, index }: LeafTrace): void {
    const times = this.#times;
    if (times === null) {
      this.#times = { first: timeMs, last: timeMs, latest: timeMs };
      return;
    }
    times.last = timeMs;
    if (timeMs >= times.latest - STEP_MS) times.latest = Math.max(times.latest, timeMs);
    else {
      this.#marks.push({ index, event: STEPPED_BACK, timeMs, facts: { byMs: timeMs - times.latest } });
      times.latest = timeMs;
    }
  }

  #sequences(run: Run): Interval[] {
    if (run.to >= run.from) run.intervals.push({ from: run.from, to: run.to });
    return joinIntervals(run.intervals, (sequence) =>
      this.#findings.add("sequence", `run ${run.boot}`, `sequence ${sequence} stands in two entries`),
    );
  }
}

/** Not an event of the log's: an entry here is earlier than one before it. */
export const STEPPED_BACK = "clock went back";

export const secondOutcome = (intent: number): string =>
  `is an outcome of entry ${intent}, which is no operation, or has its outcome already`;
export const otherOperation = (intent: number): string =>
  `is an outcome of entry ${intent}, which is another operation`;
export const neverEnded = (opened: number): string =>
  `is an operation without an outcome, and the run that began with entry ${opened} did not close it`;

/** Nearly always the next one. */
function take(run: Run, from: number, to: number): void {
  if (run.to < run.from) [run.from, run.to] = [from, to];
  else if (from === run.to + 1) run.to = to;
  else {
    run.intervals.push({ from: run.from, to: run.to });
    [run.from, run.to] = [from, to];
  }
}

/** In order and joined where they touch; `twice` is told what stands in two of them. */
export function joinIntervals(intervals: readonly Interval[], twice: (sequence: number) => void): Interval[] {
  const joined: { from: number; to: number }[] = [];
  for (const { from, to } of intervals.toSorted((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last === undefined || from > last.to + 1) joined.push({ from, to });
    else {
      if (from <= last.to) twice(from);
      last.to = Math.max(last.to, to);
    }
  }
  return joined;
}
