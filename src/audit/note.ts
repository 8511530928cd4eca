/** Notes, checkpoints and cosignatures: C2SP signed-note, tlog-checkpoint and tlog-cosignature (cosignature/v1). */
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { SHA256_BYTES, sha256 } from "./sha256.ts";

/** A note is refused beyond these; signed-note asks verifiers to take at least 16 signatures. */
export const NOTE_BYTES_MAX = 128 * 1024;
export const NOTE_SIGNATURES_MAX = 100;

const KEY_ID_BYTES = 4;
const SEED_BYTES = 32;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const TIME_BYTES = 8;
const NAME_BYTES_MAX = 255;
const LINE_START = "\u2014 ";
/** DER before the 32 bytes of an Ed25519 key (RFC 8410): PKCS#8 of a private key, SPKI of a public one. */
const PKCS8_START = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_START = Buffer.from("302a300506032b6570032100", "hex");

/** ed25519: signs the text itself (a log). cosignature: signs a checkpoint with the time (a witness). */
type KeyKind = "ed25519" | "cosignature";

/** signed-note's bytes for the types of signatures. */
const TYPE: Readonly<Record<KeyKind, number>> = { ed25519: 0x01, cosignature: 0x04 };

/**
 * Why a note, a key or a checkpoint is refused. `unverified`: it is well-formed, but no known key has signed it, or a
 * known key's signature is wrong. `malformed`: everything else.
 */
export class NoteError extends Error {
  readonly why: "malformed" | "unverified";

  constructor(message: string, why: "malformed" | "unverified" = "malformed") {
    super(message);
    this.why = why;
  }
}

/** A public key with its name. `keyId`: 8 lower-case hex digits. `vkey`: its line, `<name>+<keyId>+<base64>`. */
export type NoteVerifier = {
  readonly name: string;
  readonly keyId: string;
  readonly kind: KeyKind;
  readonly vkey: string;
};

/** A private key with its name; the key itself stays in this module. */
export type NoteSigner = { readonly name: string; readonly verifier: NoteVerifier };

/** C2SP tlog-checkpoint: `root` is 32 bytes, `extensions` the lines after it. */
export type Checkpoint = {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly extensions: readonly string[];
};

const publicKeys = new WeakMap<NoteVerifier, KeyObject>();
const privateKeys = new WeakMap<NoteSigner, KeyObject>();

/* ---- keys ---- */

/** A new key pair. `privateKey` is its line `PRIVATE+KEY+<name>+<keyId>+<base64>`, to be kept in a file of mode 0600. */
export function newSigner(name: string, kind: KeyKind): { signer: NoteSigner; privateKey: string } {
  checkName(name);
  const seed = randomBytes(SEED_BYTES);
  const signer = signerOf(name, kind, seed);
  const key = Buffer.concat([Uint8Array.of(TYPE[kind]), seed]).toString("base64");
  return { signer, privateKey: `PRIVATE+KEY+${name}+${signer.verifier.keyId}+${key}` };
}

/** Reads the line of a private key; whitespace after it is taken as the end of its file. Messages never hold the key. */
export function readSigner(privateKeyLine: string): NoteSigner {
  const parts = privateKeyLine.trimEnd().split("+");
  const [first, second, name = "", keyId] = parts;
  if (first !== "PRIVATE" || second !== "KEY" || keyId === undefined) {
    throw new NoteError("not a private key: it starts with PRIVATE+KEY+<name>+<key id>+");
  }
  const [kind, seed] = readKey(name, parts.slice(4).join("+"), SEED_BYTES);
  const signer = signerOf(name, kind, seed);
  if (signer.verifier.keyId !== keyId) throw new NoteError(`the private key of ${name} does not match its key id`);
  return signer;
}

