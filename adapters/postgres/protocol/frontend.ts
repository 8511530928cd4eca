/** What a client sends after its first packet: decoders of message bodies and encoders of whole messages. https://www.postgresql.org/docs/18/protocol-message-formats.html */
import { decodeUtf8, Reader } from "../../../src/wire/reader.ts";
import { Writer } from "../../../src/wire/writer.ts";
import { NAME_BYTES_MAX } from "./limits.ts";
import { ProtocolError } from "./protocol-error.ts";
import { FRONTEND } from "./types.ts";
import { readFormats, readValue, readValues, writeFormats, writeValue, writeValues } from "./values.ts";

/*
 * Names of statements and portals are fatal UTF-8 with nothing stripped: different bytes give different texts, so
 * comparing the texts compares the bytes, and a name compares directly with one that the SQL parser read in PREPARE,
 * which lives in the same namespace. (Latin-1 would never fail, but every comparison with SQL would need a conversion,
 * and a forgotten one would miss a statement silently.)
 *
 * Every decoder throws `WireError` when the body is not exactly one message, and hands out views into it. Where a
 * decoder takes `start` and `end`, the body is what lies between these places, so that the many small messages of a
 * chunk need no view each.
 */

/** Query: the SQL without its NUL. */
export function decodeQuery(body: Uint8Array, start = 0, end = body.length): Uint8Array {
  const reader = new Reader(body, start, end);
  const sql = reader.cstring();
  reader.end();
  return sql;
}

/** Parse. A parameter type of 0 is left to the server. */
export type Parse = { readonly name: string; readonly sql: Uint8Array; readonly parameterTypes: readonly number[] };

export function decodeParse(body: Uint8Array): Parse {
  const reader = new Reader(body);
  const name = readName(reader);
  const sql = reader.cstring();
  const count = reader.u16();
  reader.expect(count, 4);
  const parameterTypes = Array.from({ length: count }, () => reader.u32());
  reader.end();
  return { name, sql, parameterTypes };
}

/** The names at the front of a Bind; `headBytes` is where its parameters begin. */
export type BindHead = { readonly portal: string; readonly statement: string; readonly headBytes: number };

/**
 * Reads the names of a Bind whose body has begun to arrive. Null: they are not all there yet, which is an error if the
 * prefix is the whole body; once it holds `BIND_HEAD_BYTES_MAX` bytes there is always an answer or an error.
 */
export function decodeBindHead(prefix: Uint8Array, start = 0, end = prefix.length): BindHead | null {
  const first = nameEnd(prefix, start, end);
  if (first === null) return null;
  const second = nameEnd(prefix, first + 1, end);
  if (second === null) return null;
  const reader = new Reader(prefix, start, end);
  return { portal: readName(reader), statement: readName(reader), headBytes: reader.position };
}

export const BIND_HEAD_BYTES_MAX = 2 * (NAME_BYTES_MAX + 1);
/** What `decodeFunctionCallHead` reads. */
export const FUNCTION_HEAD_BYTES_MAX = 4;

/** A whole Bind. Formats are 0 (text) and 1 (binary): none for all text, one for all, or one for each. */
export type Bind = {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly number[];
  /** Null is SQL's NULL. */
  readonly parameters: readonly (Uint8Array | null)[];
  readonly resultFormats: readonly number[];
};

export function decodeBind(body: Uint8Array): Bind {
  const reader = new Reader(body);
  const portal = readName(reader);
  const statement = readName(reader);
  const parameterFormats = readFormats(reader);
  const parameters = readValues(reader);
  const resultFormats = readFormats(reader);
  reader.end();
  return { portal, statement, parameterFormats, parameters, resultFormats };
}

/** Describe and Close name a statement or a portal; the empty name is the unnamed one. */
export type Named = { readonly of: "statement" | "portal"; readonly name: string };

export function decodeDescribe(body: Uint8Array, start = 0, end = body.length): Named {
  return decodeNamed(body, start, end);
}

export function decodeClose(body: Uint8Array, start = 0, end = body.length): Named {
  return decodeNamed(body, start, end);
}

function decodeNamed(body: Uint8Array, start: number, end: number): Named {
  const reader = new Reader(body, start, end);
  const of = reader.u8();
  if (of !== STATEMENT && of !== PORTAL) {
    throw new ProtocolError("PROTOCOL_VALUE", "a Describe or Close names neither a statement nor a portal");
  }
  const name = readName(reader);
  reader.end();
  return { of: of === STATEMENT ? "statement" : "portal", name };
}

const STATEMENT = 0x53; // S
const PORTAL = 0x50; // P

/** Execute. The server takes `rowsMax` of 0 and below for "no limit". */
export type Execute = { readonly portal: string; readonly rowsMax: number };

export function decodeExecute(body: Uint8Array, start = 0, end = body.length): Execute {
  const reader = new Reader(body, start, end);
  const portal = readName(reader);
  const rowsMax = reader.i32();
  reader.end();
  return { portal, rowsMax };
}

/** The front of a FunctionCall: what is called. Its arguments may be as long as a message. */
export type FunctionCallHead = { readonly functionOid: number; readonly headBytes: number };

/** Null: the prefix is too short. */
export function decodeFunctionCallHead(prefix: Uint8Array): FunctionCallHead | null {
  if (prefix.length < 4) return null;
  return { functionOid: new Reader(prefix).u32(), headBytes: 4 };
}

export type FunctionCall = {
  readonly functionOid: number;
  readonly argumentFormats: readonly number[];
  readonly arguments: readonly (Uint8Array | null)[];
  readonly resultFormat: number;
};

