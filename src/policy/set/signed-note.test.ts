/** Signed notes: the example of Go's own verifier, and everything that must not be believed. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { openNote, readSigningKey, readVerifyingKey, signNote, verifierLine } from "./signed-note.ts";

/** From the documentation of golang.org/x/mod/sumdb/note. */
const GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_NOTE = `${GO_TEXT}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

const pair = generateKeyPairSync("ed25519");
const pem = pair.privateKey.export({ type: "pkcs8", format: "pem" });
const publicPem = pair.publicKey.export({ type: "spki", format: "pem" });
const key = readSigningKey(pem, "shop");
const note = signNote("one\ntwo\n", key);

test("a note that another program signed is believed", () => {
  const opened = openNote(GO_NOTE, [readVerifyingKey(GO_KEY)]);
  expect(opened).toEqual({ text: GO_TEXT, signer: { name: "PeterNeumann", keyId: "c74f20a3" } });
});

test("what is signed is verified by the key in PEM and by the verifier's line", () => {
  for (const form of [publicPem, verifierLine(key), `${verifierLine(key)}\n`]) {
    expect(openNote(note, [readVerifyingKey(form)]).text).toBe("one\ntwo\n");
  }
  expect(openNote(note, [readVerifyingKey(GO_KEY), readVerifyingKey(publicPem)]).signer.name).toBe("shop");
});

test("a signature of a key that is not known is passed over beside one that is", () => {
  const both = note + GO_NOTE.slice(GO_NOTE.lastIndexOf("\n\n") + 2);
  expect(openNote(both, [key.verifier]).signer.name).toBe("shop");
});

describe("a note is not believed", () => {
  const other = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
  const renamed = readVerifyingKey(verifierLine(readSigningKey(pem, "other")));
  const [text = "", signature = ""] = note.split("\n\n");
  const cases: Readonly<Record<string, readonly [string, ReturnType<typeof readVerifyingKey>]>> = {
    "with one letter changed": [note.replace("two", "tvo"), key.verifier],
    "with a line added": [note.replace("two\n", "two\nthree\n"), key.verifier],
    "under another key": [note, readVerifyingKey(other)],
    "under another name": [note, renamed],
    "with the name changed": [note.replace("\u2014 shop", "\u2014 shap"), key.verifier],
    "without signatures": ["one\ntwo\n\n", key.verifier],
    "without an end": [note.slice(0, -1), key.verifier],
    "with a hyphen for the dash": [note.replace("\u2014", "-"), key.verifier],
    "with a cut signature": [`${text}\n\n${signature.slice(0, -9)}==\n`, key.verifier],
    "with something behind the signature": [`${text}\n\n${signature.slice(0, -1)} x\n`, key.verifier],
    "with another spelling of the signature": [note.replace("=\n", "\n"), key.verifier],
    "with a wrong signature before a good one": [
      `${text}\n\n${flipped(signature.trimEnd())}\n${signature}`,
      key.verifier,
    ],
  };
  for (const [how, [bad, known]] of Object.entries(cases)) {
    test(how, () => expect(() => openNote(bad, [known])).toThrow());
  }
});

/** The same signature line with one bit of the signature changed. */
function flipped(line: string): string {
  const at = line.lastIndexOf(" ") + 1;
  const bytes = Buffer.from(line.slice(at), "base64");
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  return line.slice(0, at) + bytes.toString("base64");
}

describe("a key is refused with what to do", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const cipher = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
  const cases: readonly [what: string, work: () => unknown, message: string][] = [
    ["a text", () => readSigningKey("hello", "a"), "openssl genpkey"],
    ["an encrypted key", () => readSigningKey(pair.privateKey.export(cipher), "a"), "passphrase"],
    ["an RSA key", () => readSigningKey(rsa.privateKey.export({ type: "pkcs8", format: "pem" }), "a"), "only Ed25519"],
    ["a public RSA key", () => readVerifyingKey(rsa.publicKey.export({ type: "spki", format: "pem" })), "only Ed25519"],
    ["a private key in place of the public one", () => readVerifyingKey(pem), "give the public one"],
    ["a name with a space", () => readSigningKey(pem, "a b"), "signer's name"],
    ["a name with a plus", () => readSigningKey(pem, "a+b"), "signer's name"],
    ["a line with another key's id", () => readVerifyingKey(GO_KEY.replace("c74f20a3", "c74f20a4")), "id does not"],
    ["a line of another algorithm", () => readVerifyingKey(GO_KEY.replace("+ARpc", "+AhpC")), "not a public key"],
  ];
  for (const [what, work, message] of cases) test(what, () => expect(work).toThrow(message));
});

test("a text that could pass for more lines than it has is not signed", () => {
  for (const text of ["no end", "a\rb\n", "a\u0000b\n", "\ud800\n"]) expect(() => signNote(text, key)).toThrow();
});
