/** Leaves of the log as canonical JSON, put together from ready pieces into one growing buffer. docs/audit-log.md has their fields. */
import { canonicalJson, canonicalString, type Json } from "./canonical.ts";
import type { Outcome } from "../core/ports.ts";
import type { IntentRecord, OutcomeRecord, Piece } from "./record-reader.ts";
import { RECORD_BYTES_MAX } from "./ring.ts";

/** The largest entry that a C2SP tlog-tiles entry bundle can hold. */
export const LEAF_BYTES_MAX = 65_535;
const ROOM_BYTES = RECORD_BYTES_MAX + 4096;
/** The version of the leaf's format. */
const LEAF_VERSION = 1;

/** An outcome that shares the leaf of its intent, or one of its own. */
export type Ended = {
  readonly sequence: number | null;
  readonly timeMs: number;
  readonly durationMs: number | null;
  readonly outcome: Outcome;
};

const encoder = new TextEncoder();
const INTENT_EVENT = encoder.encode(',"event":"operation.intent","id":"');
const REFUSAL_EVENT = encoder.encode(',"event":"operation.refusal","id":"');
const INDEX = encoder.encode('","index":');
const OPERATION = encoder.encode(',"operation":');
const SESSION = encoder.encode(",");
const DECISION = encoder.encode('","decision":');

/** Writes leaves one after the other. Before each leaf one byte is left free for the prefix of its hash. */
export class LeafWriter {
  readonly #start: Uint8Array;
  #bytes: Buffer<ArrayBuffer>;
  #end = 0;
  #leaf = 0;
  readonly #boot: string;

  /** `boot` is the id of this run of the gateway. */
  constructor(boot: string, sizeBytes: number) {
    this.#boot = boot;
    this.#start = encoder.encode(`{"boot":${canonicalString(boot).slice(0, -1)}`);
    this.#bytes = Buffer.alloc(sizeBytes);
  }