export function decodeFunctionCall(body: Uint8Array): FunctionCall {
  const reader = new Reader(body);
  const functionOid = reader.u32();
  const argumentFormats = readFormats(reader);
  const values = readValues(reader);
  const resultFormat = reader.i16();
  reader.end();
  return { functionOid, argumentFormats, arguments: values, resultFormat };
}

/** PasswordMessage: the password, or the md5 answer. */
export function decodePassword(body: Uint8Array): string {
  const reader = new Reader(body);
  const password = reader.text();
  reader.end();
  return password;
}

/** SASLInitialResponse. `response` is null when the client begins without one. */
export type SaslInitialResponse = { readonly mechanism: string; readonly response: Uint8Array | null };

export function decodeSaslInitialResponse(body: Uint8Array): SaslInitialResponse {
  const reader = new Reader(body);
  const mechanism = reader.text(NAME_BYTES_MAX);
  const response = readValue(reader);
  reader.end();
  return { mechanism, response };
}

/** SASLResponse: the mechanism's own bytes are the whole body. */
export function decodeSaslResponse(body: Uint8Array): Uint8Array {
  return body;
}

/** CopyFail: why the client gives up. Bytes, since they may be in any encoding. */
export function decodeCopyFail(body: Uint8Array): Uint8Array {
  const reader = new Reader(body);
  const reason = reader.cstring();
  reader.end();
  return reason;
}

/** `sql` may be text or bytes; a NUL inside throws. */
export function encodeQuery(sql: string | Uint8Array): Uint8Array {
  return new Writer(sql.length + 16).begin(FRONTEND.query).cstring(sql).end().take();
}

export function encodeParse(
  name: string,
  sql: string | Uint8Array,
  parameterTypes: readonly number[] = [],
): Uint8Array {
  const writer = new Writer(sql.length + 64).begin(FRONTEND.parse).cstring(name).cstring(sql);
  writer.u16(parameterTypes.length);
  for (const type of parameterTypes) writer.u32(type);
  return writer.end().take();
}

export function encodeBind(bind: Bind): Uint8Array {
  const writer = new Writer().begin(FRONTEND.bind).cstring(bind.portal).cstring(bind.statement);
  writeFormats(writer, bind.parameterFormats);
  writeValues(writer, bind.parameters);
  writeFormats(writer, bind.resultFormats);
  return writer.end().take();
}

export function encodeDescribe(of: Named["of"], name: string): Uint8Array {
  return encodeNamed(FRONTEND.describe, of, name);
}

export function encodeClose(of: Named["of"], name: string): Uint8Array {
  return encodeNamed(FRONTEND.close, of, name);
}

function encodeNamed(type: number, of: Named["of"], name: string): Uint8Array {
  return new Writer()
    .begin(type)
    .u8(of === "statement" ? STATEMENT : PORTAL)
    .cstring(name)
    .end()
    .take();
}

export function encodeExecute(portal: string, rowsMax = 0): Uint8Array {
  return new Writer().begin(FRONTEND.execute).cstring(portal).i32(rowsMax).end().take();
}

export function encodeFunctionCall(call: FunctionCall): Uint8Array {
  const writer = new Writer().begin(FRONTEND.functionCall).u32(call.functionOid);
  writeFormats(writer, call.argumentFormats);
  writeValues(writer, call.arguments);
  return writer.i16(call.resultFormat).end().take();
}

export function encodeSync(): Uint8Array {
  return encodeEmpty(FRONTEND.sync);
}

export function encodeFlush(): Uint8Array {
  return encodeEmpty(FRONTEND.flush);
}

export function encodeTerminate(): Uint8Array {
  return encodeEmpty(FRONTEND.terminate);
}

export function encodeCopyDone(): Uint8Array {
  return encodeEmpty(FRONTEND.copyDone);
}

function encodeEmpty(type: number): Uint8Array {
  return new Writer(5).begin(type).end().take();
}

export function encodeCopyData(data: Uint8Array): Uint8Array {
  return new Writer(data.length + 5).begin(FRONTEND.copyData).raw(data).end().take();
}

export function encodeCopyFail(reason: string | Uint8Array): Uint8Array {
  return new Writer().begin(FRONTEND.copyFail).cstring(reason).end().take();
}

export function encodePassword(password: string): Uint8Array {
  return new Writer().begin(FRONTEND.password).cstring(password).end().take();
}

export function encodeSaslInitialResponse(mechanism: string, response: Uint8Array | null): Uint8Array {
  const writer = new Writer().begin(FRONTEND.password).cstring(mechanism);
  writeValue(writer, response);
  return writer.end().take();
}

export function encodeSaslResponse(response: Uint8Array): Uint8Array {
  return new Writer().begin(FRONTEND.password).raw(response).end().take();
}

function readName(reader: Reader): string {
  const short = reader.shortAscii();
  if (short !== null) return short;
  const bytes = reader.cstring();
  if (bytes.length > NAME_BYTES_MAX) throw tooLongName();
  return decodeUtf8(bytes);
}

/** Where the NUL of the name that begins at `from` is; null when it has not come yet but still may. */
function nameEnd(prefix: Uint8Array, from: number, to: number): number | null {
  for (let at = from; at < to; at++) if (prefix[at] === 0) return at;
  if (to - from > NAME_BYTES_MAX) throw tooLongName();
  return null;
}

function tooLongName(): ProtocolError {
  return new ProtocolError(
    "PROTOCOL_TOO_LONG",
    `the name of a statement or portal is longer than ${NAME_BYTES_MAX} bytes; the server would silently shorten it`,
  );
}
