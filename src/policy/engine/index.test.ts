/** Decisions that are shared: one object for one key, made once, and no more of them than fit. */
import { expect, test } from "bun:test";
import { indexOf } from "../../../test/policy-world.ts";
import { NO_RULES, type Decision } from "../../core/decision.ts";
import { NO_OBLIGATIONS } from "../../core/obligation.ts";

const KEPT_MAX = 10_000;

test("a decision is made once for its key, and others are made apart", async () => {
  const index = await indexOf([], []);
  const [a, b] = [shared(index, "a"), shared(index, "b")];
  expect(a).not.toBe(b);
  expect(shared(index, "a")).toBe(a);
  expect(shared(index, "b")).toBe(b);
});

test("as many are kept as fit, and then it begins anew", async () => {
  const index = await indexOf([], []);
  const first = shared(index, "0");
  for (let i = 1; i < KEPT_MAX; i++) shared(index, `${i}`);
  expect(shared(index, "0")).toBe(first);
  shared(index, "one more");
  expect(shared(index, "0")).not.toBe(first);
});

function shared(index: Awaited<ReturnType<typeof indexOf>>, key: string): Decision {
  return index.shared(key, () => ({ kind: "permit", rules: [], observed: NO_RULES, obligations: NO_OBLIGATIONS }));
}
