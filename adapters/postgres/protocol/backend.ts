/** What a server sends: decoders of message bodies and encoders of whole messages. https://www.postgresql.org/docs/18/protocol-message-formats.html */
import { Reader } from "../../../src/wire/reader.ts";
import { Writer } from "../../../src/wire/writer.ts";
import { CANCEL_SECRET_BYTES_MAX, CANCEL_SECRET_BYTES_MIN, TAG_BYTES_MAX } from "./limits.ts";
import { ProtocolError } from "./protocol-error.ts";
import { BACKEND } from "./types.ts";

export * from "./rows.ts";

/*
 * Every decoder throws `WireError` when the body is not exactly one message, and hands out views into it.
 *
 * Texts for people and names of columns are in whatever encoding the session or, before it has one, the server uses:
 * they are decoded for reading only, with replacement characters, and never compared or encoded again to be forwarded.
 */
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** AuthenticationXXX. `unsupported` names what the server asks for and this gateway cannot do. */
export type Authentication =
  | { readonly kind: "ok" }
  | { readonly kind: "cleartext" }
  | { readonly kind: "md5"; readonly salt: Uint8Array }
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "saslContinue"; readonly data: Uint8Array }
  | { readonly kind: "saslFinal"; readonly data: Uint8Array }
  | { readonly kind: "unsupported"; readonly name: string };

const AUTHENTICATION = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;
const UNSUPPORTED_AUTHENTICATION: ReadonlyMap<number, string> = new Map([
  [2, "Kerberos V5"],
  [4, "crypt"],
  [6, "SCM credentials"],
  [7, "GSSAPI"],
  [8, "GSSAPI (continued)"],
  [9, "SSPI"],
]);

export function decodeAuthentication(body: Uint8Array): Authentication {
  const reader = new Reader(body);
  const answer = readAuthentication(reader);
  reader.end();
  return answer;
}

function readAuthentication(reader: Reader): Authentication {
  const code = reader.i32();
  switch (code) {
    case AUTHENTICATION.ok:
      return { kind: "ok" };
    case AUTHENTICATION.cleartext:
      return { kind: "cleartext" };
    case AUTHENTICATION.md5:
      return { kind: "md5", salt: reader.bytes(4) };
    case AUTHENTICATION.sasl: {
      const mechanisms: string[] = [];
      for (let name = reader.text(); name !== ""; name = reader.text()) mechanisms.push(name);
      return { kind: "sasl", mechanisms };
    }
    case AUTHENTICATION.saslContinue:
      return { kind: "saslContinue", data: reader.rest() };
    case AUTHENTICATION.saslFinal:
      return { kind: "saslFinal", data: reader.rest() };
    default:
      reader.rest();
      return { kind: "unsupported", name: UNSUPPORTED_AUTHENTICATION.get(code) ?? `authentication method ${code}` };
  }
}

/** ParameterStatus. Fatal UTF-8: the gateway follows these values, so it must not misread one. */
export type ParameterStatus = { readonly name: string; readonly value: string };

export function decodeParameterStatus(body: Uint8Array): ParameterStatus {
  const reader = new Reader(body);
  const name = reader.text();
  const value = reader.text();
  reader.end();
  return { name, value };
}

/** BackendKeyData. The secret has 4 bytes in protocol 3.0 and up to 256 in 3.2. */
export type BackendKeyData = { readonly processId: number; readonly secret: Uint8Array };

export function decodeBackendKeyData(body: Uint8Array): BackendKeyData {
  const reader = new Reader(body);
  const processId = reader.i32();
  const secret = reader.rest();
  if (secret.length < CANCEL_SECRET_BYTES_MIN || secret.length > CANCEL_SECRET_BYTES_MAX) {
    throw new ProtocolError("PROTOCOL_VALUE", "a cancel key is not 4 to 256 bytes long");
  }
  return { processId, secret };
}

/** ReadyForQuery: idle, in a transaction, in a failed one. */
export type TransactionStatus = "I" | "T" | "E";

const IDLE = 0x49;
const IN_TRANSACTION = 0x54;
const FAILED = 0x45;

export function decodeReadyForQuery(body: Uint8Array, start = 0, end = body.length): TransactionStatus {
  const status = end - start === 1 ? body[start] : undefined;
  if (status === IDLE) return "I";
  if (status === IN_TRANSACTION) return "T";
  if (status === FAILED) return "E";
  throw new ProtocolError("PROTOCOL_VALUE", "a ReadyForQuery does not say which state the session is in");
}

