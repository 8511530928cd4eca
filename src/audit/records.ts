/** The binary records that cross the ring: how the gateway's thread writes them and how the log's writer reads them. */
import type { Outcome } from "../core/ports.ts";
import { RECORD_BYTES_MAX, RESERVE_BYTES, type RingProducer, type SharedRing } from "./ring.ts";
import { SHA256_BYTES, sha256, sha256Hex } from "./sha256.ts";

export const INTENT = 1;
export const OUTCOME = 2;
export const EVENT = 3;
const TEMPLATE = 4;

/** The tables of shared pieces, and how many slots each has; both sides reuse them in order. */
export const TABLES = ["session", "statement", "decision"] as const;
export type Table = (typeof TABLES)[number];
export const TEMPLATE_SLOTS: Readonly<Record<Table, number>> = { session: 4096, statement: 4096, decision: 1024 };
/** A larger piece travels inside its record, so that the tables stay below 36 MiB on either side. */
export const TEMPLATE_BYTES_MAX = 4096;

/** A piece that is already known by a number, or the piece itself. */
export type PieceRef = number | string;

/** What was not hashed yet travels up to this size and is hashed by the writer; more is hashed where it is. */
export const UNHASHED_BYTES_MAX = 64 * 1024;
const ID_BYTES_MAX = 255;
const CODE_UNITS_MAX = 64;
const SHA256_HEX = 64;

const STATUSES = [
  "done",
  "failed",
  "refused",
  "skipped",
  "cancelled",
  "unknown",
] as const satisfies readonly Outcome["status"][];

/* How a text or the parameters travel. */
const ABSENT = 0;
const RAW = 1;
const HASH = 2;
const HASH_AS_HEX = 3;

/* Places in a record, in bytes from its start; what is a float or a word is aligned to its size. */
const SEQUENCE = 8;
const TIME = 16;
const MONO = 24;
const INTENT_SLOTS = 32;
const INTENT_INLINE_BYTES = 44;
const INTENT_TEXT_BYTES = 56;
const INTENT_PARAMETERS_BYTES = 60;
const INTENT_ID_BYTES = 64;
const INTENT_TEXT_FORM = 65;
const INTENT_PARAMETERS_FORM = 66;
const INTENT_REFUSED = 67;
const INTENT_FIXED_BYTES = 68;
const OUTCOME_INTENT = 32;
const OUTCOME_ROWS = 40;
const OUTCOME_BYTES = 48;
const OUTCOME_STATUS = 56;
const OUTCOME_CODE_BYTES = 57;
const OUTCOME_FIXED_BYTES = 60;
const EVENT_KIND_BYTES = 24;
const EVENT_FACTS_BYTES = 28;
const EVENT_TRUNCATED_BYTES = 32;
const EVENT_FIXED_BYTES = 36;
const TEMPLATE_TABLE = 8;
const TEMPLATE_SLOT = 12;
const TEMPLATE_BYTES = 16;
const TEMPLATE_FIXED_BYTES = 20;
const INLINE = 0xffffffff;

/** When a record was handed over: wall time and monotonic time, both in milliseconds. */
export type Moment = { readonly sequence: number; readonly timeMs: number; readonly monoMs: number };

export type IntentFields = {
  readonly id: string;
  readonly refused: boolean;
  readonly session: PieceRef;
  readonly statement: PieceRef;
  readonly decision: PieceRef;
  readonly text: string;
  readonly textSha256: string | null;
  readonly parameters: Uint8Array | undefined;
};

/** Writes records into a ring. Every method answers false, with nothing written, when the ring has no room. */
export class RecordWriter {
  readonly #producer: RingProducer;
  readonly #ring: SharedRing;

  constructor(producer: RingProducer) {
    this.#producer = producer;
    this.#ring = producer.ring;
  }

