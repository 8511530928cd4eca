/** Tests that what a server sends is read as it was written, and that what is not exactly one message is refused. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { WireError } from "../../../src/wire/wire-error.ts";
import * as backend from "./backend.ts";
import { BACKEND } from "./types.ts";

/** The body, after a check of the header. */
function bodyOf(type: number, message: Uint8Array): Uint8Array {
  expect(message[0]).toBe(type);
  expect(new DataView(message.buffer, message.byteOffset).getInt32(1)).toBe(message.length - 1);
  return message.subarray(5);
}

function hex(spaced: string): Uint8Array {
  return Uint8Array.fromHex(spaced.replaceAll(" ", ""));
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "none";
}

const text = fc.string({ unit: "binary" }).map((chars) => chars.replaceAll("\0", "").toWellFormed());
const bytes = fc.uint8Array();
const i16 = fc.integer({ min: -0x8000, max: 0x7fff });
const u32 = fc.nat(0xffffffff);

describe("what was written is read", () => {
  test("Authentication", () => {
    const decode = (message: Uint8Array): backend.Authentication =>
      backend.decodeAuthentication(bodyOf(BACKEND.authentication, message));
    expect(decode(backend.encodeAuthenticationOk())).toEqual({ kind: "ok" });
    expect(decode(backend.encodeAuthenticationCleartext())).toEqual({ kind: "cleartext" });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), bytes, fc.array(text), (salt, data, names) => {
        const mechanisms = names.filter((name) => name !== "");
        expect(decode(backend.encodeAuthenticationMd5(salt))).toEqual({ kind: "md5", salt });
        expect(decode(backend.encodeAuthenticationSasl(mechanisms))).toEqual({ kind: "sasl", mechanisms });
        expect(decode(backend.encodeAuthenticationSaslContinue(data))).toEqual({ kind: "saslContinue", data });
        expect(decode(backend.encodeAuthenticationSaslFinal(data))).toEqual({ kind: "saslFinal", data });
      }),
    );
  });

  test("ParameterStatus, BackendKeyData, ReadyForQuery", () => {
    const secret = fc.uint8Array({ minLength: 4, maxLength: 256 });
    const status = fc.constantFrom("I" as const, "T" as const, "E" as const);
    fc.assert(
      fc.property(text, text, fc.integer(), secret, status, (name, value, processId, key, state) => {
        const parameter = bodyOf(BACKEND.parameterStatus, backend.encodeParameterStatus(name, value));
        expect(backend.decodeParameterStatus(parameter)).toEqual({ name, value });
        const keyData = bodyOf(BACKEND.backendKeyData, backend.encodeBackendKeyData(processId, key));
        expect(backend.decodeBackendKeyData(keyData)).toEqual({ processId, secret: key });
        const ready = bodyOf(BACKEND.readyForQuery, backend.encodeReadyForQuery(state));
        expect(backend.decodeReadyForQuery(ready)).toBe(state);
      }),
    );
  });

  test("ErrorResponse and NoticeResponse", () => {
    const codes = fc.constantFrom(...Array.from("SVCMDHPpqWstcdnFLR"));
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(codes, text), { selector: ([code]) => code }), (fields) => {
        const error = bodyOf(BACKEND.error, backend.encodeError(fields));
        expect([...backend.decodeErrorFields(error).fields]).toEqual(fields);
        const notice = bodyOf(BACKEND.notice, backend.encodeNotice(fields));
        expect([...backend.decodeErrorFields(notice).fields]).toEqual(fields);
      }),
    );
  });

  test("RowDescription, ParameterDescription, DataRow", () => {
    const field = fc.record({
      name: text,
      tableOid: u32,
      column: i16,
      typeOid: u32,
      typeLength: i16,
      typeModifier: fc.integer(),
      format: i16,
    });
    fc.assert(
      fc.property(fc.array(field), fc.array(u32), fc.array(fc.option(bytes)), (fields, types, cells) => {
        const row = bodyOf(BACKEND.rowDescription, backend.encodeRowDescription(fields));
        expect(backend.decodeRowDescription(row)).toEqual(fields);
        const parameters = bodyOf(BACKEND.parameterDescription, backend.encodeParameterDescription(types));
        expect(backend.decodeParameterDescription(parameters)).toEqual(types);
        expect(backend.decodeDataRow(bodyOf(BACKEND.dataRow, backend.encodeDataRow(cells)))).toEqual(cells);
      }),
    );
  });

  test("columns without names, the shortest there are", () => {
    const field = { name: "", tableOid: 0, column: 0, typeOid: 25, typeLength: -1, typeModifier: -1, format: 0 };
    const body = bodyOf(BACKEND.rowDescription, backend.encodeRowDescription([field, field]));
    expect(backend.decodeRowDescription(body)).toEqual([field, field]);
  });

  test("the COPY responses", () => {
    const response = fc.record({ format: fc.constantFrom(0 as const, 1 as const), columnFormats: fc.array(i16) });
    const direction = fc.constantFrom("copyIn" as const, "copyOut" as const, "copyBoth" as const);
    fc.assert(
      fc.property(direction, response, (kind, given) => {
        const body = bodyOf(BACKEND[kind], backend.encodeCopyResponse(kind, given));
        expect(backend.decodeCopyResponse(body)).toEqual(given);
      }),
    );
  });

  test("NegotiateProtocolVersion, NotificationResponse, FunctionCallResponse", () => {
    const notification = fc.record({
      processId: fc.integer(),
      channel: text,
      payload: text.map((chars) => new TextEncoder().encode(chars)),
    });
    fc.assert(
      fc.property(fc.nat(0xffff), fc.array(text), notification, fc.option(bytes), (minor, options, news, result) => {
        const version = backend.encodeNegotiateProtocolVersion(minor, options);
        expect(backend.decodeNegotiateProtocolVersion(bodyOf(BACKEND.negotiateProtocolVersion, version))).toEqual({
          minor,
          unknownOptions: options,
        });
        const notified = bodyOf(BACKEND.notification, backend.encodeNotification(news));
        expect(backend.decodeNotification(notified)).toEqual(news);
        const answer = bodyOf(BACKEND.functionCallResponse, backend.encodeFunctionCallResponse(result));
        expect(backend.decodeFunctionCallResponse(answer)).toEqual(result);
      }),
    );
  });

  test("what has no body", () => {
    expect(bodyOf(BACKEND.parseComplete, backend.encodeParseComplete())).toHaveLength(0);
    expect(bodyOf(BACKEND.bindComplete, backend.encodeBindComplete())).toHaveLength(0);
    expect(bodyOf(BACKEND.closeComplete, backend.encodeCloseComplete())).toHaveLength(0);
    expect(bodyOf(BACKEND.noData, backend.encodeNoData())).toHaveLength(0);
    expect(bodyOf(BACKEND.portalSuspended, backend.encodePortalSuspended())).toHaveLength(0);
    expect(bodyOf(BACKEND.emptyQuery, backend.encodeEmptyQuery())).toHaveLength(0);
  });
});

