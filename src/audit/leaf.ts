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

const DIGIT_0 = 0x30;
/** Below this a number of thousandths is written with at most 15 digits, which is then the shortest way to write it. */
const THOUSANDTHS_MAX = 1e15;

const encoder = new TextEncoder();
const ascii = (text: string): Uint8Array => encoder.encode(text);
/** The texts between the pieces, as bytes: to copy those takes a third of the time that writing a text does. */
const TEXT = {
  bytes: ascii('"bytes":'),
  close: ascii("}"),
  comma: ascii(","),
  decision: ascii('","decision":'),
  durationMs: ascii('"durationMs":'),
  index: ascii(',"index":'),
  intent: ascii(',"intent":'),
  intentEvent: ascii(',"event":"operation.intent","id":"'),
  nextSequence: ascii(',"sequence":'),
  nextTimeMs: ascii(',"timeMs":'),
  null: ascii("null"),
  open: ascii("{"),
  operation: ascii(',"operation":'),
  outcome: ascii(',"outcome":'),
  outcomeEvent: ascii('","event":"operation.outcome","id":'),
  parametersSha256: ascii(',"parametersSha256":"'),
  point: ascii("."),
  quote: ascii('"'),
  refusalEvent: ascii(',"event":"operation.refusal","id":"'),
  rows: ascii('"rows":'),
  sequence: ascii('"sequence":'),
  status: ascii('"status":"'),
  textSha256: ascii(',"textSha256":"'),
  truncated: ascii(',"truncated":'),
  version: ascii(`,"version":${LEAF_VERSION}}`),
} as const;
const STATUS = {
  cancelled: ascii("cancelled"),
  done: ascii("done"),
  failed: ascii("failed"),
  refused: ascii("refused"),
  skipped: ascii("skipped"),
  unknown: ascii("unknown"),
} as const satisfies Record<Outcome["status"], Uint8Array>;

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
    this.#piece(TEXT.decision);
    this.#piece(intent.decision);
    this.#piece(intent.refused ? TEXT.refusalEvent : TEXT.intentEvent);
    this.#id(intent.id);
    this.#piece(TEXT.quote);
    this.#piece(TEXT.index);
    this.#number(index);
    this.#piece(TEXT.operation);
    this.#piece(intent.statement);
    if (ended !== null) {
      this.#piece(TEXT.outcome);
      this.#ended(ended, true);
    }
    if (intent.parametersSha256 !== null) {
      this.#piece(TEXT.parametersSha256);
      this.#piece(intent.parametersSha256);
      this.#piece(TEXT.quote);
    }
    this.#piece(TEXT.nextSequence);
    this.#number(intent.sequence);
    this.#piece(TEXT.comma);
    this.#piece(intent.session);
    this.#piece(TEXT.textSha256);
    this.#piece(intent.textSha256);
    this.#piece(TEXT.quote);
    this.#piece(TEXT.nextTimeMs);
    this.#number(intent.timeMs);
    this.#piece(TEXT.version);
    return this.#finish();
  }

  /** An outcome with a leaf of its own; `intent` is the index of the intent's leaf, null when there is none. */
  outcome(index: number, id: Piece | null, intent: number | null, ended: Ended): Uint8Array<ArrayBuffer> {
    this.#begin();
    this.#piece(this.#start);
    this.#piece(TEXT.outcomeEvent);
    if (id === null) this.#piece(TEXT.null);
    else {
      this.#piece(TEXT.quote);
      this.#id(id);
      this.#piece(TEXT.quote);
    }
    this.#piece(TEXT.index);
    this.#number(index);
    this.#piece(TEXT.intent);
    if (intent === null) this.#piece(TEXT.null);
    else this.#number(intent);
    this.#piece(TEXT.outcome);
    this.#ended(ended, false);
    this.#time(ended.sequence, ended.timeMs);
    this.#piece(TEXT.version);
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
    this.#piece(TEXT.index);
    this.#number(index);
    this.#time(sequence, timeMs);
    if (truncated !== null) {
      this.#piece(TEXT.truncated);
      this.#piece(truncated);
    }
    this.#piece(TEXT.version);
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

  #time(sequence: number | null, timeMs: number): void {
    if (sequence !== null) {
      this.#piece(TEXT.nextSequence);
      this.#number(sequence);
    }
    this.#piece(TEXT.nextTimeMs);
    this.#number(timeMs);
  }

  #ended(ended: Ended, shared: boolean): void {
    const { outcome } = ended;
    this.#piece(TEXT.open);
    if (outcome.bytes !== undefined) {
      this.#piece(TEXT.bytes);
      this.#number(outcome.bytes);
      this.#piece(TEXT.comma);
    }
    if (outcome.code !== undefined) this.#text(`"code":${canonicalString(outcome.code)},`);
    if (ended.durationMs !== null) {
      this.#piece(TEXT.durationMs);
      this.#number(ended.durationMs);
      this.#piece(TEXT.comma);
    }
    if (outcome.ranges !== undefined) this.#text(`"ranges":${canonicalString(outcome.ranges)},`);
    if (outcome.rows !== undefined) {
      this.#piece(TEXT.rows);
      this.#number(outcome.rows);
      this.#piece(TEXT.comma);
    }
    if (shared && ended.sequence !== null) {
      this.#piece(TEXT.sequence);
      this.#number(ended.sequence);
      this.#piece(TEXT.comma);
    }
    if (outcome.sha256 !== undefined) this.#text(`"sha256":${canonicalString(outcome.sha256)},`);
    this.#piece(TEXT.status);
    this.#piece(STATUS[outcome.status]);
    this.#piece(TEXT.quote);
    if (shared) {
      this.#piece(TEXT.nextTimeMs);
      this.#number(ended.timeMs);
    }
    this.#piece(TEXT.close);
  }

  /** A number as JSON writes it. Without making a text of it where that is plain: there are eight in a leaf. */
  #number(value: number): void {
    const thousandths = Math.round(value * 1000);
    if (Number.isSafeInteger(value) && value >= 0) this.#digits(value, 1);
    else if (value >= 0 && thousandths < THOUSANDTHS_MAX && thousandths / 1000 === value) {
      const whole = Math.floor(thousandths / 1000);
      this.#digits(whole, 1);
      this.#piece(TEXT.point);
      this.#digits(thousandths - whole * 1000, 3);
      while (this.#bytes[this.#end - 1] === DIGIT_0) this.#end--;
    } else this.#ascii(JSON.stringify(value));
  }

  /** A whole number with at least so many digits. */
  #digits(value: number, countMin: number): void {
    let count = countMin;
    for (let limit = 10 ** countMin; limit <= value; limit *= 10) count++;
    let left = value;
    for (let at = this.#end + count - 1; at >= this.#end; at--) {
      const rest = Math.floor(left / 10);
      this.#bytes[at] = DIGIT_0 + (left - rest * 10);
      left = rest;
    }
    this.#end += count;
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

/** What an outcome says of the time that passed, in milliseconds with three decimals. */
export function durationMs(intent: { readonly monoMs: number }, outcome: OutcomeRecord): number | null {
  const passedMs = outcome.monoMs - intent.monoMs;
  return Number.isFinite(passedMs) ? Math.max(0, Math.round(passedMs * 1000) / 1000) : null;
}
