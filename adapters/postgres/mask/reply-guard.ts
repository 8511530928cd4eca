/** What a server may tell the client of a governed session beside its rows: errors, notices and reports are channels too. */
import {
  decodeErrorFields,
  decodeNotification,
  decodeRowDescription,
  encodeError,
  encodeNotice,
} from "../protocol/backend.ts";
import type { MaskingPlan } from "./plan.ts";

/** What is known of the statement that a message answers. */
export type AnsweredStatement = {
  /** It touches a masked relation, or calls what is not built in. */
  readonly hidesDetail: boolean;
  /** Where a position in what was sent lies in the client's text; null: what was sent is that text. */
  readonly positions: { toOriginal(position: number): number } | null;
};

/** Nothing is known: as little as possible is said. */
export const UNKNOWN_STATEMENT: AnsweredStatement = { hidesDetail: true, positions: null };

/** The server's own words about data: detail, hint, context, and what stood inside a function. */
const DETAILS: ReadonlySet<string> = new Set(["D", "H", "W", "p", "q"]);
/** raise_exception. A function chooses its own code, and five letters say much. */
const RAISED = "P0001";
const WITHHELD = "an error inside a function or a trigger; what it says stays with the server";

/** Reports whose values are the server's own words, whoever has set them. */
const FIXED_REPORTS: ReadonlySet<string> = new Set([
  "client_encoding",
  "DateStyle",
  "IntervalStyle",
  "default_transaction_read_only",
  "in_hot_standby",
  "integer_datetimes",
  "is_superuser",
  "server_encoding",
  "server_version",
  "standard_conforming_strings",
]);

export class ReplyGuard {
  readonly #plan: MaskingPlan;

  constructor(plan: MaskingPlan) {
    this.#plan = plan;
  }

  /** The ErrorResponse that the client gets instead; a body that is none becomes an error without words. */
  error(body: Uint8Array, statement: AnsweredStatement): Uint8Array {
    return encodeError(this.#fields(body, statement));
  }

  /** The NoticeResponse that the client gets instead; null: none. Functions raise notices with what they have read. */
  notice(body: Uint8Array, statement: AnsweredStatement): Uint8Array | null {
    const fields = fieldsOf(body);
    if ((fields.get("V") ?? fields.get("S")) !== "WARNING" || fields.has("W")) return null;
    return encodeNotice(this.#fields(body, statement));
  }

  #fields(body: Uint8Array, statement: AnsweredStatement): Map<string, string> {
    const fields = fieldsOf(body);
    const isInside = comesFromInside(fields.get("W"));
    if (isInside || statement.hidesDetail) for (const code of DETAILS) fields.delete(code);
    if (isInside) {
      fields.set("M", WITHHELD);
      fields.set("C", RAISED);
      fields.delete("P");
      // Names of what it speaks of, and where in the server's source: a function may set most of these as well.
      for (const code of ["s", "t", "c", "d", "n", "F", "L", "R"]) fields.delete(code);
    }
    const position = Number(fields.get("P"));
    if (statement.positions !== null && Number.isSafeInteger(position) && position > 0) {
      fields.set("P", String(statement.positions.toOriginal(position)));
    }
    return fields;
  }

  /** Does no result column come straight from a masked column? */
  mayDescribe(body: Uint8Array): boolean {
    return decodeRowDescription(body).every(({ tableOid, column }) => !this.#plan.isMaskedOrigin(tableOid, column));
  }

  mayNotify(body: Uint8Array): boolean {
    return this.#plan.listenChannels.has(decodeNotification(body).channel);
  }

  /** `isSessionWork`: it answers a statement that only works on the session, whose words are the client's own. */
  mayReport(name: string, isSessionWork: boolean): boolean {
    return isSessionWork || FIXED_REPORTS.has(name);
  }
}

/**
 * How the server's own contexts begin, which tell where it was in the client's data (COPY, JSON, a parameter) or for which
 * row it waited. Every other is that of a function, a trigger or a check; within one of those its line stands before.
 */
const OWN_CONTEXTS: readonly string[] = [
  "COPY ",
  "JSON data, line ",
  "unnamed portal parameter $",
  'portal "',
  "while updating tuple (",
  "while deleting tuple (",
  "while locking tuple (",
  "while locking updated version (",
  "while rechecking updated tuple (",
  "while inserting index tuple (",
  "while checking uniqueness of tuple (",
  "while checking exclusion constraint on tuple (",
];
/** All that is said of an error in one of them. */
const PARALLEL_WORKER = "parallel worker";

function comesFromInside(context: string | undefined): boolean {
  if (context === undefined || context === PARALLEL_WORKER) return false;
  return context.includes("\n") || !OWN_CONTEXTS.some((opening) => context.startsWith(opening));
}

function fieldsOf(body: Uint8Array): Map<string, string> {
  try {
    return new Map(decodeErrorFields(body).fields);
  } catch {
    return new Map([
      ["S", "ERROR"],
      ["V", "ERROR"],
      ["C", "XX000"],
      ["M", "the server's error could not be read"],
    ]);
  }
}
