/** What counts as a leaf: exactly the one canonical form of what docs/audit-log.md describes. */
import { expect, test } from "bun:test";
import { canonicalJson, type Json } from "../canonical.ts";
import { LeafParts } from "../leaf-parts.ts";
import { readForm } from "./leaf-form.ts";

const EVENT = {
  boot: "b".repeat(32),
  event: "policy.activated",
  facts: { name: "shop" },
  index: 7,
  sequence: 3,
  timeMs: 1_760_000_000_000,
  version: 1,
};
const INTENT = {
  boot: EVENT.boot,
  decision: { kind: "permit", policy: { commit: null, digest: "d" }, rules: [] },
  event: "operation.intent",
  id: "op-1",
  index: 7,
  operation: { accesses: [], adapter: "postgres", catalog: null, kind: "query", understood: true },
  sequence: 3,
  session: { id: "s", openedAtMs: 1, source: "127.0.0.1" },
  subject: { groups: [], issuer: "weir", kind: "agent", name: "a", proof: {} },
  target: { labels: {}, name: "t" },
  textSha256: "00",
  timeMs: 1.5,
  version: 1,
};
const OUTCOME = {
  boot: EVENT.boot,
  event: "operation.outcome",
  id: "op-1",
  index: 7,
  intent: 4,
  outcome: { status: "done" },
  sequence: 5,
  timeMs: 2,
  version: 1,
};

const read = (text: string): ReturnType<typeof readForm> => readForm(Buffer.from(text), 7, new LeafParts());
const readJson = (json: Json): ReturnType<typeof readForm> => read(canonicalJson(json));

test("leaves of each shape are read", () => {
  expect(readJson(EVENT)).toMatchObject({ event: "policy.activated", sequence: 3, facts: { name: "shop" } });
  expect(readJson(INTENT)).toMatchObject({ event: "operation.intent", id: "op-1", outcome: null });
  expect(readJson({ ...INTENT, outcome: { sequence: 4, status: "done", timeMs: 2 } })).toMatchObject({
    outcome: { sequence: 4, status: "done" },
  });
  expect(readJson(OUTCOME)).toMatchObject({ id: "op-1", intent: 4, outcome: { sequence: 5 } });
});

test("keys that look like numbers, and keys beyond ASCII, have their place in the canonical order", () => {
  const facts = { "10": 1, "9": 2, "-": 3, é: 4, "\u{1f600}": 5, "\ufb01": 6 };
  expect(readJson({ ...EVENT, facts })).toMatchObject({ event: "policy.activated" });
});

test.each([
  ["white space", (text: string) => text.replace(":", ": ")],
  ["another order", (text: string) => text.replace(/^\{"boot":("b+"),"event":("[^"]+")/u, '{"event":$2,"boot":$1')],
  ["an order inside", (text: string) => text.replace('{"name":"shop"}', '{"z":1,"name":"shop"}')],
  ["a number in another form", (text: string) => text.replace('"sequence":3', '"sequence":3.0')],
  ["an escape that is not needed", (text: string) => text.replace("shop", "sh\\u006fp")],
  ["a key that stands there twice", (text: string) => text.replace('"index":7', '"index":7,"index":7')],
])("%s is not canonical", (_, change) => {
  const text = canonicalJson(EVENT);
  expect(change(text)).not.toBe(text);
  expect(read(change(text))).toBe("its leaf is not canonical JSON (RFC 8785)");
});

test.each([
  [{ ...EVENT, version: 2 }, "its leaf has version 2, which this weir does not know"],
  [{ ...EVENT, index: 8 }, "its leaf says that it is entry 8"],
  [{ ...EVENT, sequence: 0 }, "its sequence is no positive number"],
  [{ ...EVENT, facts: undefined }, "its event has no facts"],
  [{ ...EVENT, timeMs: "now" }, "its leaf has no time"],
  [{ ...INTENT, event: "operation.refusal" }, "its decision is permit, which does not fit operation.refusal"],
  [{ ...INTENT, subject: null }, "its operation has no subject"],
  [{ ...INTENT, sequence: undefined }, "its operation has no sequence"],
  [{ ...OUTCOME, intent: 7 }, "its intent, entry 7, comes after it"],
  [{ ...OUTCOME, outcome: {} }, "its outcome has no status"],
] satisfies [Json, string][])("%j is refused", (json, text) => {
  expect(readJson(json)).toBe(text);
});

test("bytes that are no leaf are refused", () => {
  expect(readForm(Buffer.from([0x7b, 0xff, 0x7d]), 7, new LeafParts())).toBe("its leaf is not valid UTF-8");
  expect(read("{")).toStartWith("its leaf is not JSON: ");
  expect(read("[]")).toBe("its leaf is no JSON object");
  expect(readForm(Buffer.alloc(65_536, 0x20), 7, new LeafParts())).toBe("its leaf has 65536 bytes, more than 65535");
});
