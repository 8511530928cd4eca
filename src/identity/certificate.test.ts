/** Tests that certificates made here satisfy OpenSSL, Node and a real handshake. */
import { expect, test } from "bun:test";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { selfSignedCertificate } from "./certificate.ts";

const NOW = Date.UTC(2026, 10, 20, 12);
const NAMES = [
  "gw.example.com",
  "*.gw.example.com",
  "localhost",
  "127.0.0.1",
  "::1",
  "2001:db8::ff:1",
  "::ffff:10.0.0.1",
];

test("Node reads back what was put in", () => {
  const { cert, key } = selfSignedCertificate(NAMES, NOW);
  const x509 = new X509Certificate(cert);
  expect(x509.subject).toBe("CN=gw.example.com");
  expect(x509.issuer).toBe(x509.subject);
  for (const host of ["gw.example.com", "a.gw.example.com", "localhost"]) expect(x509.checkHost(host)).toBeDefined();
  expect(x509.checkHost("example.com")).toBeUndefined();
  for (const ip of ["127.0.0.1", "::1", "2001:db8::ff:1", "::ffff:10.0.0.1"]) expect(x509.checkIP(ip)).toBeDefined();
  expect(x509.checkIP("10.0.0.1")).toBeUndefined();
  expect(x509.ca).toBe(false);
  expect(x509.verify(x509.publicKey)).toBe(true);
  expect(x509.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(Date.parse(x509.validFrom)).toBeLessThan(NOW);
  expect(Date.parse(x509.validTo)).toBe(Date.UTC(2036, 10, 20, 12));
});

test("years from 2050 on are written as GeneralizedTime", () => {
  const { cert } = selfSignedCertificate(["localhost"], Date.UTC(2045, 0, 1));
  expect(Date.parse(new X509Certificate(cert).validTo)).toBe(Date.UTC(2055, 0, 1));
  expect(Buffer.from(new X509Certificate(cert).raw).includes("20550101000000Z")).toBe(true);
});

test("serial numbers and keys are never the same twice", () => {
  const certificates = Array.from({ length: 20 }, () => new X509Certificate(selfSignedCertificate(["a"], NOW).cert));
  expect(new Set(certificates.map((x509) => x509.serialNumber)).size).toBe(20);
  expect(
    new Set(certificates.map((x509) => x509.publicKey.export({ type: "spki", format: "der" }).toString("hex"))).size,
  ).toBe(20);
});

test("names that fit no certificate are refused by name", () => {
  for (const name of ["", "a b", "ex\0mple.com", "bücher.de", "a..b", "x.*.y", "fe80::1%eth0", "a".repeat(64)]) {
    expect(() => selfSignedCertificate([name], NOW)).toThrow();
  }
  expect(() => selfSignedCertificate([], NOW)).toThrow("1 to 100 names");
  expect(() =>
    selfSignedCertificate(
      Array.from({ length: 101 }, () => "a"),
      NOW,
    ),
  ).toThrow("1 to 100 names");
});

test("a hundred long names and a long first name still make a certificate", () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
  const { cert } = selfSignedCertificate([long, ...Array.from({ length: 99 }, (_, index) => `n${index}.${long}`)], NOW);
  const x509 = new X509Certificate(cert);
  expect(x509.subject).toBe("CN=weir");
  expect(x509.checkHost(`n98.${long}`)).toBeDefined();
});

test("openssl finds it well-formed, and trusts it as its own authority", () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-certificate-"));
  const path = join(folder, "cert.pem");
  writeFileSync(path, selfSignedCertificate(NAMES, Date.now()).cert);
  const run = (...args: string[]): string => {
    const result = Bun.spawnSync(["openssl", ...args]);
    return `${result.exitCode} ${result.stdout.toString()}${result.stderr.toString()}`;
  };
  const text = run("x509", "-in", path, "-noout", "-text");
  const verified = run(
    "verify",
    "-x509_strict",
    "-CAfile",
    path,
    "-purpose",
    "sslserver",
    "-verify_hostname",
    "localhost",
    path,
  );
  rmSync(folder, { recursive: true });
  expect(text).toStartWith("0 ");
  expect(text).toContain("Version: 3 (0x2)");
  expect(text).toContain("ecdsa-with-SHA256");
  expect(text).toContain("CA:FALSE");
  expect(text).toContain("TLS Web Server Authentication");
  expect(text).toContain("DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
  expect(verified).toStartWith("0 ");
});

test("a client that trusts it completes a handshake by name; one that does not, does not", async () => {
  const { cert, key } = selfSignedCertificate(["localhost", "127.0.0.1"], Date.now());
  const server = createServer({ cert, key }, (socket) => socket.end("hello"));
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const attempt = async (ca: string | undefined, servername: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port, servername, ...(ca === undefined ? {} : { ca }) });
      socket.on("data", (data) => resolve(data.toString()));
      socket.on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    });
  expect(await attempt(cert, "localhost")).toBe("hello");
  expect(await attempt(cert, "elsewhere.example")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await attempt(undefined, "localhost")).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
  expect(await attempt(selfSignedCertificate(["localhost"], Date.now()).cert, "localhost")).not.toBe("hello");
  server.close();
});
