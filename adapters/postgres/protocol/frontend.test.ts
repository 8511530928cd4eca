/** Tests that what a client sends is read as it was written, and that what is not exactly one message is refused. */
import { describe, expect, spyOn, test } from "bun:test";
import * as fc from "fast-check";
import { Client } from "pg";
import { WireError } from "../../../src/wire/wire-error.ts";
import { startPostgres } from "../../../test/servers/postgres.ts";
import * as frontend from "./frontend.ts";
import { NAME_BYTES_MAX } from "./limits.ts";
import { FRONTEND } from "./types.ts";

/** The body, after a check of the header. */
function bodyOf(type: number, message: Uint8Array): Uint8Array {
  expect(message[0]).toBe(type);
  expect(new DataView(message.buffer, message.byteOffset).getInt32(1)).toBe(message.length - 1);
  return message.subarray(5);
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
const name = text.filter((chars) => Buffer.byteLength(chars) <= NAME_BYTES_MAX);
const bytes = fc.uint8Array();
const sql = fc.uint8Array({ min: 1 });
const formats = fc.array(fc.integer({ min: -0x8000, max: 0x7fff }), { maxLength: 5 });
const values = fc.array(fc.option(bytes), { maxLength: 5 });
const of = fc.constantFrom("statement" as const, "portal" as const);

describe("what was written is read", () => {
  test("Query", () => {
    fc.assert(
      fc.property(sql, (query) => {
        expect(frontend.decodeQuery(bodyOf(FRONTEND.query, frontend.encodeQuery(query)))).toEqual(query);
      }),
    );
    expect(frontend.encodeQuery("é").toHex()).toBe("5100000007c3a900");
  });

  test("Parse", () => {
    const types = fc.array(fc.nat(0xffffffff), { maxLength: 5 });
    fc.assert(
      fc.property(name, sql, types, (statement, query, parameterTypes) => {
        const body = bodyOf(FRONTEND.parse, frontend.encodeParse(statement, query, parameterTypes));
        expect(frontend.decodeParse(body)).toEqual({ name: statement, sql: query, parameterTypes });
      }),
    );
  });

  test("Bind, also by its head", () => {
    const bind = fc.record({
      portal: name,
      statement: name,
      parameterFormats: formats,
      parameters: values,
      resultFormats: formats,
    });
    fc.assert(
      fc.property(bind, (given) => {
        const body = bodyOf(FRONTEND.bind, frontend.encodeBind(given));
        expect(frontend.decodeBind(body)).toEqual(given);
        const head = frontend.decodeBindHead(body.subarray(0, frontend.BIND_HEAD_BYTES_MAX));
        expect(head?.portal).toBe(given.portal);
        expect(head?.statement).toBe(given.statement);
      }),
    );
  });

  test("a Bind with as many parameters as a count can tell", () => {
    const parameters = Array.from({ length: 65_535 }, () => null);
    const bind = { portal: "", statement: "", parameterFormats: [], parameters, resultFormats: [] };
    expect(frontend.decodeBind(bodyOf(FRONTEND.bind, frontend.encodeBind(bind))).parameters).toHaveLength(65_535);
    expect(codeOf(() => frontend.encodeBind({ ...bind, parameters: [...parameters, null] }))).toBe("WIRE_RANGE");
  });

  test("Describe and Close", () => {
    fc.assert(
      fc.property(of, name, (kind, given) => {
        const describe = bodyOf(FRONTEND.describe, frontend.encodeDescribe(kind, given));
        expect(frontend.decodeDescribe(describe)).toEqual({ of: kind, name: given });
        const close = bodyOf(FRONTEND.close, frontend.encodeClose(kind, given));
        expect(frontend.decodeClose(close)).toEqual({ of: kind, name: given });
      }),
    );
  });

  test("Execute", () => {
    fc.assert(
      fc.property(name, fc.integer(), (portal, rowsMax) => {
        const body = bodyOf(FRONTEND.execute, frontend.encodeExecute(portal, rowsMax));
        expect(frontend.decodeExecute(body)).toEqual({ portal, rowsMax });
      }),
    );
  });

  test("FunctionCall, also by its head", () => {
    const call = fc.record({
      functionOid: fc.nat(0xffffffff),
      argumentFormats: formats,
      arguments: values,
      resultFormat: fc.constantFrom(0, 1),
    });
    fc.assert(
      fc.property(call, (given) => {
        const body = bodyOf(FRONTEND.functionCall, frontend.encodeFunctionCall(given));
        expect(frontend.decodeFunctionCall(body)).toEqual(given);
        expect(frontend.decodeFunctionCallHead(body)).toEqual({ functionOid: given.functionOid, headBytes: 4 });
      }),
    );
  });

  test("passwords and SASL answers", () => {
    fc.assert(
      fc.property(text, name, fc.option(bytes), (password, mechanism, response) => {
        expect(frontend.decodePassword(bodyOf(FRONTEND.password, frontend.encodePassword(password)))).toBe(password);
        const initial = bodyOf(FRONTEND.password, frontend.encodeSaslInitialResponse(mechanism, response));
        expect(frontend.decodeSaslInitialResponse(initial)).toEqual({ mechanism, response });
        const data = response ?? new Uint8Array(0);
        const answer = bodyOf(FRONTEND.password, frontend.encodeSaslResponse(data));
        expect(frontend.decodeSaslResponse(answer)).toEqual(data);
      }),
    );
  });

  test("COPY, and what has no body", () => {
    const reason = frontend.decodeCopyFail(bodyOf(FRONTEND.copyFail, frontend.encodeCopyFail("enough")));
    expect(new TextDecoder().decode(reason)).toBe("enough");
    const data = new Uint8Array([0, 1, 0]);
    expect(bodyOf(FRONTEND.copyData, frontend.encodeCopyData(data))).toEqual(data);
    expect(bodyOf(FRONTEND.copyDone, frontend.encodeCopyDone())).toHaveLength(0);
    expect(bodyOf(FRONTEND.sync, frontend.encodeSync())).toHaveLength(0);
    expect(bodyOf(FRONTEND.flush, frontend.encodeFlush())).toHaveLength(0);
    expect(bodyOf(FRONTEND.terminate, frontend.encodeTerminate())).toHaveLength(0);
  });
});

describe("refused", () => {
  const cases: readonly (readonly [name: string, code: string, decode: (body: Uint8Array) => unknown, hex: string])[] =
    [
      ["a query without its NUL", "WIRE_NO_TERMINATOR", frontend.decodeQuery, "61"],
      ["a query that goes on after its NUL", "WIRE_TRAILING", frontend.decodeQuery, "610062"],
      ["a query with two NULs", "WIRE_TRAILING", frontend.decodeQuery, "610000"],
      ["an empty body", "WIRE_NO_TERMINATOR", frontend.decodeQuery, ""],
      ["a statement name that is not UTF-8", "WIRE_NOT_UTF8", frontend.decodeParse, "e900 00 0000"],
      ["a Parse with a byte too many", "WIRE_TRAILING", frontend.decodeParse, "0000000000"],
      ["a Parse with a type too few", "WIRE_SHORT", frontend.decodeParse, "00000002 00000001"],
      ["a parameter of length -2", "WIRE_SHORT", frontend.decodeBind, "0000 0000 0001fffffffe 0000"],
      ["a parameter longer than the Bind", "WIRE_SHORT", frontend.decodeBind, "0000 0000 000100000003 0000"],
      ["a Describe of something else", "PROTOCOL_VALUE", frontend.decodeDescribe, "5400"],
      ["a Close in lower case", "PROTOCOL_VALUE", frontend.decodeClose, "7300"],
      ["an Execute without its limit", "WIRE_SHORT", frontend.decodeExecute, "00"],
      ["a password without its NUL", "WIRE_NO_TERMINATOR", frontend.decodePassword, "61"],
      ["a password with a NUL inside", "WIRE_TRAILING", frontend.decodePassword, "61006200"],
      ["a SASL response longer than told", "WIRE_TRAILING", frontend.decodeSaslInitialResponse, "6100 00000001 0102"],
    ];
  for (const [what, code, decode, hex] of cases) {
    test(what, () => expect(codeOf(() => decode(Uint8Array.fromHex(hex.replaceAll(" ", ""))))).toBe(code));
  }
});

test("a body among other bytes is read as it is by itself", () => {
  const byte = fc.oneof(fc.constantFrom(0, 0x53, 0x50), fc.nat(255));
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.array(byte, { maxLength: 20 }).map((list) => Uint8Array.from(list)),
    name.map((each) => frontend.encodeExecute(each).subarray(5)),
    name.map((each) => frontend.encodeClose("portal", each).subarray(5)),
  );
  const around = fc.array(byte, { maxLength: 5 });
  const decoders = [
    frontend.decodeQuery,
    frontend.decodeBindHead,
    frontend.decodeExecute,
    frontend.decodeDescribe,
    frontend.decodeClose,
  ];
  const told = (decode: () => unknown): unknown => {
    try {
      return decode();
    } catch (error) {
      return String(error);
    }
  };
  fc.assert(
    fc.property(body, around, around, (alone, before, after) => {
      const among = Uint8Array.from([...before, ...alone, ...after]);
      for (const decode of decoders) {
        const end = before.length + alone.length;
        expect(told(() => decode(among, before.length, end))).toEqual(told(() => decode(alone)));
      }
    }),
    { numRuns: 1000 },
  );
});

