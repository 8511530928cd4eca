/** What a period of the log covers, and where it has gaps. */
import type { SelectedEntry } from "../export/selection.ts";

/** A gateway that runs writes a heartbeat after a minute of silence. */
const SILENCE_MS_MAX = 150_000;
const LISTED_MAX = 1000;

type Moment = { readonly index: number; readonly time: string; readonly facts: unknown };
type Silence = { readonly after: number; readonly before: number; readonly from: string; readonly to: string };

/** `to` of a run null: it goes on, or was still running at the end of the period. */
type Run = {
  readonly boot: string;
  readonly first: number;
  last: number;
  readonly from: string;
  to: string;
  end: "closed" | "open";
};

export class Coverage {
  readonly #events = new Map<string, number>();
  readonly #decisions = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();
  readonly #subjects = new Set<string>();
  readonly #targets = new Set<string>();
  readonly #runs: Run[] = [];
  readonly #gaps: Moment[] = [];
  readonly #steps: Moment[] = [];
  readonly #prunings: Moment[] = [];
  readonly #silences: Silence[] = [];
  #silenceCount = 0;
  #last: { readonly index: number; readonly timeMs: number; readonly boot: string } | null = null;
  #entries = 0;

  add({ index, leaf, operation }: SelectedEntry): void {
    this.#entries++;
    const { event, boot, timeMs } = leaf;
    count(this.#events, event);
    if (leaf.shape === "intent") {
      count(this.#decisions, leaf.decision.kind);
      this.#subjects.add(`${leaf.subject.issuer} ${leaf.subject.name}`);
      this.#targets.add(leaf.target.name);
    }
    const status = leaf.shape === "event" ? undefined : leaf.outcome?.status;
    if (status !== undefined && operation !== null) count(this.#outcomes, status);
    this.#run(index, boot, timeMs, event);
    this.#silence(index, boot, timeMs);
    if (leaf.shape !== "event") return;
    const moment = { index, time: iso(timeMs), facts: leaf.facts };
    if (event === "audit.gap" || event === "audit.loss_accepted") keep(this.#gaps, moment);
    else if (event === "clock.stepped") keep(this.#steps, moment);
    else if (event === "audit.pruned") keep(this.#prunings, moment);
  }

  /** As it is written into the folder; docs/evidence.md has the fields. */
  view(): Readonly<Record<string, unknown>> {
    return {
      entries: this.#entries,
      events: sorted(this.#events),
      decisions: sorted(this.#decisions),
      outcomes: sorted(this.#outcomes),
      subjects: this.#subjects.size,
      targets: [...this.#targets].toSorted(),
      runs: this.#runs,
      gaps: this.#gaps,
      clockSteps: this.#steps,
      prunings: this.#prunings,
      silences: this.#silences,
      silenceCount: this.#silenceCount,
    };
  }

  #run(index: number, boot: string, timeMs: number, event: string): void {
    let run = this.#runs.at(-1);
    if (run?.boot !== boot) {
      run = { boot, first: index, last: index, from: iso(timeMs), to: iso(timeMs), end: "open" };
      this.#runs.push(run);
    }
    run.last = index;
    run.to = iso(timeMs);
    if (event === "audit.closed") run.end = "closed";
  }

  #silence(index: number, boot: string, timeMs: number): void {
    const last = this.#last;
    this.#last = { index, timeMs, boot };
    if (last === null || last.boot !== boot || timeMs - last.timeMs <= SILENCE_MS_MAX) return;
    this.#silenceCount++;
    keep(this.#silences, { after: last.index, before: index, from: iso(last.timeMs), to: iso(timeMs) });
  }
}

function keep<T>(list: T[], item: T): void {
  if (list.length < LISTED_MAX) list.push(item);
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