/** Reads the line of a public key, `<name>+<key id>+<base64>`. */
export function readVerifier(vkey: string): NoteVerifier {
  const parts = vkey.split("+");
  const [name = "", keyId] = parts;
  if (keyId === undefined) throw new NoteError("not a verifier key: it is <name>+<key id>+<base64 of the key>");
  // The base64 part may hold plus signs of its own.
  const [kind, key] = readKey(name, parts.slice(2).join("+"), PUBLIC_KEY_BYTES);
  const verifier = verifierOf(name, kind, key);
  if (verifier.keyId !== keyId) throw new NoteError(`the verifier key of ${name} does not match its key id`);
  return verifier;
}

function readKey(name: string, base64: string, bytes: number): [KeyKind, Uint8Array] {
  checkName(name);
  const key = decodeBase64(base64);
  if (key === null || key.length !== bytes + 1)
    throw new NoteError(`the key of ${name} is not ${bytes + 1} base64 bytes`);
  const kind = key[0] === TYPE.ed25519 ? "ed25519" : key[0] === TYPE.cosignature ? "cosignature" : null;
  if (kind === null) {
    throw new NoteError(
      `the key of ${name} is of type ${key[0] ?? 0}: only 1 (Ed25519) and 4 (cosignature/v1) are known`,
    );
  }
  return [kind, key.subarray(1)];
}

function signerOf(name: string, kind: KeyKind, seed: Uint8Array): NoteSigner {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_START, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const signer: NoteSigner = { name, verifier: verifierOf(name, kind, spki.subarray(SPKI_START.length)) };
  privateKeys.set(signer, key);
  return signer;
}

function verifierOf(name: string, kind: KeyKind, key: Uint8Array): NoteVerifier {
  const typed = Buffer.concat([Uint8Array.of(TYPE[kind]), key]);
  const keyId = Buffer.from(sha256(Buffer.concat([Buffer.from(`${name}\n`), typed])))
    .subarray(0, KEY_ID_BYTES)
    .toString("hex");
  const verifier: NoteVerifier = { name, keyId, kind, vkey: `${name}+${keyId}+${typed.toString("base64")}` };
  const der = Buffer.concat([SPKI_START, key]);
  publicKeys.set(verifier, createPublicKey({ key: der, format: "der", type: "spki" }));
  return verifier;
}

/* ---- signing ---- */

/** The whole note: the text (it ends with a newline) and a signature line of each signer. */
export function signNote(text: string, signers: readonly NoteSigner[], timeSeconds?: number): string {
  return addSignatures(
    `${text}\n`,
    signers.map((signer) => signatureLine(text, signer, timeSeconds)),
  );
}

/** One signature line with its newline. A signer for cosignatures wants a checkpoint and the time (POSIX seconds). */
export function signatureLine(text: string, signer: NoteSigner, timeSeconds?: number): string {
  checkText(text);
  const key = privateKeys.get(signer);
  if (key === undefined) throw new NoteError(`the signer ${signer.name} has no private key here`);
  const { verifier } = signer;
  const parts = [Buffer.from(verifier.keyId, "hex")];
  if (verifier.kind === "cosignature") {
    if (timeSeconds === undefined || !Number.isSafeInteger(timeSeconds) || timeSeconds < 0) {
      throw new NoteError("a cosignature needs the time in whole seconds");
    }
    readCheckpoint(text);
    const time = Buffer.alloc(TIME_BYTES);
    time.writeBigUInt64BE(BigInt(timeSeconds));
    parts.push(time, sign(null, cosignedMessage(text, timeSeconds), key));
  } else {
    parts.push(sign(null, Buffer.from(text), key));
  }
  return `${LINE_START}${signer.name} ${Buffer.concat(parts).toString("base64")}\n`;
}

