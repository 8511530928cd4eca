/** Tests the decoders and encoders against what real clients and a real PostgreSQL say to each other. */
import { describe, expect, test } from "bun:test";
import { CODECS, type CapturedMessage, messagesOf } from "../../../test/captures/messages.ts";
import { readCaptures, recordCaptures } from "../../../test/captures/postgres.ts";
import { decodeBind, decodeBindHead, decodeFunctionCall, decodeFunctionCallHead } from "./frontend.ts";
import { backendBodyBytesMax, frontendBodyBytesMax } from "./limits.ts";

const committed = await readCaptures();

/** Decodes every message and encodes it again: the bytes must be those that came. */
function expectSameBytes(messages: readonly CapturedMessage[]): void {
  for (const { kind, body, whole } of messages) {
    const codec = CODECS[kind];
    if (codec === undefined) throw new Error(`no codec for ${kind}`);
    expect(`${kind} ${codec.recode(body).toHex()}`).toBe(`${kind} ${whole.toHex()}`);
  }
}

function expectWithinLimits(messages: readonly CapturedMessage[]): void {
  for (const { from, kind, type, body } of messages) {
    if (type === null) continue;
    const most = from === "client" ? frontendBodyBytesMax(type) : backendBodyBytesMax(type);
    expect(`${kind} ${most !== null && body.length <= most}`).toBe(`${kind} true`);
  }
}

describe("committed captures", () => {
  test("there are some", () => expect(committed.length).toBeGreaterThan(5));

  for (const capture of committed) {
    test(capture.name, () => {
      const messages = messagesOf(capture);
      expect(messages.length).toBeGreaterThan(0);
      expectSameBytes(messages);
      expectWithinLimits(messages);
    });
  }

  test("between them they hold every message there is", () => {
    const seen = new Set(committed.flatMap(messagesOf).map(({ kind }) => kind));
    expect(Object.keys(CODECS).filter((kind) => !seen.has(kind))).toEqual([]);
  });
});

test("a PostgreSQL and its clients of today are read and written to the byte", async () => {
  const live = await recordCaptures();
  expect(live.map(({ name }) => name)).toContain("psql-scram");
  for (const capture of live) {
    const messages = messagesOf(capture);
    expectSameBytes(messages);
    expectWithinLimits(messages);
  }
}, 240_000);

test("the heads of long messages are read from any prefix that holds them, as from the whole", () => {
  const messages = committed.flatMap(messagesOf);
  const binds = messages.filter(({ kind }) => kind === "client bind");
  expect(binds.length).toBeGreaterThan(3);
  for (const { body } of binds) {
    const { portal, statement } = decodeBind(body);
    const headBytes = Buffer.byteLength(portal) + Buffer.byteLength(statement) + 2;
    for (let length = 0; length <= body.length; length++) {
      const head = decodeBindHead(body.subarray(0, length));
      expect(head).toEqual(length < headBytes ? null : { portal, statement, headBytes });
    }
  }
  const calls = messages.filter(({ kind }) => kind === "client functionCall");
  expect(calls.length).toBeGreaterThan(0);
  for (const { body } of calls) {
    const { functionOid } = decodeFunctionCall(body);
    for (let length = 0; length <= body.length; length++) {
      const head = decodeFunctionCallHead(body.subarray(0, length));
      expect(head).toEqual(length < 4 ? null : { functionOid, headBytes: 4 });
    }
  }
});
