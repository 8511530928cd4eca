/** Why a connection to a target could not be made, or could not be made safe. The messages are for operators. */

/** The address does not answer. */
export class DialError extends Error {
  readonly code = "DIAL_FAILED";
}

/** The peer could not be verified as asked, or did not keep to the protocol around the upgrade to TLS. */
export class TlsError extends Error {
  readonly code = "TLS_FAILED";
}

const CAUSES: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection refused: nothing listens there"],
  ["ENOTFOUND", "the host name cannot be resolved"],
  ["ENOENT", "there is no such socket"],
  ["EACCES", "permission denied"],
  ["EHOSTUNREACH", "no route to the host"],
  ["ENETUNREACH", "no route to the network"],
  ["ETIMEDOUT", "no answer"],
  ["ECONNRESET", "the connection was reset"],
  ["CERT_HAS_EXPIRED", "its certificate has expired"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is signed by itself, not by a trusted authority (set `ca`)"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "its certificate comes from an authority that is not trusted (set `ca`)"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "its certificate comes from an authority that is not trusted (set `ca`)"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "its certificate comes from an authority that is not trusted (set `ca`)"],
]);

const OPENSSL_MARK = "OPENSSL_internal:";

/** What went wrong, in words where the system only gives a code. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  const code = codeOf(error);
  const known = code === null ? undefined : CAUSES.get(code);
  if (known !== undefined) return known;
  // error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER
  const at = error.message.lastIndexOf(OPENSSL_MARK);
  return at < 0 ? error.message : `TLS failed: ${error.message.slice(at + OPENSSL_MARK.length)}`;
}

/** The system's code of an error, such as ECONNREFUSED. */
export function codeOf(error: Error): string | null {
  return "code" in error && typeof error.code === "string" ? error.code : null;
}