/** Adds signature lines to a note (or to a text and its blank line). A line of the same key takes the old one's place. */
export function addSignatures(note: string, lines: readonly string[]): string {
  const { text, signatures } = parseNote(note, 0);
  const all = new Map<string, string>();
  for (const { name, keyId, line } of signatures) {
    // Of several lines of one key the first is the one that openNote() has verified.
    if (!all.has(`${name}+${keyId}`)) all.set(`${name}+${keyId}`, line);
  }
  for (const line of lines) {
    if (!line.endsWith("\n")) throw new NoteError("a signature line ends with a newline");
    const signature = parseSignature(line.slice(0, -1));
    const key = `${signature.name}+${signature.keyId}`;
    all.delete(key);
    all.set(key, signature.line);
  }
  const signed = `${text}\n${[...all.values()].map((line) => `${line}\n`).join("")}`;
  parseNote(signed, 1);
  return signed;
}

function cosignedMessage(text: string, timeSeconds: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${timeSeconds}\n${text}`);
}

/* ---- verifying ---- */

/**
 * Verifies a note. Lines of unknown keys are ignored; throws NoteError when a line of a known key does not verify, or
 * when none of the known keys has signed. `verified` holds each key once, in the order of the note's lines.
 */
export function openNote(
  note: string,
  verifiers: readonly NoteVerifier[],
): {
  text: string;
  verified: readonly { verifier: NoteVerifier; timeSeconds: number | null }[];
} {
  const { text, signatures } = parseNote(note, 1);
  const verified = new Map<NoteVerifier, { verifier: NoteVerifier; timeSeconds: number | null }>();
  for (const signature of signatures) {
    const verifier = verifiers.find(({ name, keyId }) => name === signature.name && keyId === signature.keyId);
    if (verifier === undefined || verified.has(verifier)) continue;
    verified.set(verifier, { verifier, timeSeconds: verifySignature(text, verifier, signature.bytes) });
  }
  if (verified.size === 0) throw new NoteError("no known key has signed the note", "unverified");
  return { text, verified: [...verified.values()] };
}

/** A note's text before anybody has verified it: to find out whose keys to verify it with, and for nothing else. */
export function unverifiedText(note: string): string {
  return parseNote(note, 1).text;
}

/** The time of a cosignature, null for any other. Throws when the signature is wrong. */
function verifySignature(text: string, verifier: NoteVerifier, bytes: Uint8Array): number | null {
  const key = publicKeys.get(verifier);
  if (key === undefined) throw new NoteError(`the verifier ${verifier.name} was not made by readVerifier`);
  const wrong = (): NoteError => new NoteError(`the signature of ${verifier.name} is wrong`, "unverified");
  if (verifier.kind === "ed25519") {
    if (bytes.length !== SIGNATURE_BYTES || !verify(null, Buffer.from(text), key, bytes)) throw wrong();
    return null;
  }
  if (bytes.length !== TIME_BYTES + SIGNATURE_BYTES) throw wrong();
  const time = Buffer.from(bytes).readBigUInt64BE();
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong();
  const timeSeconds = Number(time);
  if (!verify(null, cosignedMessage(text, timeSeconds), key, bytes.subarray(TIME_BYTES))) throw wrong();
  return timeSeconds;
}

/* ---- checkpoints ---- */

/** The text of a checkpoint; throws when it could not be read back. */
export function checkpointText({ origin, size, root, extensions }: Checkpoint): string {
  const lines = [origin, String(size), Buffer.from(root).toString("base64"), ...extensions];
  const text = lines.map((line) => `${line}\n`).join("");
  if (readCheckpoint(text).extensions.length !== extensions.length) {
    throw new NoteError("a line of the checkpoint holds a newline");
  }
  return text;
}

/** Reads the text of a checkpoint, strictly; throws NoteError. */
export function readCheckpoint(text: string): Checkpoint {
  checkText(text);
  const lines = text.slice(0, -1).split("\n");
  const [origin = "", size = "", root = "", ...extensions] = lines;
  if (lines.length < 3) throw new NoteError("a checkpoint has at least three lines");
  if (lines.includes("")) throw new NoteError("a checkpoint has no empty lines");
  const count = readSize(size);
  if (count === null) throw new NoteError("the second line of a checkpoint is its size in plain decimal digits");
  const hash = decodeBase64(root);
  if (hash?.length !== SHA256_BYTES) throw new NoteError("the third line of a checkpoint is a hash of 32 base64 bytes");
  return { origin, size: count, root: hash, extensions };
}

/** A number of entries in plain decimal digits without leading zeroes; null when it is not. */
export function readSize(digits: string): number | null {
  const size = Number(digits);
  return Number.isSafeInteger(size) && size >= 0 && String(size) === digits ? size : null;
}

/* ---- parsing ---- */

type Signature = {
  readonly line: string;
  readonly name: string;
  readonly keyId: string;
  /** What follows the key id. */
  readonly bytes: Uint8Array;
};

/** The text and the signature lines of a note; the last empty line stands between them. */
function parseNote(note: string, signaturesMin: number): { text: string; signatures: readonly Signature[] } {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX) throw new NoteError(`a note has at most ${NOTE_BYTES_MAX} bytes`);
  const split = note.lastIndexOf("\n\n");
  if (split === -1) throw new NoteError("a note has an empty line between its text and its signatures");
  const text = note.slice(0, split + 1);
  checkText(text);
  const lines = note.slice(split + 2);
  if (lines !== "" && !lines.endsWith("\n")) throw new NoteError("the last line of a note ends with a newline");
  const signatures = lines === "" ? [] : lines.slice(0, -1).split("\n").map(parseSignature);
  if (signatures.length < signaturesMin) throw new NoteError("the note has no signature");
  if (signatures.length > NOTE_SIGNATURES_MAX)
    throw new NoteError(`a note has at most ${NOTE_SIGNATURES_MAX} signatures`);
  return { text, signatures };
}

function parseSignature(line: string): Signature {
  const parts = line.startsWith(LINE_START) ? line.slice(LINE_START.length).split(" ") : [];
  const [name = "", base64 = ""] = parts;
  if (parts.length !== 2)
    throw new NoteError("a signature line is an em dash, a name and base64, with one space between them");
  checkName(name);
  const bytes = decodeBase64(base64);
  if (bytes === null || bytes.length <= KEY_ID_BYTES) throw new NoteError(`the signature of ${name} is not base64`);
  const keyId = bytes.subarray(0, KEY_ID_BYTES).toString("hex");
  return { line, name, keyId, bytes: bytes.subarray(KEY_ID_BYTES) };
}

/** A note's text is UTF-8 without control characters, and ends with a newline. */
function checkText(text: string): void {
  if (!text.endsWith("\n")) throw new NoteError("the text of a note ends with a newline");
  if (!text.isWellFormed()) throw new NoteError("the text of a note is not Unicode");
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) throw new NoteError("the text of a note holds a control character");
  }
}

/** A key's name is not empty and holds no space and no plus. */
function checkName(name: string): void {
  if (name === "" || Buffer.byteLength(name) > NAME_BYTES_MAX || !name.isWellFormed()) {
    throw new NoteError(`the name of a key has 1 to ${NAME_BYTES_MAX} bytes`);
  }
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0x2b || code < 0x20 || isSpace(code)) {
      throw new NoteError("the name of a key holds no space, no plus and no control character");
    }
  }
}

/** Unicode's White_Space; all of it lies in the basic plane. */
function isSpace(code: number): boolean {
  if (code <= 0x20 || code === 0x85 || code === 0xa0 || code === 0x1680) return true;
  return (code >= 0x2000 && code <= 0x200a) || [0x2028, 0x2029, 0x202f, 0x205f, 0x3000].includes(code);
}

/** Standard base64 with its padding, and nothing else (RFC 4648 section 4); null when it is not. */
export function decodeBase64(base64: string): Buffer<ArrayBuffer> | null {
  const bytes = Buffer.from(base64, "base64");
  return bytes.toString("base64") === base64 ? bytes : null;
}
