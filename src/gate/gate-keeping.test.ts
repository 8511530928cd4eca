/** What an adapter does not keep is refused: also where it keeps the rest of the same obligation. */
import { expect, test } from "bun:test";
import { ChangingPolicy, decisionOn, permitted, submit, worldOf } from "../../test/gate-world.ts";
import type { KeptKind, Meter } from "../core/obligation.ts";

function readingOnly(...keeps: readonly KeptKind[]): ReturnType<typeof submit> {
  const policy = new ChangingPolicy({ a: permitted({ session: { readOnly: true, idleMs: 1_000 } }) });
  return submit(worldOf("relaxed", new Map(), { policy, keeps: () => keeps }), "a");
}

test("sessions that only read need an adapter that can hold them to it", () => {
  const refused = readingOnly("session");
  expect(refused.started).toBe(0);
  expect(refused.refused).toMatchObject([{ code: "denied", rules: ["p"] }]);
  expect(refused.refused[0]?.message).toBe(
    "policy obliges `session: { readOnly }`, which this version cannot keep here",
  );
  expect(readingOnly("session", "readOnly").started).toBe(1);
});

test("an adapter's own rates hold beside those of policy, and count before anything is sent", () => {
  const own: Meter = {
    id: "own",
    rule: null,
    calls: "comparisons",
    unit: "calls",
    max: 1,
    per: { kind: "session" },
    across: "owner",
  };
  const policies = [permitted({}), permitted({ limit: { meters: [{ ...own, id: "p", rule: "p" }] } })];
  for (const [at, policy] of policies.entries()) {
    const world = worldOf("strict", new Map(), { policy: new ChangingPolicy({ a: policy, b: policy, c: policy }) });
    const asked: (readonly string[])[] = [];
    world.meters.asked = (meters) => asked.push(meters.map(({ id }) => id));
    submit(world, "a", false, { meters: [own] });
    expect(asked).toEqual([at === 0 ? ["own"] : ["p", "own"]]);
    world.meters.left = 0;
    const refused = submit(world, "b", false, { meters: [own] });
    world.audit.sync();
    expect(refused).toMatchObject({ started: 0, refused: [{ code: "limit" }] });
    expect(decisionOn(world, "b")).toMatchObject({ kind: "deny" });
    // What has none needs no count.
    const without = submit(world, "c");
    world.audit.sync();
    expect(without.refused.length).toBe(at);
  }
});
