/** A listener's certificate and key: real ones, and every way in which they can be wrong. */
import { describe, expect, test } from "bun:test";
import { createAuthority } from "../../test/servers/certificates.ts";
import { certificateProblem } from "./certificates.ts";

const authority = createAuthority();
const good = authority.issue("gw.example.com", { names: ["DNS:gw.example.com"] });
const other = authority.issue("other.example.com");
const expired = authority.issue("old.example.com", { expired: true });
const broken = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const NOW = Date.now();

describe("a certificate and its key", () => {
  test("that belong together are fine, with or without an authority for clients", () => {
    expect(certificateProblem(good, NOW)).toBeNull();
    expect(certificateProblem({ ...good, clientCa: authority.cert }, NOW)).toBeNull();
  });

  const table: readonly [name: string, tls: Parameters<typeof certificateProblem>[0], key: string, message: string][] =
    [
      ["cannot be read", { ...good, cert: broken }, "cert", "this is no certificate that can be read"],
      [
        "have a key that is none",
        { ...good, key: broken },
        "key",
        "this is no key that can be read; it must not be encrypted",
      ],
      ["belong to different people", { ...good, key: other.key }, "key", "the key does not belong to the certificate"],
      [
        "have an authority that is none",
        { ...good, clientCa: broken },
        "clientCa",
        "this is no certificate that can be read",
      ],
    ];
  for (const [name, tls, key, message] of table) {
    test(`that ${name} are refused`, () => {
      expect(certificateProblem(tls, NOW)).toEqual({ key: key as "cert", message });
    });
  }

  test("that have expired are refused", () => {
    const problem = certificateProblem(expired, NOW);
    expect(problem?.key).toBe("cert");
    expect(problem?.message).toStartWith("the certificate expired on ");
  });
});
