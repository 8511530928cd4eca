/** The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802 and RFC 7677, as PostgreSQL speaks them. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { saslPrep } from "./saslprep.ts";

export const SCRAM_SHA_256 = "SCRAM-SHA-256";
export const SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS";

/** The server chooses how long the hashing takes; a million iterations are about half a second of one core. */
const ITERATIONS_MAX = 1_000_000;
/** As libpq: 18 random bytes. */
const NONCE_BYTES = 18;
const NONCE_CHARS_MAX = 1024;
const SALT_BYTES_MAX = 1024;
const KEY_BYTES = 32;

/** The server did not keep to SCRAM, or did not prove that it knows the password. The message holds no secret. */
export class ScramError extends Error {
  readonly code = "SCRAM_FAILED";
}

/**
 * How the login is tied to the TLS connection (the gs2 header). bound: with the hash of the certificate.
 * notOffered: it could have been, but the server did not offer it, which the server checks. impossible: it could not.
 */
export type Binding =
  | { readonly kind: "bound"; readonly certificateHash: Uint8Array }
  | { readonly kind: "notOffered" }
  | { readonly kind: "impossible" };

/** One login. Call first(), final() and verify() in this order, once each. */
export class ScramClient {
  readonly mechanism: typeof SCRAM_SHA_256 | typeof SCRAM_SHA_256_PLUS;
  readonly #password: string;
  readonly #binding: Binding;
  readonly #nonce: string;
  #serverSignature: Buffer | null = null;

  /** `nonce`: printable and without a comma, for tests that replay an exchange. */
  constructor(password: string, binding: Binding, nonce: string = randomBytes(NONCE_BYTES).toString("base64")) {
    this.mechanism = binding.kind === "bound" ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256;
    this.#password = password;
    this.#binding = binding;
    this.#nonce = nonce;
  }

  /** client-first-message. The user's name is left out: the server has it from the startup packet. */
  first(): Uint8Array {
    return Buffer.from(`${this.#gs2Header}${this.#firstBare}`);
  }

  /** client-final-message, in answer to server-first-message. Rejects with ScramError. */
  async final(serverFirst: Uint8Array): Promise<Uint8Array> {
    const { text, nonce, salt, iterations } = this.#readServerFirst(serverFirst);
    const salted = await derive(saslPrep(this.#password), salt, iterations);
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=${this.#channelBinding},r=${nonce}`;
    const authMessage = `${this.#firstBare},${text},${withoutProof}`;
    const clientSignature = hmac(createHash("sha256").update(clientKey).digest(), authMessage);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (clientSignature[index] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, "Server Key"), authMessage);
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`);
  }

  /** Checks server-final-message: the server knows the password too. Throws ScramError. */
  verify(serverFinal: Uint8Array): void {
    const text = decode(serverFinal);
    if (text.startsWith("e=")) throw new ScramError("the server ended the SCRAM exchange with an error");
    const signature = text.startsWith("v=") ? base64(text.slice(2)) : null;
    const expected = this.#serverSignature;
    if (signature === null || expected === null || signature.length !== expected.length) {
      throw new ScramError("the server's last SCRAM message is malformed");
    }
    if (!timingSafeEqual(signature, expected)) {
      throw new ScramError("the server could not prove that it knows the password: it is not the one it should be");
    }
  }

  get #gs2Header(): string {
    switch (this.#binding.kind) {
      case "bound":
        return "p=tls-server-end-point,,";
      case "notOffered":
        return "y,,";
      case "impossible":
        return "n,,";
    }
  }

  get #firstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  get #channelBinding(): string {
    const data = this.#binding.kind === "bound" ? this.#binding.certificateHash : new Uint8Array(0);
    return Buffer.concat([Buffer.from(this.#gs2Header), data]).toString("base64");
  }

  #readServerFirst(bytes: Uint8Array): { text: string; nonce: string; salt: Buffer; iterations: number } {
    const text = decode(bytes);
    const [r = "", s = "", i = "", ...more] = text.split(",");
    const nonce = r.slice(2);
    const salt = base64(s.slice(2));
    const iterations = decimal(i.slice(2));
    const isWellFormed = more.length === 0 && r.startsWith("r=") && s.startsWith("s=") && i.startsWith("i=");
    if (!isWellFormed || salt === null || salt.length > SALT_BYTES_MAX || !isPrintable(nonce)) {
      throw new ScramError("the server's first SCRAM message is malformed");
    }
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || nonce.length > NONCE_CHARS_MAX) {
      throw new ScramError("the server's first SCRAM message does not answer this login");
    }
    if (iterations === null || iterations < 1 || iterations > ITERATIONS_MAX) {
      throw new ScramError(`the server asks for more than ${ITERATIONS_MAX} SCRAM iterations, or for none`);
    }
    return { text, nonce, salt, iterations };
  }
}

const SALT_BYTES = 16;
/** As PostgreSQL's own default, scram_iterations. */
const VERIFIER_ITERATIONS = 4096;

/**
 * What a server keeps of a password, as ALTER ROLE takes it: the password itself cannot be had from it.
 * https://www.postgresql.org/docs/18/catalog-pg-authid.html
 */
export async function scramVerifier(password: string, salt: Buffer = randomBytes(SALT_BYTES)): Promise<string> {
  const salted = await derive(saslPrep(password), salt, VERIFIER_ITERATIONS);
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
  const serverKey = hmac(salted, "Server Key").toString("base64");
  return `${SCRAM_SHA_256}$${VERIFIER_ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

const pbkdf2Async = promisify(pbkdf2);

/** Hi() of RFC 5802, on another thread: the gateway goes on meanwhile. */
async function derive(password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  return pbkdf2Async(Buffer.from(password), salt, iterations, KEY_BYTES, "sha256");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** SCRAM's own syntax is ASCII; what is not becomes characters that no field may have. */
function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** Null unless it is base64 as RFC 4648 writes it: Buffer alone would skip what it does not know. */
function base64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return text.length > 0 && bytes.toString("base64") === text ? bytes : null;
}

function decimal(text: string): number | null {
  if (text.length === 0 || text.length > 10) return null;
  for (const digit of text) if (digit < "0" || digit > "9") return null;
  return Number(text);
}

function isPrintable(text: string): boolean {
  for (const character of text) if (character < "!" || character > "~" || character === ",") return false;
  return text.length > 0;
}
