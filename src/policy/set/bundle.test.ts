/** Bundles: the same bytes for the same set, read by tar, and refused when one byte of them is another. */
import { describe, expect, test } from "bun:test";
import { createHash, generateKeyPairSync } from "node:crypto";
import { writeArchive } from "./archive.ts";
import { readBundle, writeBundle } from "./bundle.ts";
import type { Bundle } from "./bundle.ts";
import { folderDigest } from "./folder.ts";
import { readSigningKey, signNote } from "./signed-note.ts";

function newKey() {
  return readSigningKey(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }), "ci");
}
const key = newKey();

function bundleOf(files: Readonly<Record<string, string>>, more: Partial<Bundle> = {}): Bundle {
  const list = Object.entries(files).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) }));
  const digest = folderDigest(list.map(({ path, bytes }) => ({ path, sha256: sha256(bytes) })));
  return { set: "shop", counter: 3, digest, commit: "ab".repeat(20), files: list, ...more };
}
function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const FILES = { "guards/a.yaml": "", "permits/ü.yaml": "x".repeat(1024), "policy.yaml": "kind: PolicySet\n" };
const written = writeBundle(bundleOf(FILES), key);

test("what was put in comes out, with who signed it", () => {
  const { signer, ...bundle } = readBundle(written, [key.verifier]);
  expect(signer.name).toBe("ci");
  expect(bundle).toEqual(bundleOf(FILES));
});

test("the same set gives the same bytes; another counter, commit or key gives others", () => {
  expect(writeBundle(bundleOf(FILES), key)).toEqual(written);
  expect(writeBundle(bundleOf(FILES, { counter: 4 }), key)).not.toEqual(written);
  expect(writeBundle(bundleOf(FILES, { commit: null }), key)).not.toEqual(written);
  expect(writeBundle(bundleOf(FILES), newKey())).not.toEqual(written);
});

test("tar reads it", async () => {
  const run = async (...args: string[]): Promise<string> => {
    const child = Bun.spawn(["tar", ...args], { stdin: written, stdout: "pipe" });
    const text = await child.stdout.text();
    expect(await child.exited).toBe(0);
    return text;
  };
  // tar shows letters beyond ASCII as it likes.
  expect((await run("--quoting-style=literal", "-tf", "-")).split("\n")).toEqual([
    "bundle.note",
    ...Object.keys(FILES),
    "",
  ]);
  expect(await run("-xOf", "-", "permits/ü.yaml")).toBe(FILES["permits/ü.yaml"]);
});

test("every single byte counts", () => {
  for (let at = 0; at < written.length; at++) {
    const bad = written.slice();
    bad[at] = (bad[at] ?? 0) ^ 0x20;
    expect(() => readBundle(bad, [key.verifier])).toThrow();
  }
});

test("nothing may be missing or come after it", () => {
  for (const length of [0, 1, 511, 512, 1024, written.length - 512, written.length - 1]) {
    expect(() => readBundle(written.slice(0, length), [key.verifier])).toThrow();
  }
  expect(() => readBundle(new Uint8Array(Buffer.concat([written, new Uint8Array(512)])), [key.verifier])).toThrow();
});

test("another key does not do", () => {
  expect(() => readBundle(written, [newKey().verifier])).toThrow(
    "it is signed by ci, and not with a key that was given",
  );
  expect(() => readBundle(written, [])).toThrow();
});

describe("what a holder of the key signs is still read strictly", () => {
  const note = (lines: readonly string[], files: Readonly<Record<string, string>>): Uint8Array =>
    writeArchive([
      { path: "bundle.note", bytes: Buffer.from(signNote(lines.join("\n"), key)) },
      ...Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text) })),
    ]);
  const head = (files: Readonly<Record<string, string>>, path = Object.keys(files)[0] ?? "") => {
    const entries = Object.values(files).map((text) => ({ path, sha256: sha256(Buffer.from(text)) }));
    return ["weir.dev/policy-bundle/v1", "set shop", "counter 3", `digest ${folderDigest(entries)}`, "commit none"];
  };
  const files = { "policy.yaml": "a" };
  const entry = `${sha256(Buffer.from("a"))} 1 policy.yaml`;

  test("this is how it is read when it is right", () => {
    expect(readBundle(note([...head(files), entry, ""], files), [key.verifier]).counter).toBe(3);
  });

  const replaced = (from: string, to: string): string[] => [
    ...head(files).map((line) => line.replace(from, to)),
    entry,
    "",
  ];
  const cases: Readonly<Record<string, readonly string[]>> = {
    "another form": replaced("/v1", "/v2"),
    "a counter that is none": replaced("counter 3", "counter x"),
    "a counter spelled otherwise": replaced("counter 3", "counter 03"),
    "a counter of zero": replaced("counter 3", "counter 0"),
    "a set of no name": replaced("set shop", "set "),
    "a digest of other files": replaced("digest ", "digest 0"),
    "a size spelled otherwise": [...head(files), entry.replace(" 1 ", " 01 "), ""],
    "a file twice": [...head(files), entry, entry, ""],
    "a file that is not there": [...head(files), entry, entry.replace("policy", "other"), ""],
  };
  for (const [what, lines] of Object.entries(cases)) {
    test(what, () => expect(() => readBundle(note(lines, files), [key.verifier])).toThrow());
  }

  for (const path of ["../policy.yaml", "/etc/passwd", "a//b.yaml", "a/./b.yaml", "a\\b.yaml", "x".repeat(101)]) {
    test(`a file called ${path}`, () => {
      const odd = { [path]: "a" };
      const archive = note([...head(odd, path), `${sha256(Buffer.from("a"))} 1 ${path}`, ""], odd);
      expect(() => readBundle(archive, [key.verifier])).toThrow();
    });
  }
});

test("what cannot be bundled is refused with its reason", () => {
  const cases: readonly [Bundle, string][] = [
    [bundleOf({ [`${"a/".repeat(50)}b.yaml`]: "" }), "longer than 100 bytes"],
    [bundleOf({ "bundle.note": "" }), "no file may be called that"],
    [bundleOf({ "a\nb.yaml": "" }), "no file may be called that"],
    [bundleOf(FILES, { set: "a\ncounter 9" }), "the set has no name"],
    [bundleOf(FILES, { set: "" }), "the set has no name"],
    [bundleOf(FILES, { counter: 0 }), "from 1 on"],
    [bundleOf(FILES, { counter: 1.5 }), "from 1 on"],
    [bundleOf({ "a.yaml": "x".repeat(84_000_000) }), "larger than"],
  ];
  for (const [bundle, message] of cases) expect(() => writeBundle(bundle, key)).toThrow(message);
});