/** CommandComplete. `rows` is the number that ends the tag, null when none does or it is too big to be exact. */
export type CommandComplete = { readonly tag: string; readonly rows: number | null };

const SPACE = 0x20;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

export function decodeCommandComplete(body: Uint8Array, start = 0, end = body.length): CommandComplete {
  const rows = decodeRowCount(body, start, end);
  return { tag: String.fromCharCode(...body.subarray(start, end - 1)), rows };
}

/** As decodeCommandComplete(), without a text of the tag: most are only asked for their rows. */
export function decodeRowCount(body: Uint8Array, start: number, end: number): number | null {
  const nul = end - 1;
  if (nul < start || nul - start >= TAG_BYTES_MAX || body[nul] !== 0) throw badCommandComplete();
  for (let at = start; at < nul; at++) if (body[at] === 0) throw badCommandComplete();
  return rowsOf(body, start, nul);
}

function badCommandComplete(): ProtocolError {
  return new ProtocolError("PROTOCOL_VALUE", "a CommandComplete is not one short terminated string");
}

/** The digits between the last space and `end`, read backwards. */
function rowsOf(body: Uint8Array, start: number, end: number): number | null {
  let rows = 0;
  let unit = 1;
  for (let at = end - 1; at >= start; at--) {
    const byte = body[at] ?? SPACE;
    if (byte === SPACE) return at === end - 1 || !Number.isSafeInteger(rows) ? null : rows;
    if (byte < DIGIT_0 || byte > DIGIT_9) return null;
    rows += (byte - DIGIT_0) * unit;
    unit *= 10;
  }
  return null;
}

/** The fields of an ErrorResponse or a NoticeResponse by their one-letter codes, among them C, the SQLSTATE. */
export type ReportFields = { readonly fields: ReadonlyMap<string, string> };

/** Decodes ErrorResponse and NoticeResponse. https://www.postgresql.org/docs/18/protocol-error-fields.html */
export function decodeErrorFields(body: Uint8Array): ReportFields {
  const reader = new Reader(body);
  const fields = new Map<string, string>();
  for (let code = reader.u8(); code !== 0; code = reader.u8()) {
    const name = String.fromCharCode(code);
    if (fields.has(name)) throw new ProtocolError("PROTOCOL_DUPLICATE", "an error has one field twice");
    fields.set(name, lenient.decode(reader.cstring()));
  }
  reader.end();
  return { fields };
}

/** NegotiateProtocolVersion: the newest minor version the server speaks, and the `_pq_.` options it does not know. */
export type NegotiateProtocolVersion = { readonly minor: number; readonly unknownOptions: readonly string[] };

/** Takes both the whole version, which servers send, and the bare minor number, which the documentation speaks of. */
export function decodeNegotiateProtocolVersion(body: Uint8Array): NegotiateProtocolVersion {
  const reader = new Reader(body);
  const version = reader.u32();
  const major = version >>> 16;
  if (major !== 3 && major !== 0) {
    throw new ProtocolError("PROTOCOL_VERSION", "the server negotiates a protocol other than version 3");
  }
  const count = reader.u32();
  reader.expect(count, 1);
  const unknownOptions = Array.from({ length: count }, () => reader.text());
  reader.end();
  return { minor: version & 0xffff, unknownOptions };
}

/** NotificationResponse. */
export type Notification = { readonly processId: number; readonly channel: string; readonly payload: Uint8Array };

export function decodeNotification(body: Uint8Array): Notification {
  const reader = new Reader(body);
  const processId = reader.i32();
  const channel = lenient.decode(reader.cstring());
  const payload = reader.cstring();
  reader.end();
  return { processId, channel, payload };
}

/**
 * An ErrorResponse; `fields` by their one-letter codes (S and V severity, C SQLSTATE, M message, D detail, H hint).
 * Never throws for a text: a refusal must reach the client, so what a field cannot hold is replaced.
 */
export function encodeError(fields: Iterable<readonly [code: string, text: string]>): Uint8Array {
  return encodeReport(BACKEND.error, fields);
}