describe("names", () => {
  const longest = "n".repeat(NAME_BYTES_MAX);

  test("of 63 bytes are taken, of 64 refused, wherever they stand", () => {
    const bind = (portal: string, statement: string): Uint8Array =>
      frontend.encodeBind({ portal, statement, parameterFormats: [], parameters: [], resultFormats: [] }).subarray(5);
    expect(frontend.decodeParse(frontend.encodeParse(longest, "").subarray(5)).name).toBe(longest);
    expect(frontend.decodeBindHead(bind(longest, longest))?.headBytes).toBe(frontend.BIND_HEAD_BYTES_MAX);
    for (const long of [`${longest}n`, "é".repeat(32)]) {
      const refused = [
        () => frontend.decodeParse(frontend.encodeParse(long, "").subarray(5)),
        () => frontend.decodeBind(bind(long, "")),
        () => frontend.decodeBind(bind("", long)),
        () => frontend.decodeBindHead(bind(long, "")),
        () => frontend.decodeBindHead(bind("", long)),
        () => frontend.decodeDescribe(frontend.encodeDescribe("portal", long).subarray(5)),
        () => frontend.decodeClose(frontend.encodeClose("statement", long).subarray(5)),
        () => frontend.decodeExecute(frontend.encodeExecute(long).subarray(5)),
      ];
      for (const decode of refused) expect(codeOf(decode)).toBe("PROTOCOL_TOO_LONG");
    }
  });

  test("a prefix that can hold no name of 63 bytes any more is refused without waiting for its end", () => {
    expect(frontend.decodeBindHead(new Uint8Array(NAME_BYTES_MAX).fill(97))).toBeNull();
    expect(codeOf(() => frontend.decodeBindHead(new Uint8Array(NAME_BYTES_MAX + 1).fill(97)))).toBe(
      "PROTOCOL_TOO_LONG",
    );
  });

  test("are kept by their first 63 bytes on the server, which says nothing: hence the limit", async () => {
    const server = await startPostgres();
    const client = new Client({ connectionString: server.url() });
    // The driver says something.
    const warnings = spyOn(console, "error").mockImplementation(() => {});
    try {
      await client.connect();
      await client.query({ name: `${longest}1`, text: "select 1" });
      const kept = await client.query<{ name: string }>("select name from pg_prepared_statements");
      expect(kept.rows).toEqual([{ name: longest }]);
      const second = client.query({ name: `${longest}2`, text: "select 2" }).catch((error: unknown) => String(error));
      expect(await second).toContain("already exists");
    } finally {
      warnings.mockRestore();
      await client.end();
      await server.stop();
    }
  });
});
