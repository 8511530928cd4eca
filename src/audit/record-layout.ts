/** How the binary records that cross the ring are laid out; one side writes them, the other reads them. */
import type { Outcome } from "../core/ports.ts";

export const INTENT = 1;
export const OUTCOME = 2;
export const EVENT = 3;
export const TEMPLATE = 4;
export const CHORE = 5;

/** What the writer is asked to do besides recording; none of it has a sequence. */
export const CHORES = [
  /** Sign a checkpoint, when the log has grown since the last one. */
  "checkpoint",
  /** Append an entry that says that nothing happened, and sign it. */
  "heartbeat",
  /** Keep a checkpoint with cosignatures (`data` is the note), or a time stamp of one (`data` is the token). */
  "cosigned",
  "stamp",
  /** Exchange the log's key. */
  "rotate",
  /** Prune what lies before an index, or before an instant. */
  "pruneBefore",
  "pruneOlder",
] as const;
export type ChoreKind = (typeof CHORES)[number];

/** The tables of shared pieces, and how many slots each has; both sides reuse them in order. */
export const TABLES = ["session", "statement", "decision"] as const;
export type Table = (typeof TABLES)[number];
export const TEMPLATE_SLOTS: Readonly<Record<Table, number>> = { session: 4096, statement: 4096, decision: 1024 };
/** A larger piece travels inside its record, so that the tables stay below 36 MiB on either side. */
export const TEMPLATE_BYTES_MAX = 4096;

/** What was not hashed yet travels up to this size and is hashed by the writer; more is hashed where it is. */
export const UNHASHED_BYTES_MAX = 64 * 1024;
export const ID_BYTES_MAX = 255;
export const CODE_UNITS_MAX = 64;
export const RANGES_UNITS_MAX = 255;
export const SHA256_HEX = 64;

export const STATUSES = [
  "done",
  "failed",
  "refused",
  "skipped",
  "cancelled",
  "unknown",
] as const satisfies readonly Outcome["status"][];

/* How a text or the parameters travel. */
export const ABSENT = 0;
export const RAW = 1;
export const HASH = 2;
export const HASH_AS_HEX = 3;

/* Places in a record, in bytes from its start; what is a float or a word is aligned to its size. */
export const SEQUENCE = 8;
export const TIME = 16;
export const MONO = 24;
export const INTENT_SLOTS = 32;
export const INTENT_INLINE_BYTES = 44;
export const INTENT_TEXT_BYTES = 56;
export const INTENT_PARAMETERS_BYTES = 60;
export const INTENT_ID_BYTES = 64;
export const INTENT_TEXT_FORM = 65;
export const INTENT_PARAMETERS_FORM = 66;
export const INTENT_REFUSED = 67;
export const INTENT_FIXED_BYTES = 68;
export const OUTCOME_INTENT = 32;
export const OUTCOME_ROWS = 40;
export const OUTCOME_BYTES = 48;
export const OUTCOME_STATUS = 56;
export const OUTCOME_CODE_BYTES = 57;
export const OUTCOME_RANGES_BYTES = 58;
export const OUTCOME_HAS_SHA256 = 59;
export const OUTCOME_FIXED_BYTES = 60;
export const EVENT_KIND_BYTES = 24;
export const EVENT_FACTS_BYTES = 28;
export const EVENT_TRUNCATED_BYTES = 32;
export const EVENT_FIXED_BYTES = 36;
export const TEMPLATE_TABLE = 8;
export const TEMPLATE_SLOT = 12;
export const TEMPLATE_BYTES = 16;
export const TEMPLATE_FIXED_BYTES = 20;
export const CHORE_NUMBER = 24;
export const CHORE_KIND = 32;
export const CHORE_DATA_BYTES = 36;
export const CHORE_FIXED_BYTES = 40;
export const INLINE = 0xffffffff;
