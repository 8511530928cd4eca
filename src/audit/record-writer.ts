/** The gateway's side of the ring: writes records into it. */
import type { OperationParameters } from "../core/operation.ts";
import type { Outcome } from "../core/ports.ts";
import {
  ABSENT,
  CHORE,
  CHORE_DATA_BYTES,
  CHORE_FIXED_BYTES,
  CHORE_KIND,
  CHORE_NUMBER,
  type ChoreKind,
  CHORES,
  CODE_UNITS_MAX,
  EVENT,
  EVENT_FACTS_BYTES,
  EVENT_FIXED_BYTES,
  EVENT_KIND_BYTES,
  EVENT_TRUNCATED_BYTES,
  HASH,
  HASH_AS_HEX,
  ID_BYTES_MAX,
  INLINE,
  INTENT,
  INTENT_FIXED_BYTES,
  INTENT_ID_BYTES,
  INTENT_INLINE_BYTES,
  INTENT_PARAMETERS_BYTES,
  INTENT_PARAMETERS_FORM,
  INTENT_REFUSED,
  INTENT_SLOTS,
  INTENT_TEXT_BYTES,
  INTENT_TEXT_FORM,
  MONO,
  OUTCOME,
  OUTCOME_BYTES,
  OUTCOME_CODE_BYTES,
  OUTCOME_FIXED_BYTES,
  OUTCOME_HAS_SHA256,
  OUTCOME_INTENT,
  OUTCOME_RANGES_BYTES,
  OUTCOME_ROWS,
  OUTCOME_STATUS,
  RANGES_UNITS_MAX,
  RAW,
  SEQUENCE,
  SHA256_HEX,
  STATUSES,
  TABLES,
  TEMPLATE,
  TEMPLATE_BYTES,
  TEMPLATE_FIXED_BYTES,
  TEMPLATE_SLOT,
  TEMPLATE_TABLE,
  TIME,
  UNHASHED_BYTES_MAX,
  type Table,
} from "./record-layout.ts";
import { RECORD_BYTES_MAX, RESERVE_BYTES, type RingProducer, type SharedRing } from "./ring.ts";
import { SHA256_BYTES, sha256 } from "./sha256.ts";

/** A piece that is already known by a number, or the piece itself. */
export type PieceRef = number | string;

export type IntentFields = {
  readonly id: string;
  readonly refused: boolean;
  readonly session: PieceRef;
  readonly statement: PieceRef;
  readonly decision: PieceRef;
  readonly text: string;
  readonly textSha256: string | null;
  readonly parameters: OperationParameters | undefined;
  /** The operation waits until its intent is durable. */
  readonly isAwaited: boolean;
};

/** What travels as it is; all else as its hash. */
function hashedWhenLong(parameters: OperationParameters | undefined): OperationParameters | undefined {
  if (!(parameters instanceof Uint8Array) || parameters.length <= UNHASHED_BYTES_MAX) return parameters;
  return { sha256: sha256(parameters) };
}

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
    const parameters = hashedWhenLong(fields.parameters);
    const parametersRoom = parameters instanceof Uint8Array ? parameters.length : SHA256_BYTES;
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
    else if (parameters instanceof Uint8Array) {
      bytes.set(parameters, end);
      end += parameters.length;
      form = RAW;
    } else {
      bytes.set(parameters.sha256, end);
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
    this.#producer.commit(at, INTENT, end - at, fields.isAwaited);
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
    const ranges = outcome.ranges === undefined ? "" : outcome.ranges.slice(0, RANGES_UNITS_MAX);
    const sha256Hex = outcome.sha256?.length === SHA256_HEX ? outcome.sha256 : "";
    const room = OUTCOME_FIXED_BYTES + code.length * 3 + ranges.length + sha256Hex.length;
    const at = this.#producer.reserve(room, 0);
    if (at < 0) return false;
    floats[(at + SEQUENCE) / 8] = sequence;
    floats[(at + TIME) / 8] = timeMs;
    floats[(at + MONO) / 8] = monoMs;
    floats[(at + OUTCOME_INTENT) / 8] = intent;
    floats[(at + OUTCOME_ROWS) / 8] = outcome.rows ?? Number.NaN;
    floats[(at + OUTCOME_BYTES) / 8] = outcome.bytes ?? Number.NaN;
    words[(at + OUTCOME_STATUS) / 4] = STATUSES.indexOf(outcome.status);
    let end = at + OUTCOME_FIXED_BYTES;
    end += bytes[at + OUTCOME_CODE_BYTES] = code === "" ? 0 : bytes.write(code, end, "utf8");
    end += bytes[at + OUTCOME_RANGES_BYTES] = ranges === "" ? 0 : bytes.write(ranges, end, "latin1");
    bytes[at + OUTCOME_HAS_SHA256] = sha256Hex === "" ? 0 : 1;
    if (sha256Hex !== "") end += bytes.write(sha256Hex, end, "latin1");
    this.#producer.commit(at, OUTCOME, end - at, false);
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
    this.#producer.commit(at, EVENT, end - at, true);
    return true;
  }

  /** Throws RangeError when the data does not fit one record. */
  chore(kind: ChoreKind, timeMs: number, number: number, data: Uint8Array): boolean {
    const { bytes, words, floats } = this.#ring;
    const at = this.#producer.reserve(CHORE_FIXED_BYTES + data.length, RESERVE_BYTES);
    if (at < 0) return false;
    floats[(at + TIME) / 8] = timeMs;
    floats[(at + CHORE_NUMBER) / 8] = number;
    bytes[at + CHORE_KIND] = CHORES.indexOf(kind);
    words[(at + CHORE_DATA_BYTES) / 4] = data.length;
    bytes.set(data, at + CHORE_FIXED_BYTES);
    this.#producer.commit(at, CHORE, CHORE_FIXED_BYTES + data.length, true);
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
    this.#producer.commit(at, TEMPLATE, TEMPLATE_FIXED_BYTES + written, false);
    return true;
  }
}

function inlineUnits(piece: PieceRef): number {
  return typeof piece === "number" ? 0 : piece.length;
}