test("the rows that a tag tells", () => {
  const tags: Readonly<Record<string, number | null>> = {
    "SELECT 0": 0,
    "SELECT 1": 1,
    "INSERT 0 5": 5,
    "INSERT 16384 1": 1,
    "UPDATE 1000000": 1_000_000,
    "COPY 9007199254740991": 9_007_199_254_740_991,
    // More than a number holds exactly.
    "COPY 9007199254740993": null,
    "SELECT 18446744073709551615": null,
    BEGIN: null,
    "CREATE TABLE": null,
    "COMMIT PREPARED": null,
    "SELECT ": null,
    "SELECT 1x": null,
    "SELECT -1": null,
    "1": null,
    "": null,
  };
  for (const [tag, rows] of Object.entries(tags)) {
    const body = bodyOf(BACKEND.commandComplete, backend.encodeCommandComplete(tag));
    expect(backend.decodeCommandComplete(body)).toEqual({ tag, rows });
    const among = Buffer.concat([Buffer.from("7 1"), body, Buffer.of(0, 0)]);
    expect(backend.decodeCommandComplete(among, 3, 3 + body.length)).toEqual({ tag, rows });
  }
});

test("login methods that cannot be answered are named", () => {
  const names: Readonly<Record<string, string>> = {
    "00000002": "Kerberos V5",
    "00000007": "GSSAPI",
    "00000008 0102": "GSSAPI (continued)",
    "00000009": "SSPI",
    "00000063 aabbcc": "authentication method 99",
  };
  for (const [body, name] of Object.entries(names)) {
    expect(backend.decodeAuthentication(hex(body))).toEqual({ kind: "unsupported", name });
  }
});

test("an error is read whatever its encoding, and its SQLSTATE is exact", () => {
  const { fields } = backend.decodeErrorFields(hex("43 3238503031 00 4d 70e9 00 00"));
  expect(fields.get("C")).toBe("28P01");
  expect(fields.get("M")).toBe("p\uFFFD");
});

test("an error reaches the client whatever its text", () => {
  const body = backend.encodeError([["M", "a\0b\uD800c"]]).subarray(5);
  expect(backend.decodeErrorFields(body).fields.get("M")).toBe("a\uFFFDb\uFFFDc");
});

