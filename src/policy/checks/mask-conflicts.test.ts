/** Masks that together redact, and masks that agree. */
import { describe, expect, test } from "bun:test";
import { warningsOf } from "../../../test/policy-yard.ts";
import type { Written, YardSet } from "../../../test/policy-yard.ts";

describe("MASK_CONFLICT", () => {
  const conflicts = (one: unknown, other: unknown, more: Partial<YardSet> & { readonly with?: Written } = {}) => {
    const guards = [
      { id: "a", action: { yard: { columns: ["t.x", "t.y"] } }, oblige: { mask: one } },
      { id: "b", action: { yard: { columns: ["t.x"] } }, oblige: { mask: other }, ...more.with },
    ];
    return warningsOf({ guards, ...more }, "MASK_CONFLICT");
  };

  test("two that are different make a third", async () => {
    expect(await conflicts([{ with: "hash" }], [{ with: "partial", keepLast: 2 }])).toEqual([
      "b masks t.x with partial (0 first, 2 last) and a (guards/a.yaml:1) with hash: where both apply it is redacted. Let both say the same",
    ]);
  });

  test("not when one of them is what results, or they never meet", async () => {
    expect(await conflicts([{ with: "hash" }], [{ with: "hash" }])).toEqual([]);
    expect(await conflicts([{ with: "redact" }], [{ with: "hash" }])).toEqual([]);
    const apart = (more: Written) => conflicts([{ with: "hash" }], [{ with: "null" }], { with: more });
    expect(await apart({})).toHaveLength(1);
    expect(await apart({ mode: "observe" })).toEqual([]);
    expect(await apart({ action: { yard: { columns: ["t.z"] } } })).toEqual([]);
    expect(await apart({ action: { yard: { columns: ["t.y"] } } })).toHaveLength(1);
    // Whoever reads both columns gets both rules.
    const beside = {
      action: { yard: { columns: ["t.z"] } },
      oblige: { mask: [{ columns: ["t.x", "t.z"], with: "null" }] },
    };
    expect(await apart(beside)).toHaveLength(1);
    const kinds = await warningsOf(
      {
        guards: [
          {
            id: "a",
            subject: { kinds: ["agent"] },
            action: { yard: { columns: ["t.x"] } },
            oblige: { mask: [{ with: "hash" }] },
          },
          {
            id: "b",
            subject: { kinds: ["human"] },
            action: { yard: { columns: ["t.x"] } },
            oblige: { mask: [{ with: "null" }] },
          },
        ],
      },
      "MASK_CONFLICT",
    );
    expect(kinds).toEqual([]);
  });

  test("columns that globs stand for come from the catalog", async () => {
    const guards = [
      {
        id: "a",
        target: { names: ["box"] },
        action: { yard: { columns: ["t.*"] } },
        oblige: { mask: [{ with: "hash" }] },
      },
      {
        id: "b",
        target: { names: ["box"] },
        action: { yard: { columns: ["*.x"] } },
        oblige: { mask: [{ with: "null" }] },
      },
    ];
    expect(await warningsOf({ guards }, "MASK_CONFLICT")).toEqual([]);
    expect(await warningsOf({ guards, listed: { columns: ["t.x", "t.y", "u.x"] } }, "MASK_CONFLICT")).toEqual([
      "b masks t.x with null and a (guards/a.yaml:1) with hash: where both apply it is redacted. Let both say the same",
    ]);
  });

  test("a rule is told of once, with the first that it is in conflict with", async () => {
    const of = (id: string, columns: readonly string[], transform: Written) => ({
      id,
      action: { yard: { columns } },
      oblige: { mask: [transform] },
    });
    const guards = [
      of("a", ["t.x", "t.y"], { with: "hash" }),
      of("b", ["t.z"], { with: "hash" }),
      of("c", ["t.x", "t.y", "t.z"], { with: "null" }),
    ];
    expect(await warningsOf({ guards }, "MASK_CONFLICT")).toEqual([
      "c masks t.x, t.y with null and a (guards/a.yaml:1) with hash: where both apply it is redacted. Let both say the same",
    ]);
  });

  test("of permits, what a grant wakes stands in the place of the others", async () => {
    const activation = { maxDuration: "1h", requirements: { justification: {} } };
    const of = (id: string, transform: string, more: Written) => ({
      id,
      action: { yard: { columns: ["t.x"] } },
      obligations: { mask: [{ with: transform }] },
      ...more,
    });
    const conflict = (one: Written, other: Written) =>
      warningsOf({ permits: [of("a", "hash", one), of("b", "null", other)] }, "MASK_CONFLICT");
    expect(await conflict({}, {})).toHaveLength(1);
    expect(await conflict({ activation }, { activation })).toHaveLength(1);
    expect(await conflict({}, { activation })).toEqual([]);
    // A guard stands beside both.
    const guards = [{ id: "g", action: { yard: { columns: ["t.x"] } }, oblige: { mask: [{ with: "hash" }] } }];
    for (const more of [{}, { activation }]) {
      expect(await warningsOf({ permits: [of("p", "null", more)], guards }, "MASK_CONFLICT")).toHaveLength(1);
    }
  });
});
