/** Signed notes (https://c2sp.org/signed-note): a text with Ed25519 signatures under it, which any verifier of the form can check. */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** The note's algorithm byte of Ed25519. */
const ED25519 = 1;
const ED25519_BYTES = 32;
const SIGNATURE_BYTES = 64;
const KEY_ID_BYTES = 4;
/** A note with more signatures than this is refused, as the specification lets a verifier do. */
const SIGNATURES_MAX = 16;
const SIGNATURE_LINE = "\u2014 ";

/** What is wrong with a key or a note, in one sentence for people. */
export class NoteRefused extends Error {
  readonly code = "NOTE_REFUSED";
}

export type SigningKey = { readonly name: string; readonly privateKey: KeyObject; readonly verifier: VerifyingKey };

/** `name` null: a bare public key, which may sign under any name. */
export type VerifyingKey = { readonly name: string | null; readonly raw: Uint8Array; readonly publicKey: KeyObject };

/** Who signed a note: the key's name and its id, which the name is part of. */
export type Signer = { readonly name: string; readonly keyId: string };

/** Reads a private key as `openssl genpkey -algorithm ed25519` writes it. `name` goes into the signature. Throws NoteRefused. */
export function readSigningKey(pem: string, name: string): SigningKey {
  if (!isKeyName(name)) throw new NoteRefused("a signer's name is not empty and has neither spaces nor +");
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch {
    const reason = pem.includes("ENCRYPTED")
      ? "the key is encrypted with a passphrase; decrypt it with openssl pkey first"
      : "this is not a private key in PEM; make one with openssl genpkey -algorithm ed25519";
    throw new NoteRefused(reason);
  }
  if (privateKey.asymmetricKeyType !== "ed25519") throw notEd25519();
  const publicKey = createPublicKey(privateKey);
  return { name, privateKey, verifier: { name, raw: rawKey(publicKey), publicKey } };
}

/** Reads a public key: PEM, or a line `name+id+key` as verifiers of signed notes write it. Throws NoteRefused. */
export function readVerifyingKey(text: string): VerifyingKey {
  if (text.includes("PRIVATE KEY")) {
    throw new NoteRefused("this is a private key; give the public one, which openssl pkey -pubout prints");
  }
  if (text.includes("-----BEGIN")) {
    let publicKey: KeyObject;
    try {
      publicKey = createPublicKey(text);
    } catch {
      throw new NoteRefused("this is not a public key in PEM");
    }
    if (publicKey.asymmetricKeyType !== "ed25519") throw notEd25519();
    return { name: null, raw: rawKey(publicKey), publicKey };
  }
  const [name = "", id = "", ...rest] = text.trim().split("+");
  const bytes = strictBase64(rest.join("+"));
  if (bytes === null || bytes.length !== 1 + ED25519_BYTES || bytes[0] !== ED25519 || !isKeyName(name)) {
    throw new NoteRefused("this is not a public key: give PEM, or a line NAME+ID+KEY of a signed note's verifier");
  }
  const raw = new Uint8Array(bytes.subarray(1));
  if (keyIdOf(name, raw).toString("hex") !== id) throw new NoteRefused("the key's id does not belong to the key");
  const x = Buffer.from(raw).toString("base64url");
  return { name, raw, publicKey: createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }) };
}

/** The key as the line `name+id+key`. */
export function verifierLine(key: SigningKey): string {
  const { name, verifier } = key;
  const typed = Buffer.concat([Uint8Array.of(ED25519), verifier.raw]);
  return `${name}+${keyIdOf(name, verifier.raw).toString("hex")}+${typed.toString("base64")}`;
}

/** Signs a text, which must end with a line feed and hold no other control character. */
export function signNote(text: string, key: SigningKey): string {
  if (!isNoteText(text)) throw new NoteRefused("the text of a note is lines without control characters");
  const signature = sign(null, Buffer.from(text), key.privateKey);
  const bytes = Buffer.concat([keyIdOf(key.name, key.verifier.raw), signature]);
  return `${text}\n${SIGNATURE_LINE}${key.name} ${bytes.toString("base64")}\n`;
}

/**
 * The text of a note and who of the known keys signed it. Signatures of other keys are passed over, as the
 * specification says; a wrong signature of a known key, or none of them, throws NoteRefused.
 */
export function openNote(
  note: string,
  keys: readonly VerifyingKey[],
): { readonly text: string; readonly signer: Signer } {
  const split = note.lastIndexOf("\n\n");
  if (split === -1 || !note.endsWith("\n")) throw new NoteRefused("this is not a signed note");
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split("\n");
  if (!isNoteText(text) || lines.length > SIGNATURES_MAX) throw new NoteRefused("this is not a signed note");
  let signer: Signer | null = null;
  for (const line of lines) {
    const [name = "", encoded = "", ...rest] = line.slice(SIGNATURE_LINE.length).split(" ");
    const bytes = strictBase64(encoded);
    if (!line.startsWith(SIGNATURE_LINE) || rest.length > 0 || !isKeyName(name) || bytes === null) {
      throw new NoteRefused("a signature line cannot be read");
    }
    if (bytes.length < KEY_ID_BYTES) throw new NoteRefused("a signature line cannot be read");
    const keyId = bytes.subarray(0, KEY_ID_BYTES);
    const signature = bytes.subarray(KEY_ID_BYTES);
    const key = keys.find(
      (each) => (each.name === null || each.name === name) && keyIdOf(name, each.raw).equals(keyId),
    );
    if (key === undefined) continue;
    if (signature.length !== SIGNATURE_BYTES || !verify(null, Buffer.from(text), key.publicKey, signature)) {
      throw new NoteRefused(`the signature of ${name} does not belong to this text: it was changed, or is another's`);
    }
    signer ??= { name, keyId: keyId.toString("hex") };
  }
  if (signer === null) {
    const names = lines.map((line) => line.split(" ")[1] ?? "").join(", ");
    throw new NoteRefused(`it is signed by ${names}, and not with a key that was given`);
  }
  return { text, signer };
}

function notEd25519(): NoteRefused {
  return new NoteRefused("only Ed25519 keys sign; make one with openssl genpkey -algorithm ed25519");
}

function rawKey(publicKey: KeyObject): Uint8Array {
  const { x } = publicKey.export({ format: "jwk" });
  return new Uint8Array(Buffer.from(x ?? "", "base64url"));
}

/** The first bytes of SHA-256 over the name, a line feed, the algorithm and the key. */
function keyIdOf(name: string, raw: Uint8Array): Buffer {
  const hash = createHash("sha256").update(`${name}\n`).update(Uint8Array.of(ED25519)).update(raw);
  return hash.digest().subarray(0, KEY_ID_BYTES);
}

function isKeyName(name: string): boolean {
  if (name === "" || name.includes("+") || holdsControl(name)) return false;
  for (const character of name) if (character.trim() === "") return false;
  return true;
}

function isNoteText(text: string): boolean {
  return text.endsWith("\n") && text.isWellFormed() && !holdsControl(text.replaceAll("\n", ""));
}

/** Is there an ASCII control character, a line feed included? */
export function holdsControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}

/** Standard base64 with its padding, or null: another spelling of the same bytes would be another note. */
function strictBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}
