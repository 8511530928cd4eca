/** Lines for the operator about what was refused, in the words that no client gets: under the id that it got, and never a flood. */
import type { Refusal } from "../core/decision.ts";
import type { Clock } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";

/** Lines are counted in stretches of this. */
const STRETCH_MS = 60_000;
/** Lines with the same words in one stretch, and lines at all; the rest is counted. */
const ALIKE_MAX = 3;
const LINES_MAX = 60;
/** A refusal may pass several places that tell it: so many are remembered, and told once. */
const REMEMBERED_MAX = 1_024;
const DETAIL_UNITS_MAX = 2_000;

/** What has the same words: how many have a line, and how many have none. */
type Alike = { readonly words: string; told: number; untold: number; lastEvent: string };

export class Details {
  readonly #clock: Clock;
  readonly #say: (line: string) => void;
  readonly #remembered = new Set<string>();
  readonly #alike = new Map<string, Alike>();
  #startedAtMs: TimeMs | null = null;
  #lines = 0;
  /** Of other words than those that have lines. */
  #others = 0;
  #lastOther = "";

  constructor(clock: Clock, say: (line: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** One line, unless the refusal has no detail, was told before, or there were enough. */
  tell({ event, message, detail }: Refusal): void {
    if (detail === "") return;
    const words = `${message}: ${cut(detail)}`;
    const line = event === "" ? words : `${event}: ${words}`;
    if (event !== "" && this.#isRemembered(line)) return;
    this.review();
    this.#startedAtMs ??= this.#clock.now();
    const alike = this.#alike.get(words);
    const isFull = this.#lines >= LINES_MAX;
    if (alike === undefined && isFull) {
      this.#others++;
      this.#lastOther = event;
    } else if (alike !== undefined && (isFull || alike.told >= ALIKE_MAX)) {
      alike.untold++;
      alike.lastEvent = event;
    } else {
      if (alike === undefined) this.#alike.set(words, { words, told: 1, untold: 0, lastEvent: event });
      else alike.told++;
      this.#lines++;
      this.#say(line);
    }
  }

  /** To be called now and then: says what had no line, once its stretch is over. */
  review(): void {
    if (this.#startedAtMs === null) return;
    const passedMs = this.#clock.now() - this.#startedAtMs;
    // A clock that was set back begins another.
    if (passedMs >= 0 && passedMs < STRETCH_MS) return;
    for (const { words, untold, lastEvent } of this.#alike.values()) {
      if (untold > 0) this.#say(`${words}: ${untold} more in a minute${lastOf(lastEvent)}`);
    }
    if (this.#others > 0)
      this.#say(`${this.#others} more refusals in that minute, for other reasons${lastOf(this.#lastOther)}`);
    this.#alike.clear();
    this.#startedAtMs = null;
    this.#lines = 0;
    this.#others = 0;
  }

  #isRemembered(line: string): boolean {
    if (this.#remembered.has(line)) return true;
    this.#remembered.add(line);
    const [oldest] = this.#remembered;
    if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
    return false;
  }
}

function lastOf(event: string): string {
  return event === "" ? "" : `, the last ${event}`;
}

function cut(text: string): string {
  return text.length > DETAIL_UNITS_MAX ? `${text.slice(0, DETAIL_UNITS_MAX)}…` : text;
}
