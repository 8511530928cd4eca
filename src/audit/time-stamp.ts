/** RFC 3161: the request for a time stamp, and the token in the answer, looked through before it is kept. */
import { DER, der, DerError, DerReader } from "./der.ts";
import { SHA256_BYTES } from "./sha256.ts";

export const NONCE_BYTES = 16;

const OID_SHA256 = Buffer.from("608648016503040201", "hex");
/** id-signedData and id-ct-TSTInfo. */
const OID_SIGNED_DATA = Buffer.from("2a864886f70d010702", "hex");
const OID_TST_INFO = Buffer.from("2a864886f70d0109100104", "hex");
/** PKIStatus: granted and grantedWithMods. */
const GRANTED: ReadonlySet<number> = new Set([0, 1]);
const STATUS_WORDS = ["granted", "granted with changes", "rejected", "waiting", "revocation warning", "revoked"];
/** Of what the authority says in words. */
const WORDS_MAX = 200;

/** Why an answer is not kept. */
export class TimeStampError extends Error {}

/** What is asked for: the SHA-256 of something, and a random number that the answer repeats. */
export type StampOrder = { readonly hash: Uint8Array; readonly nonce: Uint8Array };

/** A TimeStampReq with SHA-256, the nonce, and the wish for the authority's certificate. */
export function stampRequest({ hash, nonce }: StampOrder): Uint8Array {
  if (hash.length !== SHA256_BYTES || nonce.length !== NONCE_BYTES)
    throw new RangeError("a hash or nonce of another length");
  return der(
    DER.sequence,
    der(DER.integer, Uint8Array.of(1)),
    imprintOf(hash),
    der(DER.integer, unsigned(nonce)),
    der(DER.boolean, Uint8Array.of(0xff)),
  );
}

/**
 * Takes the token out of a TimeStampResp: granted, over this hash, with this nonce. Whether the authority's signature
 * is good is for whoever trusts the authority (`openssl ts -verify`). Throws TimeStampError.
 */
export function tokenOf(
  response: Uint8Array,
  order: StampOrder,
): { readonly token: Uint8Array; readonly time: string } {
  try {
    const answer = new DerReader(response);
    const body = answer.inside(DER.sequence);
    answer.end();
    expectGranted(body.inside(DER.sequence));
    const token = body.whole(DER.sequence);
    body.end();
    return { token, time: stampedTime(token, order) };
  } catch (error) {
    if (error instanceof DerError) throw new TimeStampError(`the answer cannot be read: ${error.message}`);
    throw error;
  }
}

function expectGranted(info: DerReader): void {
  const [status, ...more] = info.content(DER.integer);
  if (status !== undefined && more.length === 0 && GRANTED.has(status)) return;
  const words = info.nextTag === DER.sequence ? ` (${freeText(info.inside(DER.sequence))})` : "";
  throw new TimeStampError(
    `the authority gives no stamp: ${STATUS_WORDS[status ?? -1] ?? "an unknown status"}${words}`,
  );
}

function freeText(texts: DerReader): string {
  const words: string[] = [];
  while (!texts.isAtEnd) words.push(new TextDecoder().decode(texts.content(texts.nextTag)));
  return words.join(" ").slice(0, WORDS_MAX);
}

/** Reads TSTInfo inside the CMS of a token, checks it, and answers its genTime as it stands there. */
function stampedTime(token: Uint8Array, { hash, nonce }: StampOrder): string {
  const content = new DerReader(token).inside(DER.sequence);
  expectBytes(content.content(DER.oid), OID_SIGNED_DATA, "the token is not signed data");
  const signed = content.inside(DER.context0).inside(DER.sequence);
  signed.content(DER.integer);
  signed.content(DER.set);
  const encapsulated = signed.inside(DER.sequence);
  expectBytes(encapsulated.content(DER.oid), OID_TST_INFO, "the token holds no time stamp");
  const info = encapsulated.inside(DER.context0).inside(DER.octets).inside(DER.sequence);
  expectBytes(info.content(DER.integer), Uint8Array.of(1), "the time stamp is of another version");
  info.content(DER.oid);
  expectImprint(info.inside(DER.sequence), hash);
  info.content(DER.integer);
  const time = new TextDecoder("latin1").decode(info.content(DER.time));
  if (info.nextTag === DER.sequence) info.skip();
  if (info.nextTag === DER.boolean) info.skip();
  if (info.nextTag !== DER.integer) throw new TimeStampError("the time stamp lacks the nonce of the request");
  expectBytes(
    info.content(DER.integer),
    unsigned(nonce),
    "the time stamp answers another request: its nonce is another",
  );
  return time;
}

function expectImprint(imprint: DerReader, hash: Uint8Array): void {
  const algorithm = imprint.inside(DER.sequence);
  expectBytes(algorithm.content(DER.oid), OID_SHA256, "the time stamp is over another kind of hash");
  expectBytes(imprint.content(DER.octets), hash, "the time stamp is over something else");
}

function expectBytes(found: Uint8Array, wanted: Uint8Array, message: string): void {
  if (Buffer.compare(found, wanted) !== 0) throw new TimeStampError(message);
}

function imprintOf(hash: Uint8Array): Uint8Array {
  return der(DER.sequence, der(DER.sequence, der(DER.oid, OID_SHA256), der(DER.null)), der(DER.octets, hash));
}

/** The content of a DER INTEGER that is not negative: no needless zeroes before it, one where it is needed. */
function unsigned(bytes: Uint8Array): Uint8Array {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const digits = bytes.subarray(from);
  return (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Uint8Array.of(0), digits]) : digits;
}
