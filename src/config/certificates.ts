/** Whether a listener's certificate and key can be used, as far as that can be said before it is. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** Null when all is well, else the key of the `tls` map it is about and what is wrong; `now` in milliseconds. */
export function certificateProblem(
  tls: { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined },
  now: number,
): { readonly key: "cert" | "key" | "clientCa"; readonly message: string } | null {
  const certificate = readCertificate(tls.cert);
  if (certificate === null) return { key: "cert", message: "this is no certificate that can be read" };
  if (tls.clientCa !== undefined && readCertificate(tls.clientCa) === null) {
    return { key: "clientCa", message: "this is no certificate that can be read" };
  }
  const key = readKey(tls.key);
  if (key === null) return { key: "key", message: "this is no key that can be read; it must not be encrypted" };
  if (!certificate.checkPrivateKey(key)) return { key: "key", message: "the key does not belong to the certificate" };
  if (Date.parse(certificate.validTo) <= now)
    return { key: "cert", message: `the certificate expired on ${certificate.validTo}` };
  return null;
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function readKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}
