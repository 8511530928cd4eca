/** The certificate of listeners with `tls: auto`: made on first start, kept in the data folder, so that clients can pin it. */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { selfSignedCertificate } from "./certificate.ts";
import type { CertificateAndKey } from "./certificate.ts";
import { readKept, writeKept } from "./kept-file.ts";
import { StoreError } from "./store-error.ts";

/** Where the certificate lies; clients take it as `sslrootcert`. */
export function certificatePath(folder: string): string {
  return join(folder, "gateway.crt");
}

/**
 * Reads certificate and key, or makes them for these names; `now` in milliseconds since the epoch.
 * Throws StoreError when what is there cannot be used, because making another would break clients that pinned it.
 */
export function keptCertificate(folder: string, names: readonly string[], now: number): CertificateAndKey {
  const certPath = certificatePath(folder);
  const keyPath = join(folder, "gateway.key");
  const cert = readKept(certPath);
  const key = readKept(keyPath);
  if (cert !== null && key !== null) {
    if (Date.parse(expiryOf(cert, certPath)) > now) return { cert, key };
    throw new StoreError(`${certPath} has expired; remove it and ${keyPath}, and the next start makes new ones`);
  }
  // A key alone was left by a start that ended between the two files; nobody has seen its certificate.
  if (cert !== null) throw new StoreError(`${keyPath} is gone; put it back, or remove ${certPath} too to get new ones`);
  const made = selfSignedCertificate(names, now);
  writeKept(keyPath, made.key, 0o600);
  writeKept(certPath, made.cert, 0o644);
  return made;
}

function expiryOf(cert: string, path: string): string {
  try {
    return new X509Certificate(cert).validTo;
  } catch {
    throw new StoreError(`${path} is damaged; remove it to get a new one`);
  }
}
