/** What TLS with a target demands of its certificate: libpq's sslmode require, verify-ca and verify-full. */
import type { TLSOptions as BunTlsOptions } from "bun";
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { getCACertificates } from "node:tls";
import type { TlsOptions } from "../core/ports.ts";
import { causeOf, codeOf } from "./dial-error.ts";

/** The error of a certificate whose chain is good, but which is for another name. */
const NAME_MISMATCH = "ERR_TLS_CERT_ALTNAME_INVALID";
/** The peer chooses its names; a message shows so much of them. */
const NAMES_CHARS_MAX = 200;
const ALPN_NAME_BYTES_MAX = 255;

/** The options of the handshake; its verdict must be asked of `problemOf`. */
export function tlsSettings(options: TlsOptions): BunTlsOptions {
  const isAddress = isIP(options.serverName) !== 0;
  const ca = options.ca ?? systemAuthorities();
  return {
    // An address must not be sent as a server name (RFC 6066, section 3).
    serverName: isAddress ? "" : options.serverName,
    // What Bun would not refuse by itself, problemOf() does: the first two modes, and addresses.
    rejectUnauthorized: options.verify === "full" && !isAddress,
    ...(ca === undefined ? {} : { ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.alpn === undefined ? {} : { ALPNProtocols: protocolNames(options.alpn) }),
  };
}

/**
 * Null when the peer is who it should be, else what is wrong. `error` is what the library found: the chain's problem
 * first, and only when there is none the name's.
 */
export function problemOf(
  options: TlsOptions,
  error: Error | null,
  certificate: X509Certificate | undefined,
): string | null {
  if (certificate === undefined) return error === null ? "it showed no certificate" : causeOf(error);
  if (options.verify === "encrypt") return null;
  if (error !== null && codeOf(error) !== NAME_MISMATCH) return causeOf(error);
  if (options.verify === "ca" || isFor(certificate, options.serverName, error)) return null;
  return `its certificate is not for ${options.serverName}, but for ${namesOf(certificate)}`;
}

/** As libpq compares: a wildcard stands for one whole label, the common name counts only without DNS names. */
function isFor(certificate: X509Certificate, name: string, error: Error | null): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return error === null && certificate.checkHost(name, { partialWildcards: false }) !== undefined;
}

function namesOf(certificate: X509Certificate): string {
  const names = certificate.subjectAltName ?? certificate.subject.replaceAll("\n", ", ");
  return names.length <= NAMES_CHARS_MAX ? names : `${names.slice(0, NAMES_CHARS_MAX)}...`;
}

/** The machine's own list where there is one; undefined stands for Mozilla's, which Bun carries. */
function systemAuthorities(): string[] | undefined {
  const system = getCACertificates("system");
  return system.length > 0 ? system : undefined;
}

/** Each name behind its length: RFC 7301, section 3.1. */
function protocolNames(names: readonly string[]): Buffer {
  return Buffer.concat(
    names.map((name) => {
      const bytes = Buffer.from(name);
      if (bytes.length === 0 || bytes.length > ALPN_NAME_BYTES_MAX) throw new Error("an ALPN name has 1 to 255 bytes");
      return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    }),
  );
}
