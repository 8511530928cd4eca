/** The writer's side of the ring: reads records out of it, and keeps the pieces that they share. */
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
  EVENT,
  EVENT_FACTS_BYTES,
  EVENT_FIXED_BYTES,
  EVENT_KIND_BYTES,
  EVENT_TRUNCATED_BYTES,
  HASH,
  HASH_AS_HEX,
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
} from "./record-layout.ts";
import type { SharedRing } from "./ring.ts";
import { hexOf, sha256 } from "./sha256.ts";

/** When a record was handed over: wall time and monotonic time, both in milliseconds. */
export type Moment = { readonly sequence: number; readonly timeMs: number; readonly monoMs: number };

export type Piece = Uint8Array<ArrayBuffer>;
export type IntentRecord = Moment & {
  readonly type: typeof INTENT;
  readonly refused: boolean;
  readonly id: Piece;
  readonly session: Piece;
  readonly statement: Piece;
  readonly decision: Piece;
  /** Lower-case hex SHA-256, as ASCII. */
  readonly textSha256: Piece;
  readonly parametersSha256: Piece | null;
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
/** `number` is a size, an index or an instant, as the kind says. */
export type ChoreRecord = {
  readonly type: typeof CHORE;
  readonly kind: ChoreKind;
  readonly timeMs: number;
  readonly number: number;
  readonly data: Piece;
};

/** Reads records from a ring and keeps the tables of pieces. What it returns does not point into the ring. */
export class RecordReader {
  readonly #ring: SharedRing;
  readonly #tables: readonly (Piece | undefined)[][] = TABLES.map(() => []);

  constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  /** The record at a place of the ring; null for a template, which is kept. Throws RangeError for what is no record. */
  read(at: number): AuditRecord | ChoreRecord | null {
    const { bytes, floats } = this.#ring;
    const type = bytes[at + 4];
    const sequence = floats[(at + SEQUENCE) / 8] ?? 0;
    const timeMs = floats[(at + TIME) / 8] ?? 0;
    if (type === INTENT) return this.#intent(at, sequence, timeMs);
    if (type === OUTCOME) return this.#outcome(at, sequence, timeMs);
    if (type === EVENT) return this.#event(at, sequence, timeMs);
    if (type === CHORE) return this.#chore(at, timeMs);
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

  #chore(at: number, timeMs: number): ChoreRecord {
    const kind = CHORES[this.#ring.bytes[at + CHORE_KIND] ?? CHORES.length];
    if (kind === undefined) throw new RangeError("the writer has no such chore");
    const data = this.#copy(at + CHORE_FIXED_BYTES, this.#word(at + CHORE_DATA_BYTES));
    return { type: CHORE, kind, timeMs, number: this.#ring.floats[(at + CHORE_NUMBER) / 8] ?? 0, data };
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
      textSha256: this.#hash(bytes[at + INTENT_TEXT_FORM], text, textBytes),
      parametersSha256:
        bytes[at + INTENT_PARAMETERS_FORM] === ABSENT
          ? null
          : this.#hash(bytes[at + INTENT_PARAMETERS_FORM], parameters, parametersBytes),
    };
  }

  #outcome(at: number, sequence: number, timeMs: number): OutcomeRecord {
    const { bytes, floats } = this.#ring;
    const status = STATUSES[bytes[at + OUTCOME_STATUS] ?? 0];
    if (status === undefined) throw new RangeError("an outcome has no such status");
    const codeBytes = bytes[at + OUTCOME_CODE_BYTES] ?? 0;
    const rows = floats[(at + OUTCOME_ROWS) / 8] ?? Number.NaN;
    const sent = floats[(at + OUTCOME_BYTES) / 8] ?? Number.NaN;
    const rangesBytes = bytes[at + OUTCOME_RANGES_BYTES] ?? 0;
    const code = at + OUTCOME_FIXED_BYTES;
    const ranges = code + codeBytes;
    const sha256Hex = ranges + rangesBytes;
    const outcome: { -readonly [Key in keyof Outcome]: Outcome[Key] } = { status };
    if (codeBytes > 0) outcome.code = bytes.toString("utf8", code, code + codeBytes);
    if (!Number.isNaN(rows)) outcome.rows = rows;
    if (!Number.isNaN(sent)) outcome.bytes = sent;
    if (rangesBytes > 0) outcome.ranges = bytes.toString("latin1", ranges, sha256Hex);
    if (bytes[at + OUTCOME_HAS_SHA256] === 1) {
      outcome.sha256 = bytes.toString("latin1", sha256Hex, sha256Hex + SHA256_HEX);
    }
    return {
      type: OUTCOME,
      sequence,
      timeMs,
      monoMs: floats[(at + MONO) / 8] ?? 0,
      intent: floats[(at + OUTCOME_INTENT) / 8] ?? 0,
      outcome,
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

  #hash(form: number | undefined, at: number, sizeBytes: number): Piece {
    if (form === HASH_AS_HEX) return this.#copy(at, sizeBytes);
    const bytes = this.#ring.bytes.subarray(at, at + sizeBytes);
    if (form === HASH) return hexOf(bytes);
    if (form === RAW) return hexOf(sha256(bytes));
    throw new RangeError(`no text or parameters travel in the form ${form}`);
  }

  #copy(at: number, sizeBytes: number): Piece {
    return new Uint8Array(this.#ring.bytes.subarray(at, at + sizeBytes));
  }
}
