/** Refusals in PostgreSQL's own words: an ErrorResponse with SQLSTATE, message, rule ids and what to do. */
import type { Refusal, RefusalCode } from "../../src/core/decision.ts";
import { encodeError } from "./protocol/backend.ts";

/** https://www.postgresql.org/docs/18/errcodes-appendix.html */
const SQLSTATE: Readonly<Record<RefusalCode, string>> = {
  denied: "42501",
  not_understood: "42501",
  unauthenticated: "28000",
  audit_unavailable: "58030",
  recording_unavailable: "58030",
  approval_denied: "42501",
  approval_expired: "57014",
  cancelled: "57014",
  limit: "53400",
  target_unavailable: "08001",
  protocol: "08P01",
  draining: "57P01",
  killed: "57P01",
  internal: "XX000",
};

/** What the refusal is called where PostgreSQL has a closer word than the general one; `reason` is added to the message. */
export type Closer = {
  readonly sqlState?: string;
  readonly message?: string;
  readonly position?: number;
  readonly reason?: string;
};

/**
 * `fatal` ends the session in the client's eyes (severity FATAL). The message ends with the id to quote;
 * DETAIL holds the rule ids, HINT what to do.
 */
export function encodeRefusal(refusal: Refusal, severity: "ERROR" | "FATAL", closer?: Closer): Uint8Array {
  const isSaid = closer?.reason === undefined || refusal.message.endsWith(closer.reason);
  const reason = isSaid ? "" : `; the reason: ${closer.reason}`;
  const message = (closer?.message ?? refusal.message) + reason;
  const fields: [string, string][] = [
    ["S", severity],
    ["V", severity],
    ["C", closer?.sqlState ?? SQLSTATE[refusal.code]],
    ["M", refusal.event === "" ? message : `${message} (id ${refusal.event})`],
  ];
  if (refusal.rules.length > 0) fields.push(["D", `Decided by: ${refusal.rules.join(", ")}.`]);
  if (refusal.hint !== "") fields.push(["H", refusal.hint]);
  if (closer?.position !== undefined && closer.position > 0) fields.push(["P", String(closer.position)]);
  return encodeError(fields);
}

/** The SQLSTATE a refusal is recorded with. */
export function sqlStateOf(refusal: Refusal, closer?: Closer): string {
  return closer?.sqlState ?? SQLSTATE[refusal.code];
}