  get #leftBytes(): number {
    return this.#bytes.length - this.#end;
  }

  /** Forgets the leaves written so far; their bytes are overwritten by the next ones. */
  reset(): void {
    this.#end = 0;
  }

  /** An intent or a refusal; `ended` when the outcome was handed over in the same group. Returns one byte and the leaf. */
  intent(index: number, intent: IntentRecord, ended: Ended | null): Uint8Array<ArrayBuffer> {
    this.#begin();
    this.#piece(this.#start);
    this.#piece(DECISION);
    this.#piece(intent.decision);
    this.#piece(intent.refused ? REFUSAL_EVENT : INTENT_EVENT);
    this.#id(intent.id);
    this.#piece(INDEX);
    this.#number(index);
    this.#piece(OPERATION);
    this.#piece(intent.statement);
    if (ended !== null) {
      this.#ascii(',"outcome":');
      this.#text(endedJson(ended, true));
    }
    if (intent.parametersSha256 !== null) this.#ascii(`,"parametersSha256":"${intent.parametersSha256}"`);
    this.#ascii(`,"sequence":${intent.sequence}`);
    this.#piece(SESSION);
    this.#piece(intent.session);
    this.#ascii(
      `,"textSha256":"${intent.textSha256}","timeMs":${JSON.stringify(intent.timeMs)},"version":${LEAF_VERSION}}`,
    );
    return this.#finish();
  }

  /** An outcome with a leaf of its own; `intent` is the index of the intent's leaf, null when there is none. */
  outcome(index: number, id: Piece | null, intent: number | null, ended: Ended): Uint8Array<ArrayBuffer> {
    this.#begin();
    this.#piece(this.#start);
    this.#ascii('","event":"operation.outcome","id":');
    if (id === null) this.#ascii("null");
    else {
      this.#ascii('"');
      this.#id(id);
      this.#ascii('"');
    }
    this.#ascii(`,"index":${index},"intent":${intent},"outcome":`);
    this.#text(endedJson(ended, false));
    if (ended.sequence !== null) this.#ascii(`,"sequence":${ended.sequence}`);
    this.#ascii(`,"timeMs":${JSON.stringify(ended.timeMs)},"version":${LEAF_VERSION}}`);
    return this.#finish();
  }

  /** Anything else that happened. `facts` and `truncated` are canonical JSON. */
  event(
    index: number,
    kind: string,
    facts: Piece,
    truncated: Piece | null,
    sequence: number | null,
    timeMs: number,
  ): Uint8Array<ArrayBuffer> {
    this.#begin();
    this.#piece(this.#start);
    this.#text(`","event":${canonicalString(kind)},"facts":`);
    this.#piece(facts);
    this.#ascii(`,"index":${index}`);
    if (sequence !== null) this.#ascii(`,"sequence":${sequence}`);
    this.#ascii(`,"timeMs":${JSON.stringify(timeMs)}`);
    if (truncated !== null) {
      this.#ascii(',"truncated":');
      this.#piece(truncated);
    }
    this.#ascii(`,"version":${LEAF_VERSION}}`);
    return this.#finish();
  }

  /** An event of the log's own, which was not handed over and has no sequence. */
  own(index: number, kind: string, facts: { readonly [key: string]: Json }, timeMs: number): Uint8Array<ArrayBuffer> {
    return this.event(index, kind, encoder.encode(canonicalJson(facts)), null, null, timeMs);
  }

  get boot(): string {
    return this.#boot;
  }

  #begin(): void {
    // More than any record can hold: a write never meets the end of the memory, where it would be cut short.
    if (this.#leftBytes < ROOM_BYTES) {
      // Leaves handed out before keep the old memory.
      this.#bytes = Buffer.alloc(this.#bytes.length);
      this.#end = 0;
    }
    this.#leaf = this.#end;
    this.#end++;
  }

  #finish(): Uint8Array<ArrayBuffer> {
    const size = this.#end - this.#leaf - 1;
    if (size > LEAF_BYTES_MAX) throw new RangeError(`a leaf of ${size} bytes is larger than ${LEAF_BYTES_MAX}`);
    return this.#bytes.subarray(this.#leaf, this.#end);
  }

  #piece(piece: Uint8Array): void {
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  #ascii(text: string): void {
    this.#end += this.#bytes.write(text, this.#end, "latin1");
  }

  #text(text: string): void {
    this.#end += this.#bytes.write(text, this.#end, "utf8");
  }

  #number(value: number): void {
    this.#ascii(`${value}`);
  }

  /** An id inside quotes. It nearly always is plain ASCII, which needs no escapes. */
  #id(id: Piece): void {
    for (const byte of id) {
      if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) {
        return this.#text(canonicalString(Buffer.from(id).toString("utf8")).slice(1, -1));
      }
    }
    this.#piece(id);
  }
}

function endedJson(ended: Ended, shared: boolean): string {
  const { outcome } = ended;
  let json = "{";
  if (outcome.bytes !== undefined) json += `"bytes":${JSON.stringify(outcome.bytes)},`;
  if (outcome.code !== undefined) json += `"code":${canonicalString(outcome.code)},`;
  if (ended.durationMs !== null) json += `"durationMs":${JSON.stringify(ended.durationMs)},`;
  if (outcome.rows !== undefined) json += `"rows":${JSON.stringify(outcome.rows)},`;
  if (shared && ended.sequence !== null) json += `"sequence":${ended.sequence},`;
  json += `"status":"${outcome.status}"`;
  if (shared) json += `,"timeMs":${JSON.stringify(ended.timeMs)}`;
  return json + "}";
}

/** What an outcome says of the time that passed, in milliseconds with three decimals. */
export function durationMs(intent: { readonly monoMs: number }, outcome: OutcomeRecord): number | null {
  const passedMs = outcome.monoMs - intent.monoMs;
  return Number.isFinite(passedMs) ? Math.max(0, Math.round(passedMs * 1000) / 1000) : null;
}
