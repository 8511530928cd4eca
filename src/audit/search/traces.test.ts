/** Leaves read one after the other say what each of them says by itself. */
import { expect, test } from "bun:test";
import { canonicalJson, type JsonObject } from "../canonical.ts";
import { traceOf } from "./trace.ts";
import { Traces } from "./traces.ts";

const INTENT = {
  boot: "b".repeat(32),
  decision: { kind: "permit", policy: { commit: null, digest: "d" }, rules: ["shop/read"] },
  event: "operation.intent",
  id: "AB-2",
  index: 2,
  operation: { accesses: [{ class: "read", facts: { relations: ["public.orders"] } }], kind: "query" },
  sequence: 2,
  session: { id: "AB-1", openedAtMs: 1, source: "10.0.0.1" },
  subject: { groups: [], issuer: "weir", kind: "agent", name: "ann" },
  target: { labels: {}, name: "orders" },
  textSha256: "00",
  timeMs: 1,
  version: 1,
} satisfies JsonObject;
const CONNECT = { ...INTENT, operation: { accesses: [], kind: "connect" } };
const DENIED = { kind: "deny", policy: { commit: null, digest: "d" }, refusal: "denied", rules: ["shop/no-payroll"] };

const OTHER = { id: "AB-7", openedAtMs: 5, source: "10.0.0.2" };
const THIRD = { id: "AB-9", openedAtMs: 5, source: "10.0.0.2" };

/** Each differs from some other in one part only; a session is always the same one's, on one target. */
const LEAVES: readonly JsonObject[] = [
  INTENT,
  { ...INTENT, outcome: { bytes: 3, rows: 1, sequence: 3, status: "done", timeMs: 2 } },
  { ...INTENT, outcome: { code: "42P01", sequence: 3, status: "failed", timeMs: 2 } },
  { ...INTENT, outcome: { code: "42703", sequence: 3, status: "failed", timeMs: 2 } },
  { ...INTENT, decision: DENIED, event: "operation.refusal" },
  { ...INTENT, operation: { accesses: [], kind: "query", understood: false } },
  { ...INTENT, session: OTHER, subject: { groups: [], issuer: "weir", kind: "agent", name: "bob" } },
  { ...INTENT, session: THIRD, target: { labels: {}, name: "bills" } },
  { ...CONNECT, id: "AB-1" },
  { ...CONNECT, id: "AB-8", session: { id: "AB-8", openedAtMs: 5, source: "10.0.0.3" } },
  // Not as weir writes it.
  { ...INTENT, id: "é" },
  { boot: "b", event: "operation.outcome", id: "AB-2", intent: 2, outcome: { status: "done" }, timeMs: 4 },
  { boot: "b", event: "policy.activated", facts: { name: "shop" }, timeMs: 4 },
];

test("in any order, and when all of it was read before", () => {
  const traces = new Traces();
  for (const order of [LEAVES, LEAVES.toReversed(), LEAVES]) {
    for (const leaf of order.map((each) => Buffer.from(canonicalJson(each)))) {
      expect(traces.of(leaf)).toEqual(traceOf(leaf));
    }
  }
});

test("what is remembered of one operation's ends is bounded: a target may end it each time with a code of its own", () => {
  const traces = new Traces();
  const endedWith = (code: string): unknown => {
    const outcome = { code, sequence: 3, status: "failed", timeMs: 2 };
    const trace = traces.of(Buffer.from(canonicalJson({ ...INTENT, outcome })));
    return trace.shape === "intent" ? trace.what : null;
  };
  const first = endedWith("X0000");
  for (let n = 1; n < 1_000; n++) endedWith(`X${n}`);
  expect(endedWith("X0000")).toBe(first);
  expect(endedWith("X999")).not.toBe(endedWith("X999"));
  expect(endedWith("X999")).toEqual(endedWith("X999"));
});
