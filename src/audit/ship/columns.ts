/** What the shared copy keeps beside an entry so that it is found: the same as the search index of a gateway. */
import { createHash } from "node:crypto";
import { NOBODY, outcomeWhat, type Trace, traceOf, type What, type Who } from "../search/trace.ts";
import type { SourceEntry } from "./destination.ts";

/** Whose entries are and what they say, as one row for all that have both in common. */
type Kind = What & Omit<Who, "words">;

export type Columns = {
  readonly timeMs: number;
  readonly kind: Kind;
  /** Made of the kind's content, the same at every gateway. */
  readonly kindId: number;
  readonly session: string | null;
  /** 1: it opens its session, 2: it ends it, 3: both; null: neither. */
  readonly role: number | null;
  /** Of an operation that has ended. */
  readonly rows: number | null;
  readonly bytes: number | null;
};

/** Intents whose outcomes are still to come, mostly. */
const INTENTS_KEPT_MAX = 4096;
/** Digests of kinds that are known by heart. */
const KINDS_KEPT_MAX = 10_000;
/** Bits of a kind's id: as many as a number can hold exactly, and some less. */
const KIND_HEX_DIGITS = 12;

type Intent = { readonly who: Who; readonly what: What; readonly session: string; readonly isConnect: boolean };

/** Works out the columns of entries, in their order. `leafAt` answers an entry of the log; null: it was pruned. */
export class ColumnMaker {
  readonly #leafAt: (index: number) => Uint8Array | null;
  readonly #intents = new Map<number, Intent>();
  readonly #kindIds = new Map<string, number>();

  constructor(leafAt: (index: number) => Uint8Array | null) {
    this.#leafAt = leafAt;
  }

  of({ index, leaf }: SourceEntry): Columns {
    const trace = traceOf(leaf);
    if (trace.shape === "intent") {
      const intent = intentOf(trace);
      if (trace.ended === null) this.#keep(index, intent);
      const opens = trace.isConnect && !trace.isRefusal ? 1 : 0;
      const ends = trace.isConnect && trace.ended !== null ? 2 : 0;
      return this.#columns(trace.timeMs, kindOf(trace), intent.session, opens + ends, trace.ended);
    }
    if (trace.shape === "outcome") {
      const intent = trace.intent === null ? null : this.#intent(trace.intent);
      const what = outcomeWhat(intent?.what ?? null, trace.ended);
      const kind = kindOf({ who: intent?.who ?? NOBODY, what });
      return this.#columns(
        trace.timeMs,
        kind,
        intent?.session ?? null,
        intent?.isConnect === true ? 2 : 0,
        trace.ended,
      );
    }
    return this.#columns(trace.timeMs, kindOf(trace), trace.sessionId, 0, null);
  }

  #columns(
    timeMs: number,
    kind: Kind,
    session: string | null,
    role: number,
    ended: { readonly rows: number; readonly bytes: number } | null,
  ): Columns {
    const kindId = this.#kindId(kind);
    return {
      timeMs,
      kind,
      kindId,
      session: session === "" ? null : session,
      role: role === 0 ? null : role,
      rows: ended?.rows ?? null,
      bytes: ended?.bytes ?? null,
    };
  }

  #intent(index: number): Intent | null {
    const kept = this.#intents.get(index);
    if (kept !== undefined) {
      this.#intents.delete(index);
      return kept;
    }
    const leaf = this.#leafAt(index);
    const trace = leaf === null ? null : traceOf(leaf);
    return trace?.shape === "intent" ? intentOf(trace) : null;
  }

  #keep(index: number, intent: Intent): void {
    this.#intents.set(index, intent);
    const [oldest] = this.#intents.keys();
    if (this.#intents.size > INTENTS_KEPT_MAX && oldest !== undefined) this.#intents.delete(oldest);
  }

  #kindId(kind: Kind): number {
    const key = JSON.stringify(kindValues(kind));
    let id = this.#kindIds.get(key);
    if (id === undefined) {
      id = Number.parseInt(createHash("sha256").update(key).digest("hex").slice(0, KIND_HEX_DIGITS), 16);
      if (this.#kindIds.size >= KINDS_KEPT_MAX) this.#kindIds.clear();
      this.#kindIds.set(key, id);
    }
    return id;
  }
}

/** A kind as a row of `weir_kind`, without its id. */
export function kindValues(kind: Kind): readonly (string | null)[] {
  const { event, subject, issuer, target, decision, refusal, status, rules, words } = kind;
  return [event, subject, issuer, target, decision, refusal, status, JSON.stringify(rules), words];
}

function kindOf({ who, what }: { readonly who: Who; readonly what: What }): Kind {
  const { subject, issuer, target, words } = who;
  return { ...what, subject, issuer, target, words: `${what.words}\n${words}` };
}

function intentOf({ who, what, session, isConnect }: Trace & { readonly shape: "intent" }): Intent {
  return { who, what, session: session.id, isConnect };
}
