/** Rules that change nothing, and rules that must not be said to. */
import { describe, expect, test } from "bun:test";
import { guard, warningsOf } from "../../../test/policy-yard.ts";
import type { Written } from "../../../test/policy-yard.ts";

describe("SHADOWED", () => {
  const shadowed = async (permits: readonly Written[], guards: readonly Written[] = []) =>
    warningsOf({ permits, guards }, "SHADOWED");
  const small = { id: "small", action: { yard: { verbs: ["get"], things: ["a"] } } };
  const large = { id: "large", action: { yard: { verbs: ["get", "put"] } } };
  const told1 = ["small changes nothing: large (permits/a.yaml:1) permits all of it. Remove it, or make it say more"];

  test("a permit that another contains", async () => {
    expect(await shadowed([small, large])).toEqual(told1);
    expect(await shadowed([large, { ...small, obligations: { record: ["input"] } }])).toEqual([]);
    expect(await shadowed([{ ...large, obligations: { record: ["input"] } }, small])).toEqual(told1);
  });

  test("a guard on names beyond ASCII, in a key without regard to case", async () => {
    const on = (id: string, path: string): Written => ({ id, action: { yard: { paths: [path] } }, deny: "No." });
    expect(await shadowed([], [on("small", "/ä/x"), on("large", "/ä/*")])).toEqual([
      "small changes nothing: large (guards/a.yaml:1) denies all of it. Remove it, or make it say more",
    ]);
  });

  test("not one that names columns by one that does not, which permits writing no masked ones", async () => {
    const named = { id: "small", action: { yard: { verbs: ["put"], columns: ["t.x"] } } };
    expect(await shadowed([named, large])).toEqual([]);
    const naming = { id: "large", action: { yard: { verbs: ["get", "put"], columns: ["t.*"] } } };
    expect(await shadowed([named, naming])).toEqual(told1);
  });

  test("of two that are the same the second is told", async () => {
    expect(await shadowed([large, { ...large, id: "other" }])).toEqual([
      "other changes nothing: large (permits/a.yaml:1) permits all of it. Remove it, or make it say more",
    ]);
  });

  const not: readonly (readonly [what: string, small: Written, large: Written])[] = [
    ["a grant wakes it", { activation: { maxDuration: "1h", requirements: { justification: {} } } }, {}],
    ["a grant wakes the other", {}, { activation: { maxDuration: "1h", requirements: { justification: {} } } }],
    ["it permits what is opaque", { allowOpaque: true }, {}],
    ["it has a limit of its own", { obligations: { limit: { rows: 5 } } }, { obligations: { limit: { rows: 9 } } }],
    [
      "it counts a rate of its own",
      { obligations: { limit: { rate: "5/1m" } } },
      { obligations: { limit: { rate: "5/1m" } } },
    ],
    ["it masks", { obligations: { mask: [{ with: "redact" }] } }, {}],
    ["the other masks", {}, { obligations: { mask: [{ with: "redact" }] } }],
    ["sessions would be kept to more", {}, { obligations: { session: { readOnly: true } } }],
    [
      "it alerts others",
      { obligations: { alert: [{ channel: "a" }] } },
      { obligations: { alert: [{ channel: "b" }] } },
    ],
    [
      "it alerts louder",
      { obligations: { alert: [{ channel: "a", severity: "critical" }] } },
      { obligations: { alert: [{ channel: "a", severity: "info" }] } },
    ],
    [
      "it allows fewer bytes",
      { obligations: { limit: { bytes: "1KiB" } } },
      { obligations: { limit: { bytes: "2KiB" } } },
    ],
    ["it allows less time", { obligations: { limit: { time: "1s" } } }, { obligations: { limit: { rows: 1 } } }],
    ["its sessions are kept to more", { obligations: { session: { idle: "1s" } } }, {}],
    ["it is for others", { subject: { groups: ["devs"] } }, {}],
    ["it is for longer", {}, { validUntil: "2030-01-01T00:00:00Z" }],
  ];
  for (const [what, one, other] of not) {
    test(`not when ${what}`, async () =>
      expect(
        await shadowed([
          { ...small, ...one },
          { ...large, ...other },
        ]),
      ).toEqual([]));
  }

  test("not when it names what permits must name", async () => {
    const tools = { id: "tools", action: { yard: { verbs: ["get"], tools: ["t"] } } };
    expect(await shadowed([tools, large])).toEqual([]);
    expect(await shadowed([tools, { id: "all", action: { yard: {} } }])).toHaveLength(1);
  });

  test("hidden files must be meant", async () => {
    const of = (path: string) =>
      shadowed([
        { id: "one", action: { yard: { paths: [path] } } },
        { id: "other", action: { yard: { paths: ["/data/**"] } } },
      ]);
    expect(await of("/data/x/*")).toHaveLength(1);
    expect(await of("/data/x/.ssh")).toEqual([]);
    const start = [
      { id: "one", action: { yard: { paths: [".x"] } } },
      { id: "other", action: { yard: { paths: ["**"] } } },
    ];
    expect(await shadowed(start)).toEqual([]);
  });

  test("a pattern may give up on a text that a permit's other parts would have found", async () => {
    const of = (one: readonly string[], other: readonly string[]) =>
      shadowed([
        { id: "one", action: { yard: { says: one } } },
        { id: "other", action: { yard: { says: other } } },
      ]);
    expect(await of(["abc"], ["b"])).toHaveLength(1);
    expect(await of(["abc"], ["b", "$secret"])).toEqual([]);
    expect(await of(["$secret"], ["$secret"])).toHaveLength(1);
    expect(await of(["Abc"], ["abc"])).toEqual([]);
  });

  test("fields", async () => {
    const of = (one: Written, other: Written) =>
      shadowed([
        { id: "one", action: { yard: { args: one } } },
        { id: "other", action: { yard: { args: other } } },
      ]);
    expect(await of({ a: ["x"], b: ["y"] }, { a: ["x", "z"] })).toHaveLength(1);
    expect(await of({ a: ["x"] }, { a: ["x"], b: ["y"] })).toEqual([
      "other changes nothing: one (permits/a.yaml:1) permits all of it. Remove it, or make it say more",
    ]);
    expect(await of({ a: ["x", "z"] }, { a: ["x"], b: ["y"] })).toHaveLength(1);
    expect(await of({ a: ["x"] }, { b: ["x"] })).toEqual([]);
    expect(await of({ a: ["x"] }, { A: ["x"] })).toEqual([]);
  });

  test("guards", async () => {
    const [inner, outer] = [
      guard({ yard: { things: ["a"] } }, { id: "inner" }),
      guard({ yard: { things: ["a", "b"] } }, { id: "outer" }),
    ];
    const line = "inner changes nothing: outer (guards/a.yaml:1) denies all of it. Remove it, or make it say more";
    expect(await shadowed([], [inner, outer])).toEqual([line]);
    expect(await shadowed([], [{ ...inner, except: [{ unread: true, reason: "x" }] }, outer])).toEqual([line]);
    expect(await shadowed([], [inner, { ...outer, except: [{ unread: true, reason: "x" }] }])).toEqual([]);
    expect(await shadowed([], [{ ...inner, mode: "observe" }, outer])).toEqual([]);
    expect(await shadowed([], [inner, { ...outer, mode: "observe" }])).toEqual([]);
  });

  test("a guard is not within one that speaks of a class: what is done may be unknown", async () => {
    const [verbs, classes] = [
      guard({ yard: { verbs: ["drop"] } }, { id: "verbs" }),
      guard({ classes: ["define"] }, { id: "classes" }),
    ];
    expect(await shadowed([], [verbs, classes])).toEqual([]);
  });

  test("requirements and obligations", async () => {
    const inner = { id: "inner", action: { yard: { things: ["a"] } } };
    const outer = { id: "outer", action: { yard: {} } };
    const approval = (count: number) => ({ approval: { from: { groups: ["ops"] }, count } });
    expect(
      await shadowed(
        [],
        [
          { ...inner, require: approval(1) },
          { ...outer, require: approval(1) },
        ],
      ),
    ).toHaveLength(1);
    expect(
      await shadowed(
        [],
        [
          { ...inner, require: approval(2) },
          { ...outer, require: approval(1) },
        ],
      ),
    ).toEqual([]);
    expect(
      await shadowed(
        [],
        [
          { ...inner, require: approval(2) },
          { ...outer, deny: "No." },
        ],
      ),
    ).toHaveLength(1);
    expect(
      await shadowed(
        [],
        [
          { ...inner, deny: "No." },
          { ...outer, require: approval(1) },
        ],
      ),
    ).toEqual([]);
    const rows = (max: number) => ({ oblige: { limit: { rows: max }, record: ["input"] } });
    expect(
      await shadowed(
        [],
        [
          { ...inner, ...rows(5) },
          { ...outer, ...rows(5) },
        ],
      ),
    ).toHaveLength(1);
    expect(
      await shadowed(
        [],
        [
          { ...inner, ...rows(5) },
          { ...outer, ...rows(6) },
        ],
      ),
    ).toEqual([]);
  });
});
