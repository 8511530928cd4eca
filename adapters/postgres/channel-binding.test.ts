/** Tests that logins are bound to certificates of every kind as PostgreSQL binds them, and that no bytes make the reader fail. */
import { describe, expect, test, setDefaultTimeout } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import * as fc from "fast-check";
import { createAuthority, type IssueOptions } from "../../test/servers/certificates.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import { ANY_PERMIT, dialUpstream } from "../../test/servers/upstream.ts";
import { tlsServerEndPoint } from "./channel-binding.ts";
import { logIn } from "./upstream.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

type KeyType = NonNullable<IssueOptions["keyType"]>;
const der = (pem: string): Uint8Array => new X509Certificate(pem).raw;

describe("a real server agrees on the hash", () => {
  const cases: [authority: KeyType, options: IssueOptions, hash: string | null][] = [
    ["p256", { hash: "sha256" }, "sha256"],
    ["p256", { hash: "sha384" }, "sha384"],
    ["p256", { hash: "sha512" }, "sha512"],
    ["rsa", { hash: "sha256", keyType: "rsa" }, "sha256"],
    ["rsa", { hash: "sha384" }, "sha384"],
    ["rsa", { hash: "sha512", keyType: "rsa" }, "sha512"],
    ["rsa-pss", { hash: "sha512" }, "sha512"],
    ["ed25519", {}, null],
  ];
  test.each(cases)("%s %j: %s", async (authorityKey, options, hash) => {
    const authority = createAuthority("test", authorityKey);
    const issued = authority.issue("localhost", { names: ["DNS:localhost"], ...options });
    const certificate = der(issued.cert);
    const wanted = hash === null ? null : createHash(hash).update(certificate).digest("hex");
    const bound = tlsServerEndPoint(certificate);
    expect(bound === null ? null : Buffer.from(bound).toString("hex")).toBe(wanted);

    const server = await startPostgres({
      ssl: issued,
      sql: "create role weir login password 'pw'",
      hba: ["hostssl all weir 127.0.0.1/32 scram-sha-256"],
    });
    const upstream = await dialUpstream({ host: "127.0.0.1", port: server.port });
    const settings = { host: "localhost", database: "postgres", user: "weir", password: "pw", cert: null, key: null };
    const tls = hash === null ? "verify-full" : "require";
    const ca = hash === null ? authority.cert : null;
    const result = await logIn(upstream, ANY_PERMIT, { ...settings, tls, ca, loginTimeMs: 200_000 }, [], 0);
    upstream.close();
    await server.stop();
    expect(result).toMatchObject({ kind: "loggedIn" });
  });
});

test.each(["p256", "rsa"] as const)(
  "a signature with SHA-1 (%s) counts as SHA-256, though no server starts with it",
  (key) => {
    const certificate = der(createAuthority("test", key).issue("x", { hash: "sha1" }).cert);
    expect(tlsServerEndPoint(certificate)).toEqual(createHash("sha256").update(certificate).digest());
  },
);

describe("bytes that are no certificate have no hash", () => {
  const good = der(createAuthority().issue("x").cert);

  test("nothing, and every beginning of a certificate", () => {
    expect(tlsServerEndPoint(good)).not.toBeNull();
    for (let length = 0; length < good.length; length++) {
      expect(tlsServerEndPoint(good.subarray(0, length))).toBeNull();
    }
  });

  test("anything", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(tlsServerEndPoint(Buffer.concat([Buffer.from([0x30]), bytes]))?.length ?? 32).toBeGreaterThan(0);
      }),
    );
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = Uint8Array.from(good);
        changed[at] = byte;
        tlsServerEndPoint(changed);
      }),
    );
  });
});
