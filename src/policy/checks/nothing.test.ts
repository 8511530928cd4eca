/** Rules and names that match nothing there is. */
import { describe, expect, test } from "bun:test";
import { guard, permit, warningsOf } from "../../../test/policy-yard.ts";
import type { Written, YardSet } from "../../../test/policy-yard.ts";

const BOX: Written = { names: ["box"] };

describe("MATCHES_NOTHING", () => {
  const nothing = (set: YardSet) => warningsOf(set, "MATCHES_NOTHING");

  test("a rule about another protocol than its targets speak", async () => {
    expect(await nothing({ permits: [permit({ yard: {} }, { target: { names: ["hut"] } })] })).toEqual([
      "p is about yard, and its targets speak shed",
    ]);
    expect(await nothing({ permits: [permit({ any: true }, { target: { names: ["hut"] } })] })).toEqual([]);
  });

  test("verbs that never have the classes", async () => {
    expect(await nothing({ guards: [guard({ classes: ["write"], yard: { verbs: ["get", "drop"] } })] })).toEqual([
      "g: what is drop, get is never of the class write. Leave out classes or verbs",
    ]);
    for (const verb of ["put", "peek"]) {
      expect(await nothing({ guards: [guard({ classes: ["write"], yard: { verbs: ["get", verb] } })] })).toEqual([]);
    }
  });

  test("what the rest of the loader says is not said twice", async () => {
    expect(await nothing({ permits: [permit({ yard: {} }, { target: { names: ["z*"] } })] })).toEqual([
      "p matches none of the targets",
    ]);
  });

  test("globs that stand for nothing in the catalog", async () => {
    const listed = { things: ["s.a", "s.b"] };
    const of = (things: readonly string[], more: Partial<YardSet> = {}, target: Written = BOX) =>
      nothing({ permits: [permit({ yard: { things } }, { target })], listed, ...more });
    expect(await of(["s.*", "t.*", "u.**"])).toEqual([
      "p: no things of box are called t.*, u.**. Run weir policy catalog pull if they are new",
    ]);
    expect(await of(["s.*", "**"])).toEqual([]);
    expect(await of(["t.*"], { unlisted: { things: ["t.x*"] } })).toEqual([]);
    expect(await of(["t.*"], { unlisted: { things: ["s.**"] } })).toHaveLength(1);
    expect(await of(["t.*"], { listed: {} })).toEqual([]);
    expect(
      await nothing({ permits: [permit({ yard: { paths: ["/b/*"] } }, { target: BOX })], listed: { paths: ["/a"] } }),
    ).toEqual([]);
    // Of `bag` nothing is known.
    expect(await of(["t.*"], {}, { any: true })).toEqual([]);
  });

  test("targets of another protocol do not matter to names", async () => {
    const action = [{ yard: { things: ["t.*"] } }, { shed: {} }];
    const one = permit(action, { target: { names: ["box", "hut"] } });
    expect(await nothing({ permits: [one], listed: { things: ["s.a"] } })).toHaveLength(1);
  });
});