  /** Leaves room for outcomes. Throws RangeError when the operation's id is longer than 255 bytes. */
  intent(sequence: number, timeMs: number, monoMs: number, fields: IntentFields): boolean {
    const { id, session, statement, decision } = fields;
    const { bytes, words, floats } = this.#ring;
    const inline = inlineUnits(session) + inlineUnits(statement) + inlineUnits(decision);
    const parameters = fields.parameters;
    const parametersRoom = parameters === undefined ? 0 : Math.min(parameters.length, UNHASHED_BYTES_MAX);
    const textRoom = fields.textSha256 === null ? Math.min(fields.text.length * 3, UNHASHED_BYTES_MAX) : SHA256_HEX;
    const room = INTENT_FIXED_BYTES + id.length * 3 + 3 * inline + textRoom + parametersRoom + SHA256_HEX;
    if (room > RECORD_BYTES_MAX) throw new RangeError("the parts of an intent do not fit one record");
    const at = this.#producer.reserve(room, RESERVE_BYTES);
    if (at < 0) return false;
    let end = at + INTENT_FIXED_BYTES;
    const idBytes = bytes.write(id, end, "utf8");
    if (idBytes > ID_BYTES_MAX) throw new RangeError(`an operation's id is longer than ${ID_BYTES_MAX} bytes`);
    end += idBytes;

    let form: number;
    let start = end;
    if (fields.textSha256 !== null && fields.textSha256.length === SHA256_HEX) {
      end += bytes.write(fields.textSha256, end, "latin1");
      form = HASH_AS_HEX;
    } else if (fields.text.length * 3 <= UNHASHED_BYTES_MAX) {
      end += bytes.write(fields.text, end, "utf8");
      form = RAW;
    } else {
      bytes.set(sha256(fields.text), end);
      end += SHA256_BYTES;
      form = HASH;
    }
    words[(at + INTENT_TEXT_BYTES) / 4] = end - start;
    bytes[at + INTENT_TEXT_FORM] = form;

    start = end;
    if (parameters === undefined) form = ABSENT;
    else if (parameters.length <= UNHASHED_BYTES_MAX) {
      bytes.set(parameters, end);
      end += parameters.length;
      form = RAW;
    } else {
      bytes.set(sha256(parameters), end);
      end += SHA256_BYTES;
      form = HASH;
    }
    words[(at + INTENT_PARAMETERS_BYTES) / 4] = end - start;
    bytes[at + INTENT_PARAMETERS_FORM] = form;

    end = this.#piece(at, 0, session, end);
    end = this.#piece(at, 1, statement, end);
    end = this.#piece(at, 2, decision, end);
    floats[(at + SEQUENCE) / 8] = sequence;
    floats[(at + TIME) / 8] = timeMs;
    floats[(at + MONO) / 8] = monoMs;
    bytes[at + INTENT_ID_BYTES] = idBytes;
    bytes[at + INTENT_REFUSED] = fields.refused ? 1 : 0;
    this.#producer.commit(at, INTENT, end - at);
    return true;
  }

  #piece(at: number, place: number, piece: PieceRef, end: number): number {
    const { bytes, words } = this.#ring;
    if (typeof piece === "number") {
      words[(at + INTENT_SLOTS) / 4 + place] = piece;
      words[(at + INTENT_INLINE_BYTES) / 4 + place] = 0;
      return end;
    }
    const written = bytes.write(piece, end, "utf8");
    words[(at + INTENT_SLOTS) / 4 + place] = INLINE;
    words[(at + INTENT_INLINE_BYTES) / 4 + place] = written;
    return end + written;
  }

  outcome(sequence: number, timeMs: number, monoMs: number, intent: number, outcome: Outcome): boolean {
    const { bytes, words, floats } = this.#ring;
    const code = outcome.code === undefined ? "" : outcome.code.slice(0, CODE_UNITS_MAX);
    const at = this.#producer.reserve(OUTCOME_FIXED_BYTES + code.length * 3, 0);
    if (at < 0) return false;
    floats[(at + SEQUENCE) / 8] = sequence;
    floats[(at + TIME) / 8] = timeMs;
    floats[(at + MONO) / 8] = monoMs;
    floats[(at + OUTCOME_INTENT) / 8] = intent;
    floats[(at + OUTCOME_ROWS) / 8] = outcome.rows ?? Number.NaN;
    floats[(at + OUTCOME_BYTES) / 8] = outcome.bytes ?? Number.NaN;
    words[(at + OUTCOME_STATUS) / 4] = STATUSES.indexOf(outcome.status);
    const written = code === "" ? 0 : bytes.write(code, at + OUTCOME_FIXED_BYTES, "utf8");
    bytes[at + OUTCOME_CODE_BYTES] = written;
    this.#producer.commit(at, OUTCOME, OUTCOME_FIXED_BYTES + written);
    return true;
  }

  /** `facts` and `truncated` are canonical JSON; `truncated` is empty when nothing was left out. */
  event(sequence: number, timeMs: number, kind: string, facts: string, truncated: string): boolean {
    const { bytes, words, floats } = this.#ring;
    const at = this.#producer.reserve(EVENT_FIXED_BYTES + (kind.length + facts.length + truncated.length) * 3, 0);
    if (at < 0) return false;
    floats[(at + SEQUENCE) / 8] = sequence;
    floats[(at + TIME) / 8] = timeMs;
    let end = at + EVENT_FIXED_BYTES;
    end += words[(at + EVENT_KIND_BYTES) / 4] = bytes.write(kind, end, "utf8");
    end += words[(at + EVENT_FACTS_BYTES) / 4] = bytes.write(facts, end, "utf8");
    end += words[(at + EVENT_TRUNCATED_BYTES) / 4] = bytes.write(truncated, end, "utf8");
    this.#producer.commit(at, EVENT, end - at);
    return true;
  }

  template(table: Table, slot: number, piece: string): boolean {
    const { bytes, words } = this.#ring;
    const at = this.#producer.reserve(TEMPLATE_FIXED_BYTES + piece.length * 3, RESERVE_BYTES);
    if (at < 0) return false;
    const written = bytes.write(piece, at + TEMPLATE_FIXED_BYTES, "utf8");
    words[(at + TEMPLATE_TABLE) / 4] = TABLES.indexOf(table);
    words[(at + TEMPLATE_SLOT) / 4] = slot;
    words[(at + TEMPLATE_BYTES) / 4] = written;
    this.#producer.commit(at, TEMPLATE, TEMPLATE_FIXED_BYTES + written);
    return true;
  }
}

