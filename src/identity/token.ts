/** The text of a weir token: `weir_ID_SECRETCHECK`, recognisable to scanners that look for leaked secrets. */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX = "weir_";
const ID_CHARS = 12;
const SECRET_BYTES = 32;
/** 62^43 > 2^256 > 62^42. */
const SECRET_CHARS = 43;
/** 62^6 > 2^32. */
const CHECK_CHARS = 6;
const TOKEN_CHARS = PREFIX.length + ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;

/** A token in its parts: `id` is public and quoted in logs, `secret` is what proves it. */
export type Token = { readonly id: string; readonly secret: string };

/** Makes a token; `random` gives that many bytes nobody can guess. */
export function newToken(random: (bytes: number) => Uint8Array = randomBytes): Token {
  // Nine bytes fill twelve characters.
  const id = base62(random(9)).padStart(ID_CHARS, "0").slice(-ID_CHARS);
  return { id, secret: base62(random(SECRET_BYTES)).padStart(SECRET_CHARS, "0") };
}

/** The text to hand out, once. */
export function formatToken(token: Token): string {
  const body = `${PREFIX}${token.id}_${token.secret}`;
  return body + checksum(body);
}

/** The parts of a token; null for anything that is not one, a mistyped one included. */
export function parseToken(text: string): Token | null {
  if (text.length !== TOKEN_CHARS || !text.startsWith(PREFIX)) return null;
  const body = text.slice(0, -CHECK_CHARS);
  const id = body.slice(PREFIX.length, PREFIX.length + ID_CHARS);
  const secret = body.slice(PREFIX.length + ID_CHARS + 1);
  if (body[PREFIX.length + ID_CHARS] !== "_" || !isBase62(id) || !isBase62(secret)) return null;
  return checksum(body) === text.slice(-CHECK_CHARS) ? { id, secret } : null;
}

/** True for what can be a token's id. */
export function isTokenId(text: string): boolean {
  return text.length === ID_CHARS && isBase62(text);
}

function checksum(body: string): string {
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, crc32(body));
  return base62(sum).padStart(CHECK_CHARS, "0");
}

function base62(bytes: Uint8Array): string {
  let rest = 0n;
  for (const byte of bytes) rest = (rest << 8n) | BigInt(byte);
  let text = "";
  for (; rest > 0n; rest /= 62n) text = (ALPHABET[Number(rest % 62n)] ?? "") + text;
  return text;
}

function isBase62(text: string): boolean {
  for (const char of text) if (!ALPHABET.includes(char)) return false;
  return true;
}
