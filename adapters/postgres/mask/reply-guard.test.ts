/** What a server may say beside its rows in a governed session: each channel, open and shut. */
import { expect, test } from "bun:test";
import { decodeErrorFields, encodeError, encodeNotice } from "../protocol/backend.ts";
import { Writer } from "../../../src/wire/writer.ts";
import type { MaskingPlan } from "./plan.ts";
import { ReplyGuard, UNKNOWN_STATEMENT } from "./reply-guard.ts";

const PLAN: MaskingPlan = {
  digest: "",
  mode: "inline",
  relation: () => undefined,
  hasName: () => false,
  tiedColumns: () => undefined,
  isMaskedOrigin: (oid, attnum) => oid === 16_400 && attnum === 3,
  safeFunctions: new Set(),
  listenChannels: new Set(["jobs"]),
  searchPath: null,
};
const guard = new ReplyGuard(PLAN);
const OPEN = { hidesDetail: false, positions: null };
const HEADER_BYTES = 5;

type Fields = Record<string, string>;
const ERROR: Fields = { S: "ERROR", V: "ERROR", C: "23505", M: "duplicate key", P: "8" };

function body(message: Uint8Array): Uint8Array {
  return message.subarray(HEADER_BYTES);
}

function errorAfter(fields: Fields, statement = OPEN as Parameters<ReplyGuard["error"]>[1]): Fields {
  const answer = guard.error(body(encodeError(Object.entries(fields))), statement);
  return Object.fromEntries(decodeErrorFields(body(answer)).fields);
}

function noticeAfter(fields: Fields, statement = OPEN as Parameters<ReplyGuard["notice"]>[1]): Fields | null {
  const answer = guard.notice(body(encodeNotice(Object.entries(fields))), statement);
  return answer === null ? null : Object.fromEntries(decodeErrorFields(body(answer)).fields);
}

test("an error about what is not masked passes whole", () => {
  const fields = { ...ERROR, D: "Key (id)=(1) already exists.", H: "Try another.", t: "products", n: "products_pkey" };
  expect(errorAfter(fields)).toEqual(fields);
});

test("of an error about what is masked, the details stay behind", () => {
  const fields = { ...ERROR, D: "Failing row contains (secret).", H: "secret", q: "secret", p: "3" };
  expect(errorAfter(fields, { hidesDetail: true, positions: null })).toEqual(ERROR);
  expect(errorAfter(fields, UNKNOWN_STATEMENT)).toEqual(ERROR);
});

test("a position goes back to the client's own text", () => {
  const positions = { toOriginal: (position: number) => position - 5 };
  expect(errorAfter(ERROR, { hidesDetail: false, positions })["P"]).toBe("3");
  expect(errorAfter({ ...ERROR, P: "x" }, { hidesDetail: false, positions })["P"]).toBe("x");
});

test("what a function or a trigger says stays behind, its code too", () => {
  const fields = {
    ...ERROR,
    C: "canar",
    M: "secret",
    D: "secret",
    W: "PL/pgSQL function f() line 3 at RAISE",
    n: "secret",
    t: "secret",
  };
  expect(errorAfter(fields)).toEqual({
    S: "ERROR",
    V: "ERROR",
    C: "P0001",
    M: "an error inside a function or a trigger; what it says stays with the server",
  });
  expect(errorAfter({ ...fields, W: "COPY t, line 1\nPL/pgSQL function f()" })["M"]).not.toContain("secret");
});

test("COPY's own context is the client's data", () => {
  const fields = { ...ERROR, W: 'COPY products, line 1, column id: "x"' };
  expect(errorAfter(fields)).toEqual(fields);
});

test("so are those of JSON and parameters, and what the server waits for is no function", () => {
  for (const W of [
    "JSON data, line 1: {bad",
    "unnamed portal parameter $1 = '...'",
    'portal "p" parameter $2',
    'while updating tuple (0,1) in relation "orders"',
    'while inserting index tuple (0,1) in relation "orders_pkey"',
    "parallel worker",
  ]) {
    const fields = { ...ERROR, C: "40P01", W };
    expect(errorAfter(fields)).toEqual(fields);
    const { W: _, ...rest } = fields;
    expect(errorAfter(fields, UNKNOWN_STATEMENT)).toEqual(rest);
    for (const inside of [`PL/pgSQL function f() line 1 at RAISE\n${W}`, `${W}\nSQL function "f" statement 1`])
      expect(errorAfter({ ...fields, W: inside })["C"]).toBe("P0001");
  }
  for (const W of ["parallel workers", "while f() runs", 'SQL statement "JSON data, line 1"', "Portal"])
    expect(errorAfter({ ...ERROR, W })["C"]).toBe("P0001");
});

test("an error that cannot be read has no words", () => {
  const answer = guard.error(Uint8Array.of(0x4d, 0x73), OPEN);
  expect(decodeErrorFields(body(answer)).fields.get("C")).toBe("XX000");
});

test("notices below a warning, and those from inside a function, are not passed on", () => {
  const warning = { S: "WARNING", V: "WARNING", C: "25P01", M: "there is no transaction in progress" };
  expect(noticeAfter(warning)).toEqual(warning);
  expect(noticeAfter({ ...warning, W: "PL/pgSQL function f()" })).toBeNull();
  for (const V of ["NOTICE", "INFO", "LOG", "DEBUG"]) expect(noticeAfter({ ...warning, S: V, V })).toBeNull();
  expect(noticeAfter({ ...warning, D: "secret" }, UNKNOWN_STATEMENT)).toEqual(warning);
  // The localised severity is not looked at where the other is there.
  expect(noticeAfter({ ...warning, S: "WARNING", V: "NOTICE" })).toBeNull();
});

test("a result column straight from a masked one is seen", () => {
  const description = (oid: number, attnum: number): Uint8Array =>
    body(new Writer().begin(0x54).u16(1).cstring("x").u32(oid).i16(attnum).u32(25).i16(-1).i32(-1).i16(0).end().take());
  expect(guard.mayDescribe(description(16_400, 3))).toBe(false);
  expect(guard.mayDescribe(description(16_400, 2))).toBe(true);
  expect(guard.mayDescribe(description(0, 0))).toBe(true);
});

test("notifications come from the listed channels only", () => {
  const notification = (channel: string): Uint8Array =>
    body(new Writer().begin(0x41).i32(1).cstring(channel).cstring("payload").end().take());
  expect(guard.mayNotify(notification("jobs"))).toBe(true);
  expect(guard.mayNotify(notification("Jobs"))).toBe(false);
});

test("reports whose values anybody can choose answer the client's own settings only", () => {
  expect(guard.mayReport("application_name", false)).toBe(false);
  expect(guard.mayReport("application_name", true)).toBe(true);
  expect(guard.mayReport("TimeZone", false)).toBe(false);
  expect(guard.mayReport("client_encoding", false)).toBe(true);
});