function inlineUnits(piece: PieceRef): number {
  return typeof piece === "number" ? 0 : piece.length;
}

export type Piece = Uint8Array<ArrayBuffer>;
export type IntentRecord = Moment & {
  readonly type: typeof INTENT;
  readonly refused: boolean;
  readonly id: Piece;
  readonly session: Piece;
  readonly statement: Piece;
  readonly decision: Piece;
  /** Lower-case hex SHA-256. */
  readonly textSha256: string;
  readonly parametersSha256: string | null;
};
export type OutcomeRecord = Moment & {
  readonly type: typeof OUTCOME;
  readonly intent: number;
  readonly outcome: Outcome;
};
export type EventRecord = Omit<Moment, "monoMs"> & {
  readonly type: typeof EVENT;
  readonly kind: string;
  readonly facts: Piece;
  /** Null when nothing was left out. */
  readonly truncated: Piece | null;
};
export type AuditRecord = IntentRecord | OutcomeRecord | EventRecord;

/** Reads records from a ring and keeps the tables of pieces. What it returns does not point into the ring. */
export class RecordReader {
  readonly #ring: SharedRing;
  readonly #tables: readonly (Piece | undefined)[][] = TABLES.map(() => []);

  constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  /** The record at a place of the ring; null for a template, which is kept. Throws RangeError for what is no record. */
  read(at: number): AuditRecord | null {
    const { bytes, floats } = this.#ring;
    const type = bytes[at + 4];
    const sequence = floats[(at + SEQUENCE) / 8] ?? 0;
    const timeMs = floats[(at + TIME) / 8] ?? 0;
    if (type === INTENT) return this.#intent(at, sequence, timeMs);
    if (type === OUTCOME) return this.#outcome(at, sequence, timeMs);
    if (type === EVENT) return this.#event(at, sequence, timeMs);
    if (type !== TEMPLATE) throw new RangeError(`no record has the type ${type}`);
    const table = this.#tables[this.#word(at + TEMPLATE_TABLE)];
    if (table === undefined) throw new RangeError("a template names no table");
    table[this.#word(at + TEMPLATE_SLOT)] = this.#copy(at + TEMPLATE_FIXED_BYTES, this.#word(at + TEMPLATE_BYTES));
    return null;
  }

  #event(at: number, sequence: number, timeMs: number): EventRecord {
    const kind = at + EVENT_FIXED_BYTES;
    const facts = kind + this.#word(at + EVENT_KIND_BYTES);
    const factsBytes = this.#word(at + EVENT_FACTS_BYTES);
    const truncatedBytes = this.#word(at + EVENT_TRUNCATED_BYTES);
    return {
      type: EVENT,
      sequence,
      timeMs,
      kind: this.#ring.bytes.toString("utf8", kind, facts),
      facts: this.#copy(facts, factsBytes),
      truncated: truncatedBytes === 0 ? null : this.#copy(facts + factsBytes, truncatedBytes),
    };
  }

