/** The parts of a rule with their truth, as they are explained to people. */
import { describe, expect, test } from "bun:test";
import { access, identity, NOW, session } from "../../../test/policy-sets.ts";
import { indexOf } from "../../../test/policy-world.ts";
import type { WrittenRule } from "../../../test/policy-world.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Facts } from "../../core/operation.ts";
import { MAYBE, NO, YES } from "./match.ts";
import { traceRule } from "./trace.ts";
import type { Truth } from "./trace.ts";
import { ruleMatch } from "./verdict.ts";

const bot = session(identity("agent", "bot", ["ops"], "ann"));
const ann = session(identity("human", "ann", ["ops"]));
const FACTS: Facts = { rooms: ["r"], verbs: ["get"], things: ["a", "b"], wide: UNKNOWN };
const HOUR_MS = 3_600_000;

type Asked = { access?: Access; within?: typeof bot; now?: number; given?: Given; others?: WrittenRule[] };

async function traced(
  rule: WrittenRule,
  { access: asked = access({ facts: FACTS }), within = bot, now = NOW, given = NOTHING_GIVEN, others = [] }: Asked = {},
) {
  const isGuard = rule.obligations === undefined && (rule.deny ?? rule.require ?? rule.oblige) !== undefined;
  const index = await indexOf(isGuard ? [others] : [[rule, ...others]], isGuard ? [[rule]] : []);
  const compiled = index.byId.get(rule.id);
  if (compiled === undefined) throw new Error("the rule is not there");
  const grounded = {
    ...given,
    grants: given.grants.map((grant) => {
      const granted = index.byId.get(grant.rule);
      return granted?.effect === "permit" ? Object.assign({}, grant, { ruleDigest: granted.digest }) : grant;
    }),
  };
  const parts = traceRule(index, compiled, asked, within, now, grounded);
  return {
    parts: Object.fromEntries(parts.map(({ part, truth }) => [part, truth])),
    verdict: ruleMatch(index, compiled, asked, within, now, grounded),
  };
}

const permit: WrittenRule = {
  id: "rule",
  subject: { any: true },
  target: { any: true },
  action: { any: true },
};

const granted: Given = {
  ...NOTHING_GIVEN,
  grants: [{ id: "1", rule: "rule", ruleDigest: "", issuer: "test", subject: "bot", expiresAtMs: NOW + 1 }],
};

describe("of a permit:", () => {
  test("who and where", async () => {
    const rule: WrittenRule = {
      ...permit,
      subject: { names: ["b*"], groups: ["devs"], kinds: ["agent", "human"], owners: ["ann"] },
      target: { names: ["bag"], labels: { env: ["prod"] } },
    };
    expect(await traced(rule)).toEqual({
      parts: {
        "subject.names": "yes",
        "subject.groups": "no",
        "subject.kinds": "yes",
        "subject.owners": "yes",
        "target.names": "no",
        "target.labels.env": "yes",
        action: "yes",
      },
      verdict: NO,
    });
    const { parts } = await traced(rule, { within: session(ann.identity, "far") });
    expect(parts).toMatchObject({ "subject.owners": "none", "target.labels.env": "none" });
  });

  test("where the session is, every value of which must be listed, and no more of what belongs to every session", async () => {
    const rule: WrittenRule = { ...permit, action: { tiny: { rooms: ["r"], things: ["x"] } } };
    const within = async (rooms: readonly string[]) => {
      const { parts } = await traced(rule, { access: access({ facts: { rooms, things: ["y"] }, ambient: true }) });
      return Object.fromEntries(Object.entries(parts).filter(([part]) => part.startsWith("action")));
    };
    expect(await within(["r"])).toEqual({ "action.tiny.rooms": "yes" });
    expect(await within(["r", "q"])).toEqual({ "action.tiny.rooms": "no" });
  });

  test("each key, every value of which must be listed", async () => {
    const tiny = { rooms: ["r"], verbs: ["get", "put"], things: ["a"], wide: true, parts: ["a.b"] };
    expect(await traced({ ...permit, action: { classes: ["read"], tiny } })).toEqual({
      parts: {
        "action.classes": "yes",
        "action.tiny.rooms": "yes",
        "action.tiny.verbs": "yes",
        "action.tiny.things": "no",
        "action.tiny.wide": "unknown",
        "action.tiny.parts": "none",
      },
      verdict: NO,
    });
  });

  test("each block, and what a permit would have to name", async () => {
    const asked = access({ class: "write", facts: { things: ["a"], tools: ["t"] } });
    const action = [{ classes: ["read" as const] }, { tiny: { things: ["a"] } }];
    expect(await traced({ ...permit, action }, { access: asked })).toEqual({
      parts: { "action[0].classes": "no", "action[1].tiny.things": "yes", "action[1].tiny.tools": "no" },
      verdict: NO,
    });
  });

  test("what an access wants named, once", async () => {
    const asked = access({ class: "write", facts: { things: ["a"], tools: ["t"] }, named: ["tools", "columns"] });
    const action = [{ any: true as const }, { tiny: { things: ["a"] } }];
    expect(await traced({ ...permit, action }, { access: asked })).toEqual({
      parts: {
        "action[0].tiny.tools": "no",
        "action[0].tiny.columns": "no",
        "action[1].tiny.things": "yes",
        "action[1].tiny.tools": "no",
        "action[1].tiny.columns": "no",
      },
      verdict: NO,
    });
  });

  test("of another protocol nothing", async () => {
    expect(await traced({ ...permit, action: { other: {} } })).toEqual({ parts: { action: "none" }, verdict: NO });
  });

  test("of what belongs to every session, where the session is", async () => {
    const ambient = access({ facts: { rooms: ["q"], verbs: ["put"] }, ambient: true });
    const { parts } = await traced(
      { ...permit, action: { tiny: { rooms: ["r"], verbs: ["get"] } } },
      { access: ambient },
    );
    expect(parts).toEqual({ "action.tiny.rooms": "no" });
  });

  test("times, condition, activation, what is opaque and what must be masked", async () => {
    const rule: WrittenRule = {
      ...permit,
      action: { tiny: {} },
      window: "$day",
      validFrom: new Date(NOW).toISOString(),
      validUntil: new Date(NOW + 20 * HOUR_MS).toISOString(),
      condition: "subject.name == 'unknown'",
      activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } },
      obligations: { mask: [{ with: "hash" }] },
    };
    const asked = access({ facts: { columns: ["a.x"] }, opaque: true });
    const parts: Record<string, Truth> = {
      action: "yes",
      condition: "unknown",
      window: "no",
      validFrom: "yes",
      validUntil: "yes",
      activation: "no",
      allowOpaque: "no",
      "obligations.mask": "unknown",
    };
    expect(await traced(rule, { access: asked })).toEqual({ parts, verdict: NO });
    const later = await traced(rule, { access: asked, now: NOW + 20 * HOUR_MS });
    expect(later.parts).toMatchObject({ window: "no", validUntil: "no" });
    const earlier = await traced(rule, { access: asked, now: NOW - 1 });
    expect(earlier.parts).toMatchObject({ validFrom: "no", validUntil: "yes" });
  });

  test("one that matches has nothing but yes", async () => {
    const rule: WrittenRule = {
      ...permit,
      action: { tiny: { verbs: ["get"] } },
      condition: "subject.name == 'yes'",
      activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } },
      obligations: { mask: [{ with: "hash" }] },
      allowOpaque: true,
    };
    expect(await traced(rule, { given: granted })).toEqual({
      parts: { "action.tiny.verbs": "yes", condition: "yes", activation: "yes", "obligations.mask": "yes" },
      verdict: YES,
    });
    expect((await traced(rule)).verdict).toBe(NO);
  });
});

