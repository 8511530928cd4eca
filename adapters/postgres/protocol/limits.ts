/** How long each message may say it is, and when a client may send it; checked by the header, before a body is waited for. */
import { BACKEND, FRONTEND } from "./types.ts";

/** All lengths are of the body: without the type byte and without the length's own four bytes. */

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
export const STARTUP_BYTES_MAX = 10_000;
/** A packet of 10,000 bytes could hold 3,333 pairs; libpq sends at most a dozen. */
export const STARTUP_PARAMETERS_MAX = 128;
/** PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
export const PASSWORD_BYTES_MAX = 65_535;
/** PostgreSQL's PQ_SMALL_MESSAGE_LIMIT. */
const SMALL_BYTES_MAX = 10_000;
/** Where the configuration says nothing. */
const STATEMENT_BYTES_MAX = 256 * 1024;
/** PostgreSQL's MaxAllocSize: nothing it keeps or sends is longer. */
export const LARGE_BYTES_MAX = 0x3fffffff;
/**
 * NAMEDATALEN - 1. The server keeps statements and portals by the first 63 bytes of their names without saying so, so
 * a longer name would mean one thing here and another there: it is refused.
 */
export const NAME_BYTES_MAX = 63;
/** Counts are 16 bits wide and unsigned. */
const COUNT_MAX = 65_535;
/** What protocol 3.2 allows; 3.0 has exactly 4. */
export const CANCEL_SECRET_BYTES_MIN = 4;
export const CANCEL_SECRET_BYTES_MAX = 256;

/** Errors and notices are collected to be read; libpq takes 30,000 bytes before login. */
const REPORT_BYTES_MAX = 16 * 1024 * 1024;
/** 1,664 columns with names of 63 bytes, each converted to at most four. */
const ROW_DESCRIPTION_BYTES_MAX = 512 * 1024;
/** What libpq takes for messages that are not meant to be long. */
const SHORT_REPLY_BYTES_MAX = 30_000;
/** libpq takes 2,000 bytes including the length. */
const AUTHENTICATION_BYTES_MAX = 1_996;
/** A payload is below 8,000 bytes on the server; conversion may make four of each. */
const NOTIFICATION_BYTES_MAX = 64 * 1024;
/** COMPLETION_TAG_BUFSIZE is 64; forks may be more talkative. */
export const TAG_BYTES_MAX = 256;

/**
 * The longest body a client may announce for a message of this type; null: no message a client may send.
 * `statementBytesMax` bounds the SQL of Query and Parse.
 */
export function frontendBodyBytesMax(type: number, statementBytesMax = STATEMENT_BYTES_MAX): number | null {
  switch (type) {
    case FRONTEND.query:
      return statementBytesMax + 1;
    case FRONTEND.parse:
      // The name (too long a one is refused by name, not by length), the types.
      return statementBytesMax + 1 + SMALL_BYTES_MAX + 2 + 4 * COUNT_MAX;
    case FRONTEND.bind:
    case FRONTEND.copyData:
    case FRONTEND.functionCall:
      return LARGE_BYTES_MAX;
    case FRONTEND.describe:
    case FRONTEND.close:
    case FRONTEND.execute:
    case FRONTEND.copyFail:
      return SMALL_BYTES_MAX;
    case FRONTEND.password:
      return PASSWORD_BYTES_MAX;
    case FRONTEND.sync:
    case FRONTEND.flush:
    case FRONTEND.copyDone:
    case FRONTEND.terminate:
      return 0;
    default:
      return null;
  }
}

/** The longest body a server may announce for a message of this type; null: no message a server may send. */
export function backendBodyBytesMax(type: number): number | null {
  switch (type) {
    case BACKEND.dataRow:
    case BACKEND.copyData:
    case BACKEND.functionCallResponse:
      return LARGE_BYTES_MAX;
    case BACKEND.error:
    case BACKEND.notice:
      return REPORT_BYTES_MAX;
    case BACKEND.rowDescription:
      return ROW_DESCRIPTION_BYTES_MAX;
    case BACKEND.parameterDescription:
      return 2 + 4 * COUNT_MAX;
    case BACKEND.notification:
      return NOTIFICATION_BYTES_MAX;
    case BACKEND.parameterStatus:
    case BACKEND.negotiateProtocolVersion:
    case BACKEND.copyIn:
    case BACKEND.copyOut:
    case BACKEND.copyBoth:
      return SHORT_REPLY_BYTES_MAX;
    case BACKEND.authentication:
      return AUTHENTICATION_BYTES_MAX;
    case BACKEND.backendKeyData:
      return 4 + CANCEL_SECRET_BYTES_MAX;
    case BACKEND.commandComplete:
      return TAG_BYTES_MAX;
    case BACKEND.readyForQuery:
      return 1;
    case BACKEND.parseComplete:
    case BACKEND.bindComplete:
    case BACKEND.closeComplete:
    case BACKEND.noData:
    case BACKEND.portalSuspended:
    case BACKEND.emptyQuery:
    case BACKEND.copyDone:
      return 0;
    default:
      return null;
  }
}

/** login: until AuthenticationOk. ready: afterwards. copyIn: from CopyInResponse until the copy ends. */
export type ClientPhase = "login" | "ready" | "copyIn";

/**
 * May a client send a message of this type now? It may leave at any time, and it may send what the server ignores:
 * libpq does, after a failed COPY and in the middle of one.
 */
export function clientMaySend(phase: ClientPhase, type: number): boolean {
  if (type === FRONTEND.terminate) return true;
  if (phase === "login") return type === FRONTEND.password;
  if (phase === "ready") return type !== FRONTEND.password && frontendBodyBytesMax(type) !== null;
  return COPY_IN_TYPES.has(type);
}

const COPY_IN_TYPES: ReadonlySet<number> = new Set([
  FRONTEND.copyData,
  FRONTEND.copyDone,
  FRONTEND.copyFail,
  // The server ignores both: they were sent before the client knew that it was a COPY.
  FRONTEND.flush,
  FRONTEND.sync,
]);