/** A NoticeResponse, like `encodeError`. */
export function encodeNotice(fields: Iterable<readonly [code: string, text: string]>): Uint8Array {
  return encodeReport(BACKEND.notice, fields);
}

function encodeReport(type: number, fields: Iterable<readonly [code: string, text: string]>): Uint8Array {
  const writer = new Writer().begin(type);
  for (const [code, text] of fields) {
    if (code.length !== 1 || code === "\0") {
      throw new ProtocolError("PROTOCOL_VALUE", "an error field's code is one letter");
    }
    writer.u8(code.charCodeAt(0)).cstring(text.toWellFormed().replaceAll("\0", "\uFFFD"));
  }
  return writer.u8(0).end().take();
}

export function encodeAuthenticationOk(): Uint8Array {
  return encodeAuthentication(AUTHENTICATION.ok);
}

export function encodeAuthenticationCleartext(): Uint8Array {
  return encodeAuthentication(AUTHENTICATION.cleartext);
}

/** `salt` has 4 bytes. */
export function encodeAuthenticationMd5(salt: Uint8Array): Uint8Array {
  if (salt.length !== 4) throw new ProtocolError("PROTOCOL_VALUE", "an md5 salt has 4 bytes");
  return encodeAuthentication(AUTHENTICATION.md5, salt);
}

export function encodeAuthenticationSasl(mechanisms: readonly string[]): Uint8Array {
  const writer = new Writer().begin(BACKEND.authentication).i32(AUTHENTICATION.sasl);
  for (const mechanism of mechanisms) {
    if (mechanism === "") throw new ProtocolError("PROTOCOL_VALUE", "a SASL mechanism has no name");
    writer.cstring(mechanism);
  }
  return writer.u8(0).end().take();
}

export function encodeAuthenticationSaslContinue(data: Uint8Array): Uint8Array {
  return encodeAuthentication(AUTHENTICATION.saslContinue, data);
}

export function encodeAuthenticationSaslFinal(data: Uint8Array): Uint8Array {
  return encodeAuthentication(AUTHENTICATION.saslFinal, data);
}

const NOTHING = new Uint8Array(0);

function encodeAuthentication(code: number, data: Uint8Array = NOTHING): Uint8Array {
  return new Writer().begin(BACKEND.authentication).i32(code).raw(data).end().take();
}

export function encodeNotification(notification: Notification): Uint8Array {
  const { processId, channel, payload } = notification;
  return new Writer().begin(BACKEND.notification).i32(processId).cstring(channel).cstring(payload).end().take();
}

export function encodeParameterStatus(name: string, value: string): Uint8Array {
  return new Writer().begin(BACKEND.parameterStatus).cstring(name).cstring(value).end().take();
}

export function encodeBackendKeyData(processId: number, secret: Uint8Array): Uint8Array {
  return new Writer().begin(BACKEND.backendKeyData).i32(processId).raw(secret).end().take();
}

export function encodeReadyForQuery(status: TransactionStatus): Uint8Array {
  return new Writer(6).begin(BACKEND.readyForQuery).u8(status.charCodeAt(0)).end().take();
}

/** Writes the whole version, as servers do: libpq reads a bare minor number as version 0. */
export function encodeNegotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Uint8Array {
  const writer = new Writer().begin(BACKEND.negotiateProtocolVersion).u16(3).u16(minor).u32(unknownOptions.length);
  for (const option of unknownOptions) writer.cstring(option);
  return writer.end().take();
}

export function encodeParseComplete(): Uint8Array {
  return encodeEmpty(BACKEND.parseComplete);
}

export function encodeBindComplete(): Uint8Array {
  return encodeEmpty(BACKEND.bindComplete);
}

export function encodeCloseComplete(): Uint8Array {
  return encodeEmpty(BACKEND.closeComplete);
}

export function encodeNoData(): Uint8Array {
  return encodeEmpty(BACKEND.noData);
}

export function encodePortalSuspended(): Uint8Array {
  return encodeEmpty(BACKEND.portalSuspended);
}

export function encodeEmptyQuery(): Uint8Array {
  return encodeEmpty(BACKEND.emptyQuery);
}

function encodeEmpty(type: number): Uint8Array {
  return new Writer(5).begin(type).end().take();
}

export function encodeCommandComplete(tag: string): Uint8Array {
  return new Writer().begin(BACKEND.commandComplete).cstring(tag).end().take();
}
