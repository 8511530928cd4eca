/** Limits that are never reached, and limits that are. */
import { describe, expect, test } from "bun:test";
import { permit, warningsOf } from "../../../test/policy-yard.ts";
import type { Written, YardSet } from "../../../test/policy-yard.ts";

describe("LIMIT_HAS_NO_EFFECT", () => {
  const limits = (set: YardSet) => warningsOf(set, "LIMIT_HAS_NO_EFFECT");
  const one = (limit: Written, more: Written = {}) =>
    permit({ yard: { verbs: ["get"] } }, { obligations: { limit }, ...more });
  const cap = (limit: Written, more: Written = {}) => ({ id: "g", action: { yard: {} }, oblige: { limit }, ...more });

  test("a guard allows less", async () => {
    expect(
      await limits({
        permits: [one({ rows: 10, bytes: "2MiB", time: "20s" })],
        guards: [cap({ rows: 5, bytes: "1MiB", time: "30s" })],
      }),
    ).toEqual([
      "bytes: 2MiB of p has no effect: g (guards/a.yaml:1) allows only 1MiB",
      "rows: 10 of p has no effect: g (guards/a.yaml:1) allows only 5",
    ]);
    expect(await limits({ permits: [one({ time: "20s" })], guards: [cap({ time: "10s" })] })).toEqual([
      "time: 20s of p has no effect: g (guards/a.yaml:1) allows only 10s",
    ]);
  });

  test("a budget allows less", async () => {
    const budget = (max: unknown, unit: string) => [{ [unit]: true, max, per: "day", across: "subject" }];
    expect(await limits({ permits: [one({ rows: 10, budget: budget(5, "rows") })] })).toEqual([
      "rows: 10 of p has no effect: its budget is only 5",
    ]);
    expect(await limits({ permits: [one({ bytes: "2KiB", budget: budget("1KiB", "bytes") })] })).toEqual([
      "bytes: 2KiB of p has no effect: its budget is only 1KiB",
    ]);
    expect(await limits({ permits: [one({ rows: 10, budget: budget(5, "calls") })] })).toEqual([]);
    expect(await limits({ permits: [one({ rows: 10, budget: budget(10, "rows") })] })).toEqual([]);
  });

  test("a permit that contains it allows less", async () => {
    const all = { id: "all", action: { yard: {} }, obligations: { limit: { rows: 5 } } };
    expect(await limits({ permits: [one({ rows: 10 }), all] })).toHaveLength(1);
    const activation = { maxDuration: "1h", requirements: { justification: {} } };
    expect(await limits({ permits: [one({ rows: 10 }, { activation }), all] })).toEqual([]);
    expect(await limits({ permits: [one({ rows: 10 }), { ...all, activation }] })).toEqual([]);
    expect(
      await limits({
        permits: [one({ rows: 10 }), { ...all, obligations: { limit: { rows: 5 }, mask: [{ with: "redact" }] } }],
      }),
    ).toEqual([]);
  });

  test("not when it is the least, or the other does not always apply", async () => {
    expect(await limits({ permits: [one({ rows: 5 })], guards: [cap({ rows: 5 })] })).toEqual([]);
    expect(await limits({ permits: [one({ rows: 10 })], guards: [cap({ rows: 5 }, { mode: "observe" })] })).toEqual([]);
    expect(
      await limits({ permits: [one({ rows: 10 })], guards: [cap({ rows: 5 }, { subject: { kinds: ["agent"] } })] }),
    ).toEqual([]);
  });
});