describe("of a guard:", () => {
  const guard: WrittenRule = { id: "guard", action: { any: true }, deny: "No." };

  test("each key, any value of which may be listed", async () => {
    const tiny = { things: ["b"], wide: true, parts: ["a.b"], verbs: ["put"] };
    expect(await traced({ ...guard, action: { classes: ["write"], tiny } })).toEqual({
      parts: {
        "action.classes": "no",
        "action.tiny.things": "yes",
        "action.tiny.wide": "unknown",
        "action.tiny.parts": "none",
        "action.tiny.verbs": "no",
      },
      verdict: NO,
    });
  });

  test("of what is opaque nothing is ruled out", async () => {
    const asked = access({ facts: { things: ["a"] }, opaque: true });
    const tiny = { things: ["a"], wide: true, verbs: ["put"] };
    expect(await traced({ ...guard, action: { classes: ["read"], tiny } }, { access: asked })).toEqual({
      parts: {
        "action.classes": "unknown",
        "action.tiny.things": "yes",
        "action.tiny.wide": "unknown",
        "action.tiny.verbs": "unknown",
      },
      verdict: MAYBE,
    });
  });

  test("each exception, yes where it lifts the guard", async () => {
    const except: WrittenRule["except"] = [
      { unread: true, reason: "So." },
      { subject: { groups: ["devs"] }, reason: "So." },
      { action: { tiny: { verbs: ["get"] } }, grant: "rule", reason: "So." },
      "$known",
    ];
    const sleeper: WrittenRule = { ...permit, activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } } };
    const parts: Record<string, Truth> = {
      action: "yes",
      "except[0]": "no",
      "except[1]": "no",
      "except[2]": "no",
      "except.$known": "no",
    };
    const others = [sleeper];
    expect(await traced({ ...guard, except }, { others })).toEqual({ parts, verdict: YES });
    expect(await traced({ ...guard, except }, { others, given: granted })).toEqual({
      parts: { ...parts, "except[2]": "yes" },
      verdict: NO,
    });
    const unread = await traced({ ...guard, action: { tiny: { wide: true } }, except }, { others });
    expect(unread).toEqual({
      parts: {
        "action.tiny.wide": "unknown",
        "except[0]": "yes",
        "except[1]": "no",
        "except[2]": "no",
        "except.$known": "no",
      },
      verdict: NO,
    });
    const known = await traced(
      { ...guard, except },
      { others, access: access({ facts: { verbs: ["get"], things: ["a"] } }) },
    );
    expect(known.parts).toMatchObject({ "except.$known": "yes" });
    // What the guard does not apply to anyway, no exception lifts.
    const elsewhere = await traced(
      { ...guard, action: { tiny: { verbs: ["put"] } }, except },
      { others, given: granted },
    );
    expect(elsewhere.parts).toMatchObject({ "except[2]": "no" });
  });
});
