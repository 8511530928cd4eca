/** Tests that the first packet keeps what it says, and that what the server could read otherwise is refused. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Writer } from "../../../src/wire/writer.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import { STARTUP_BYTES_MAX, STARTUP_PARAMETERS_MAX } from "./limits.ts";
import {
  decodeStartup,
  encodeCancelRequest,
  encodeGssEncRequest,
  encodeSslRequest,
  encodeStartup,
  type StartupParameter,
} from "./startup.ts";
import { PROTOCOL_3_0, PROTOCOL_3_2 } from "./types.ts";

/** Without its length, which the listener has read. */
function body(packet: Uint8Array): Uint8Array {
  return packet.subarray(4);
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

/** A StartupMessage from its fields as they stand on the wire, ends and all. */
function packet(...fields: readonly (string | Uint8Array)[]): Uint8Array {
  const writer = new Writer().u32(PROTOCOL_3_0);
  for (const field of fields) writer.cstring(field);
  return writer.take();
}

test("the requests", () => {
  expect(encodeSslRequest().toHex()).toBe("0000000804d2162f");
  expect(encodeGssEncRequest().toHex()).toBe("0000000804d21630");
  expect(encodeCancelRequest(7, new Uint8Array([1, 2, 3, 4])).toHex()).toBe("0000001004d2162e0000000701020304");
  expect(decodeStartup(body(encodeSslRequest()))).toEqual({ kind: "ssl" });
  expect(decodeStartup(body(encodeGssEncRequest()))).toEqual({ kind: "gssenc" });
});

test("cancel keys are 4 to 256 bytes long", () => {
  for (const length of [4, 32, 256]) {
    const secret = new Uint8Array(length).fill(length);
    expect(decodeStartup(body(encodeCancelRequest(-5, secret)))).toEqual({ kind: "cancel", processId: -5, secret });
  }
  for (const length of [0, 3, 257]) {
    expect(codeOf(() => decodeStartup(body(encodeCancelRequest(1, new Uint8Array(length)))))).toBe("PROTOCOL_VALUE");
  }
});

test("the version, the order and every text are kept, and encode to the same bytes", () => {
  const text = fc.string({ unit: "binary", maxLength: 20 }).map((chars) => chars.replaceAll("\0", "").toWellFormed());
  const parameters: fc.Arbitrary<StartupParameter[]> = fc.uniqueArray(
    fc.tuple(
      text.filter((name) => name !== ""),
      text,
    ),
    { maxLength: 10, selector: ([name]) => name.toLowerCase() },
  );
  fc.assert(
    fc.property(fc.constantFrom(PROTOCOL_3_0, PROTOCOL_3_2), parameters, (version, given) => {
      const bytes = encodeStartup(version, given);
      const decoded = decodeStartup(body(bytes));
      expect(decoded).toEqual({ kind: "startup", major: 3, minor: version - PROTOCOL_3_0, parameters: given });
      expect(encodeStartup(version, decoded.kind === "startup" ? decoded.parameters : [])).toEqual(bytes);
    }),
  );
});

describe("refused", () => {
  const many = Array.from({ length: STARTUP_PARAMETERS_MAX + 1 }, (_, index) => [`p${index}`, ""]).flat();
  const cases: readonly (readonly [name: string, code: string, body: Uint8Array])[] = [
    ["nothing", "WIRE_SHORT", new Uint8Array(0)],
    ["half a code", "WIRE_SHORT", new Uint8Array([0, 3])],
    ["no terminator", "WIRE_NO_TERMINATOR", packet("user", "a")],
    ["a name without a value", "WIRE_NO_TERMINATOR", packet("user")],
    ["bytes after the terminator", "PROTOCOL_STARTUP_LAYOUT", packet("user", "a", "", "b", "c", "")],
    ["a request that goes on", "WIRE_TRAILING", new Uint8Array([...body(encodeSslRequest()), 0])],
    ["version 2", "PROTOCOL_VERSION", Uint8Array.fromHex("0002000000")],
    ["version 4", "PROTOCOL_VERSION", Uint8Array.fromHex("0004000000")],
    ["an unknown request", "PROTOCOL_VERSION", Uint8Array.fromHex("04d21631")],
    ["two users", "PROTOCOL_DUPLICATE", packet("user", "a", "user", "b", "")],
    ["a setting twice by another case", "PROTOCOL_DUPLICATE", packet("search_path", "a", "Search_Path", "b", "")],
    ["a name that is not UTF-8", "WIRE_NOT_UTF8", packet(new Uint8Array([0xe9]), "a", "")],
    ["a value that is not UTF-8", "WIRE_NOT_UTF8", packet("database", new Uint8Array([0xe9]), "")],
    ["too many parameters", "PROTOCOL_TOO_MANY", packet(...many, "")],
    ["too many bytes", "PROTOCOL_TOO_LONG", packet("user", "a".repeat(STARTUP_BYTES_MAX), "")],
  ];
  for (const [name, code, bytes] of cases) {
    test(name, () => expect(codeOf(() => decodeStartup(bytes))).toBe(code));
  }
});

test("as many parameters and bytes as the limits allow are taken", () => {
  const full = Array.from({ length: STARTUP_PARAMETERS_MAX }, (_, index): StartupParameter => [`p${index}`, ""]);
  const decoded = decodeStartup(body(encodeStartup(PROTOCOL_3_0, full)));
  expect(decoded).toEqual({ kind: "startup", major: 3, minor: 0, parameters: full });
  const room = STARTUP_BYTES_MAX - body(encodeStartup(PROTOCOL_3_0, [["user", ""]])).length;
  const longest = body(encodeStartup(PROTOCOL_3_0, [["user", "a".repeat(room)]]));
  expect(longest).toHaveLength(STARTUP_BYTES_MAX);
  expect(codeOf(() => decodeStartup(longest))).toBe("none");
});

test("names that differ beyond A to Z are different settings, as the server sees them", () => {
  const parameters: StartupParameter[] = [
    ["ä", "1"],
    ["Ä", "2"],
    // The Kelvin sign: JavaScript's lower case of it is k.
    ["k", "3"],
    ["\u212A", "4"],
  ];
  const decoded = decodeStartup(body(encodeStartup(PROTOCOL_3_0, parameters)));
  expect(decoded).toEqual({ kind: "startup", major: 3, minor: 0, parameters });
});

test("what would be read otherwise is not written", () => {
  expect(codeOf(() => encodeStartup(PROTOCOL_3_0, [["", "a"]]))).toBe("PROTOCOL_STARTUP_LAYOUT");
  expect(codeOf(() => encodeStartup(PROTOCOL_3_0, [["user", "a\0database\0b"]]))).toBe("WIRE_RANGE");
});
