/** Leaves read by their parts are what JSON.parse() makes of them, and nothing is read so that is not canonical. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { canonicalJson, isCanonical, type Json, type JsonObject, parseJson } from "./canonical.ts";
import { LeafParts } from "./leaf-parts.ts";

const INTENT = {
  boot: "b".repeat(32),
  decision: { kind: "permit", policy: { commit: null, digest: "d" }, rules: ["a/b"] },
  event: "operation.intent",
  id: "AB12CD-1Z",
  index: 1_234_567,
  operation: { accesses: [{ class: "read", facts: { sequence: ["x"], outcome: null } }], kind: "query" },
  sequence: 300,
  session: { id: "AB12CD-1", openedAtMs: 1_795_267_424_154, source: "127.0.0.1" },
  subject: { groups: [], name: "ann" },
  target: { labels: { session: "käufe" }, name: "orders" },
  textSha256: "0123456789abcdef".repeat(4),
  timeMs: 1_795_267_424_154.25,
  version: 1,
} satisfies Json;
const OUTCOME = { bytes: 71, durationMs: 0.307, rows: 0, sequence: 301, status: "done", timeMs: 1_795_267_424_155 };
const PARAMETERS = { parametersSha256: "fedcba9876543210".repeat(4) };

const LEAVES: readonly JsonObject[] = [
  INTENT,
  { ...INTENT, outcome: OUTCOME },
  { ...INTENT, ...PARAMETERS },
  { ...INTENT, outcome: OUTCOME, ...PARAMETERS },
];

test.each(LEAVES)("%#: a leaf is read, and what it shares with another only once", (leaf) => {
  const parts = new LeafParts();
  const [first, second] = [leaf, { ...leaf, id: "AB12CD-20", index: 0, timeMs: 1e21 }].map((each) => {
    const read = parts.read(canonicalJson(each));
    expect(read).toEqual(JSON.parse(canonicalJson(each)));
    return read;
  });
  for (const name of ["decision", "operation", "session", "subject", "target"]) {
    expect(second?.[name]).toBe(first?.[name] ?? null);
  }
});

test.each([
  ["an outcome's", { boot: INTENT.boot, event: "operation.outcome", id: "a", index: 1, outcome: OUTCOME, version: 1 }],
  ["an event's", { boot: INTENT.boot, event: "policy.activated", facts: {}, index: 1, timeMs: 1, version: 1 }],
  ["one with a member more", { ...INTENT, extra: 1 }],
  ["one with a member less", { ...INTENT, target: undefined }],
  ["one whose id needs escapes", { ...INTENT, id: 'a"b' }],
] satisfies [string, JsonObject][])("%s leaf is left to others", (_, leaf) => {
  expect(new LeafParts().read(canonicalJson(leaf))).toBeNull();
});

test.each([
  ["a leading zero", '"sequence":300', '"sequence":0300'],
  ["no number", '"version":1', '"version":NaN'],
  ["no end of a number", '"version":1', '"version":Infinity'],
  ["a control character", "AB12CD-1Z", "AB12CD-\u0001Z"],
  ["no string", '"id":"AB12CD-1Z"', '"id":12'],
  ["an order that is not canonical", '"groups":[],"name":"ann"', '"name":"ann","groups":[]'],
  ["something behind the end", '"version":1}', '"version":1} '],
])("a text with %s is not read", (_, part, changed) => {
  const text = canonicalJson(INTENT);
  expect(text).toContain(part);
  expect(new LeafParts().read(text.replace(part, changed))).toBeNull();
});

/** Names that stand in leaves, where they may be looked for. */
const names = fc.constantFrom(
  "boot",
  "decision",
  "event",
  "id",
  "index",
  "operation",
  "outcome",
  "parametersSha256",
  "sequence",
  "session",
  "subject",
  "target",
  "textSha256",
  "timeMs",
  "version",
);
const { tree: values } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Json>(null, true, 0, -1.5, "", "}", '},"event":"', ',"sequence":1', "\\", "ü"),
    fc.array(tie("tree"), { maxLength: 2 }),
    fc.dictionary(names, tie("tree"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

test("whatever the members hold", () => {
  const changed = fc.tuple(
    fc.constantFrom(...LEAVES),
    fc.dictionary(names, values, { maxKeys: 4, noNullPrototype: true }),
  );
  const parts = new LeafParts();
  fc.assert(
    fc.property(changed, ([leaf, members]) => {
      const text = canonicalJson({ ...leaf, ...members });
      const read = parts.read(text);
      if (read !== null) expect(canonicalJson(read)).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test("no text is read that is not canonical JSON, or as another than it is", () => {
  const cuts = fc.record({
    leaf: fc.constantFrom(...LEAVES),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat({ max: 30 }),
    put: fc.constantFrom("", '"', "}", "{", ",", "0", "1", "-", ".5", " ", "\\", "\n", "}}", '""', ',"event":"', "é"),
  });
  const parts = new LeafParts();
  for (const leaf of LEAVES) parts.read(canonicalJson(leaf));
  fc.assert(
    fc.property(cuts, ({ leaf, from, drop, put }) => {
      const whole = canonicalJson(leaf);
      const at = Math.floor(from * whole.length);
      const text = whole.slice(0, at) + put + whole.slice(at + drop);
      const read = parts.read(text);
      if (read === null) return;
      const json = parseJson(text);
      expect(isCanonical(json, text)).toBe(true);
      expect(canonicalJson(read)).toBe(text);
    }),
    { numRuns: 5000 },
  );
});

test("more than is kept is read all the same", () => {
  const parts = new LeafParts();
  const groups = Array.from({ length: 500 }, (_, at) => "g".repeat(200) + String(at));
  for (let at = 0; at < 200; at++) {
    const leaf = { ...INTENT, subject: { groups, name: `agent-${at}` } };
    expect(parts.read(canonicalJson(leaf))).toEqual(JSON.parse(canonicalJson(leaf)));
  }
});