test("a negotiated version is read as servers write it and as it is documented", () => {
  const expected = { minor: 2, unknownOptions: ["_pq_.a"] };
  expect(backend.decodeNegotiateProtocolVersion(hex("00030002 00000001 5f70715f2e6100"))).toEqual(expected);
  expect(backend.decodeNegotiateProtocolVersion(hex("00000002 00000001 5f70715f2e6100"))).toEqual(expected);
  expect(backend.encodeNegotiateProtocolVersion(0, []).toHex()).toBe("760000000c0003000000000000");
});

describe("refused", () => {
  type Decode = (body: Uint8Array, start?: number, end?: number) => unknown;
  const cases: readonly (readonly [name: string, code: string, decode: Decode, hex: string])[] = [
    ["an md5 salt of three bytes", "WIRE_SHORT", backend.decodeAuthentication, "00000005 010203"],
    ["an md5 salt of five bytes", "WIRE_TRAILING", backend.decodeAuthentication, "00000005 0102030405"],
    ["an Ok that goes on", "WIRE_TRAILING", backend.decodeAuthentication, "00000000 00"],
    ["mechanisms without an end", "WIRE_NO_TERMINATOR", backend.decodeAuthentication, "0000000a 6100"],
    ["a mechanism after the end", "WIRE_TRAILING", backend.decodeAuthentication, "0000000a 00 6100"],
    ["a setting that is not UTF-8", "WIRE_NOT_UTF8", backend.decodeParameterStatus, "6100 e900"],
    ["a key of three bytes", "PROTOCOL_VALUE", backend.decodeBackendKeyData, "00000001 010203"],
    ["a key of 257 bytes", "PROTOCOL_VALUE", backend.decodeBackendKeyData, `00000001 ${"01".repeat(257)}`],
    ["an unknown state", "PROTOCOL_VALUE", backend.decodeReadyForQuery, "69"],
    ["no state", "PROTOCOL_VALUE", backend.decodeReadyForQuery, ""],
    ["two states", "PROTOCOL_VALUE", backend.decodeReadyForQuery, "4949"],
    ["a tag without its NUL", "PROTOCOL_VALUE", backend.decodeCommandComplete, "61"],
    ["a tag that goes on after its NUL", "PROTOCOL_VALUE", backend.decodeCommandComplete, "610061"],
    ["a tag with two NULs", "PROTOCOL_VALUE", backend.decodeCommandComplete, "610000"],
    ["no tag", "PROTOCOL_VALUE", backend.decodeCommandComplete, ""],
    ["a tag of 256 letters", "PROTOCOL_VALUE", backend.decodeCommandComplete, `${"61".repeat(256)} 00`],
    ["an error without its end", "WIRE_SHORT", backend.decodeErrorFields, "4d 6100"],
    ["an error with two SQLSTATEs", "PROTOCOL_DUPLICATE", backend.decodeErrorFields, "43 6100 43 6200 00"],
    ["an error that goes on", "WIRE_TRAILING", backend.decodeErrorFields, "00 00"],
    ["a row with a cell of length -2", "WIRE_SHORT", backend.decodeDataRow, "0001 fffffffe"],
    ["a row with a cell too many", "WIRE_TRAILING", backend.decodeDataRow, "0001 ffffffff ffffffff"],
    ["a COPY of format 2", "PROTOCOL_VALUE", backend.decodeCopyResponse, "02 0000"],
    ["a protocol other than 3", "PROTOCOL_VERSION", backend.decodeNegotiateProtocolVersion, "00040000 00000000"],
    ["an option too few", "WIRE_NO_TERMINATOR", backend.decodeNegotiateProtocolVersion, "00030000 00000002 6100 61"],
  ];
  for (const [what, code, decode, body] of cases) {
    test(what, () => expect(codeOf(() => decode(hex(body)))).toBe(code));
  }

  const parts = cases.filter(
    ([, , decode]) => decode === backend.decodeReadyForQuery || decode === backend.decodeCommandComplete,
  );
  for (const [what, code, decode, body] of parts) {
    test(`${what}, among other bytes`, () => {
      const alone = hex(body);
      for (const around of [[0x49], [0x61, 0]]) {
        const among = Uint8Array.from([...around, ...alone, ...around]);
        expect(codeOf(() => decode(among, around.length, around.length + alone.length))).toBe(code);
      }
    });
  }
});

test("what would be read otherwise is not written", () => {
  expect(codeOf(() => backend.encodeError([["", "a"]]))).toBe("PROTOCOL_VALUE");
  expect(codeOf(() => backend.encodeError([["\0", "a"]]))).toBe("PROTOCOL_VALUE");
  expect(codeOf(() => backend.encodeAuthenticationMd5(new Uint8Array(3)))).toBe("PROTOCOL_VALUE");
  expect(codeOf(() => backend.encodeAuthenticationSasl(["A", "", "B"]))).toBe("PROTOCOL_VALUE");
  expect(codeOf(() => backend.encodeParameterStatus("a", "b\0c"))).toBe("WIRE_RANGE");
});