  /** The intent that the outcome at a place of the ring belongs to; null when there is no outcome. */
  outcomeAt(at: number): number | null {
    return this.#ring.bytes[at + 4] === OUTCOME ? (this.#ring.floats[(at + OUTCOME_INTENT) / 8] ?? null) : null;
  }

  #intent(at: number, sequence: number, timeMs: number): IntentRecord {
    const { bytes, floats } = this.#ring;
    const idBytes = bytes[at + INTENT_ID_BYTES] ?? 0;
    const textBytes = this.#word(at + INTENT_TEXT_BYTES);
    const parametersBytes = this.#word(at + INTENT_PARAMETERS_BYTES);
    const id = at + INTENT_FIXED_BYTES;
    const text = id + idBytes;
    const parameters = text + textBytes;
    const session = parameters + parametersBytes;
    const statement = session + this.#word(at + INTENT_INLINE_BYTES);
    const decision = statement + this.#word(at + INTENT_INLINE_BYTES + 4);
    return {
      type: INTENT,
      sequence,
      timeMs,
      monoMs: floats[(at + MONO) / 8] ?? 0,
      refused: bytes[at + INTENT_REFUSED] === 1,
      id: this.#copy(id, idBytes),
      session: this.#piece(at, 0, session),
      statement: this.#piece(at, 1, statement),
      decision: this.#piece(at, 2, decision),
      textSha256: this.#hash(bytes[at + INTENT_TEXT_FORM], text, textBytes) ?? "",
      parametersSha256: this.#hash(bytes[at + INTENT_PARAMETERS_FORM], parameters, parametersBytes),
    };
  }

  #outcome(at: number, sequence: number, timeMs: number): OutcomeRecord {
    const { bytes, floats } = this.#ring;
    const status = STATUSES[bytes[at + OUTCOME_STATUS] ?? 0];
    if (status === undefined) throw new RangeError("an outcome has no such status");
    const codeBytes = bytes[at + OUTCOME_CODE_BYTES] ?? 0;
    const rows = floats[(at + OUTCOME_ROWS) / 8] ?? Number.NaN;
    const sent = floats[(at + OUTCOME_BYTES) / 8] ?? Number.NaN;
    const code = at + OUTCOME_FIXED_BYTES;
    return {
      type: OUTCOME,
      sequence,
      timeMs,
      monoMs: floats[(at + MONO) / 8] ?? 0,
      intent: floats[(at + OUTCOME_INTENT) / 8] ?? 0,
      outcome: {
        status,
        ...(codeBytes === 0 ? {} : { code: bytes.toString("utf8", code, code + codeBytes) }),
        ...(Number.isNaN(rows) ? {} : { rows }),
        ...(Number.isNaN(sent) ? {} : { bytes: sent }),
      },
    };
  }

  #word(at: number): number {
    return this.#ring.words[at / 4] ?? 0;
  }

  #piece(at: number, place: number, inlineAt: number): Piece {
    const slot = this.#word(at + INTENT_SLOTS + 4 * place);
    if (slot === INLINE) return this.#copy(inlineAt, this.#word(at + INTENT_INLINE_BYTES + 4 * place));
    const piece = this.#tables[place]?.[slot];
    if (piece === undefined) throw new RangeError(`an intent names the ${TABLES[place]} ${slot}, which was never sent`);
    return piece;
  }

  #hash(form: number | undefined, at: number, sizeBytes: number): string | null {
    const { bytes } = this.#ring;
    if (form === HASH_AS_HEX) return bytes.toString("latin1", at, at + sizeBytes);
    if (form === HASH) return bytes.toString("hex", at, at + sizeBytes);
    if (form === RAW) return sha256Hex(bytes.subarray(at, at + sizeBytes));
    return null;
  }

  #copy(at: number, sizeBytes: number): Piece {
    return new Uint8Array(this.#ring.bytes.subarray(at, at + sizeBytes));
  }
}
