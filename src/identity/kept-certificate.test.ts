/** The certificate of listeners with `tls: auto`: made once, kept, and never silently replaced. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificatePath, keptCertificate } from "./kept-certificate.ts";

const NOW = Date.UTC(2026, 10, 20);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-certificate-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the kept certificate", () => {
  test("is made for its names and stays the same", () => {
    const made = keptCertificate(folder, ["gw.example.com", "127.0.0.1"], NOW);
    expect(new X509Certificate(made.cert).checkHost("gw.example.com")).toBe("gw.example.com");
    expect(keptCertificate(folder, ["other.example.com"], NOW + 1)).toEqual(made);
    expect(statSync(join(folder, "gateway.key")).mode & 0o777).toBe(0o600);
  });

  test("is made again when a start ended before anybody saw it", () => {
    const first = keptCertificate(folder, ["gw"], NOW);
    unlinkSync(certificatePath(folder));
    expect(keptCertificate(folder, ["gw"], NOW).cert).not.toBe(first.cert);
  });

  test("is not replaced when it has expired, is damaged, or has lost its key", () => {
    keptCertificate(folder, ["gw"], NOW);
    expect(() => keptCertificate(folder, ["gw"], Date.UTC(2040, 0, 1))).toThrow("has expired");
    writeFileSync(certificatePath(folder), "x");
    expect(() => keptCertificate(folder, ["gw"], NOW)).toThrow("is damaged");
    unlinkSync(join(folder, "gateway.key"));
    expect(() => keptCertificate(folder, ["gw"], NOW)).toThrow("is gone");
  });
});
