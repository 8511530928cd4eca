/** The search index against a naive reading of the whole log: made, rebuilt, cut short, followed while it grows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Leaf, makeLog, naive, readLeaves, RULES, START_MS } from "../../../test/search-log.ts";
import { Indexer } from "./indexer.ts";
import { WordsRefused } from "./query-words.ts";
import { STRETCH_ENTRIES } from "./schema.ts";
import { EntrySearch, type SearchFilter } from "./search.ts";
import { SearchFile } from "./search-file.ts";
import { findSession, listSessions } from "./sessions.ts";
import { LogSource } from "./source.ts";

let folder: string;
/** Every leaf of the log, read. */
let leaves: readonly Leaf[];

function withIndex<T>(work: (file: SearchFile) => T): T {
  const source = LogSource.open(folder);
  const file = SearchFile.open(folder, source);
  if (file === null) throw new Error("there is no index of this log");
  try {
    return work(file);
  } finally {
    file.close();
    source.close();
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-search-"));
  await makeLog(folder, 15_000);
  leaves = readLeaves(folder);
  const indexer = Indexer.open(folder, { isThorough: true });
  while ((indexer?.step() ?? 0) > 0);
  indexer?.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 7 }, { arbitrary: value, weight: 2 });
const filters = fc
  .record({
    words: maybe(
      fc.array(
        fc.constantFrom(
          "orders",
          "public.orders",
          "Order_Items",
          "käufe",
          "sel*",
          "42P01",
          "shop/no-pii",
          "agent-1",
          "events_20*",
          "nobody",
          "token",
        ),
        { minLength: 1, maxLength: 3 },
      ),
    ),
    sinceMs: maybe(fc.integer({ min: START_MS - 600_000, max: START_MS + 100_000 })),
    untilMs: maybe(fc.integer({ min: START_MS - 600_000, max: START_MS + 100_000 })),
    subject: maybe(fc.constantFrom("agent-0", "agent-1", "agent-5", "nobody")),
    issuer: maybe(fc.constantFrom("weir", "nobody")),
    target: maybe(fc.constantFrom("orders-0", "orders-1", "nothing")),
    event: maybe(fc.constantFrom("operation.intent", "operation.refusal", "operation.outcome", "session.refused")),
    decision: maybe(fc.constantFrom("permit", "deny", "house")),
    refusal: maybe(fc.constantFrom("denied", "limit")),
    rule: maybe(fc.constantFrom(...RULES, "none/such")),
    status: maybe(fc.constantFrom("done", "failed", "refused")),
    session: maybe(fc.constantFrom("session-0-1", "session-20-2", "session-37-5", "none")),
    through: maybe(fc.constantFrom("session-0-0", "session-20-0", "session-20-1", "forward-4", "none")),
  })
  .map((all): SearchFilter => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));

test("any search finds what reading the whole log finds", () => {
  expect(leaves.length).toBeGreaterThan(STRETCH_ENTRIES);
  let hits = 0;
  withIndex((file) => {
    const search = new EntrySearch(file);
    fc.assert(
      fc.property(filters, fc.constantFrom(1, 20, 500, 100_000), fc.boolean(), (filter, limit, isOldestFirst) => {
        const found = search.search(filter, { limit, isOldestFirst });
        if (found.length > 0) hits++;
        expect(found).toEqual(naive(leaves, filter, limit, isOldestFirst));
      }),
      { numRuns: 120 },
    );
  });
  expect(hits).toBeGreaterThan(10);
});

test("an operation is found by its id, with all its entries", () => {
  withIndex((file) => {
    const search = new EntrySearch(file);
    for (const id of ["op-0", "op-1", "op-7777", "op-14999", "ev-911", "session-1-1"]) {
      const expected = [...leaves.keys()].filter((at) => leaves[at]?.id === id);
      // By a hash: others may be among them, and are told apart by their leaves.
      expect(search.operation(id).filter((at) => leaves[at]?.id === id)).toEqual(expected);
      expect(search.operation(id).length).toBeLessThan(expected.length + 3);
    }
  });
});

test("words cannot be more than words", () => {
  withIndex((file) => {
    const search = new EntrySearch(file);
    const found = (words: readonly string[]): number =>
      search.search({ words }, { limit: 5, isOldestFirst: false }).length;
    expect(found(["orders"])).toBe(5);
    const hostile = [
      '"',
      "'",
      "*",
      "(",
      "NEAR(",
      "a AND",
      "-",
      "^x",
      ":",
      "{}",
      "\0",
      "\ud800",
      "%",
      ";--",
      "orders\0x",
    ];
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: "binary" })), { maxLength: 20 }),
        (words) => {
          try {
            expect(found(words)).toBeLessThanOrEqual(5);
          } catch (error) {
            expect(error).toBeInstanceOf(WordsRefused);
          }
        },
      ),
      { numRuns: 300, examples: hostile.map((word): [string[]] => [["orders", `orders${word}`]]) },
    );
    for (const words of [["?"], ["a*"], ["x".repeat(129)], Array.from({ length: 17 }, () => "x")]) {
      expect(() => found(words)).toThrow(WordsRefused);
    }
    // A word with an operator of FTS5 in it is looked for as it stands.
    expect(found(["orders OR nobody"])).toBe(0);
    expect(found(["NOT", "orders"])).toBe(0);
  });
});

test("sessions have the counts of their entries", () => {
  withIndex((file) => {
    const all = listSessions(file, { withHouse: true }, 100_000);
    const ids = new Set(leaves.flatMap(({ session }) => session ?? []));
    expect(new Set(all.map(({ id }) => id))).toEqual(ids);
    for (const session of all.slice(0, 20)) {
      const own = leaves.filter((leaf) => leaf.session === session.id);
      const asked = own.filter(({ event }) => event !== "operation.outcome");
      expect(session).toMatchObject({
        subject: own[0]?.subject ?? null,
        target: own[0]?.target ?? null,
        source: "127.0.0.1",
        kind: "agent",
        endedMs: null,
        permitted: asked.filter(({ decision }) => decision === "permit").length,
        refused: asked.filter(({ decision }) => decision === "deny").length,
        failed: own.filter(({ status }) => status === "failed").length,
        first: leaves.findIndex((leaf) => leaf.session === session.id),
        last: leaves.findLastIndex((leaf) => leaf.session === session.id),
      });
      expect(findSession(file, session.id)).toEqual(session);
    }
    const carried = all.filter(({ through }) => through !== null);
    expect(carried.length).toBeGreaterThan(10);
    expect(carried.map(({ id, through }) => `${id} ${through?.operation}`)).toContain("session-0-4 forward-4");
    for (const id of ["session-20-0", "forward-5"]) {
      const found = listSessions(file, { through: id, withHouse: true }, 100_000);
      const wanted = leaves.filter(({ through }) => through.includes(id)).flatMap(({ session }) => session ?? []);
      expect(new Set(found.map((session) => session.id))).toEqual(new Set(wanted));
      expect(wanted).not.toEqual([]);
    }
    const some = listSessions(file, { subject: "agent-2", target: "orders-2" }, 5);
    expect(some.map(({ subject }) => subject)).toEqual(["agent-2", "agent-2", "agent-2", "agent-2", "agent-2"]);
    expect(listSessions(file, { subject: "agent-2", target: "orders-1" }, 5)).toEqual([]);
    expect(listSessions(file, { sinceMs: START_MS + 1 }, 5)).toEqual([]);
    expect(findSession(file, "nobody's")).toBeNull();
  });
});
