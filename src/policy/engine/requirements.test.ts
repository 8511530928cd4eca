/** Which requirements are met: who counts, for how long, and one person for one requirement only. */
import { describe, expect, test } from "bun:test";
import { identity } from "../../../test/policy-sets.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Approval, Given } from "../../core/given.ts";
import type { Requirement } from "../../core/obligation.ts";
import { unmetRequirements } from "./requirements.ts";

type ApprovalRequirement = Extract<Requirement, { readonly kind: "approval" }>;

const NOW = 1_000_000;
const bot = identity("agent", "bot", ["ops"], "ann");
const patterns = new Map([
  ["ticket", { matchesWhole: (text: string) => text === "T-1" }],
  [
    "long",
    {
      matchesWhole: (): boolean => {
        throw new Error("too long");
      },
    },
  ],
  ["faulty", null],
]);

function wanted(more: Partial<Omit<ApprovalRequirement, "kind">> = {}): ApprovalRequirement {
  const from = { groups: ["dba"], subjects: [] };
  return {
    kind: "approval",
    rules: ["r"],
    from,
    count: 1,
    withinMs: 50,
    validForMs: 100,
    uses: 1,
    distinctFrom: [],
    ...more,
  };
}

function by(subject: string, groups: readonly string[] = ["dba"], agoMs = 0, issuer = "test"): Approval {
  return { issuer, subject, groups, atMs: NOW - agoMs };
}

function unmet(
  requirements: readonly Requirement[],
  approvals: readonly Approval[],
  more: Partial<Given> = {},
  now = NOW,
) {
  return unmetRequirements(requirements, bot, { ...NOTHING_GIVEN, approvals, ...more }, now, patterns);
}

describe("an approval counts", () => {
  const one = wanted();
  test.each<[string, ApprovalRequirement, readonly Approval[], boolean]>([
    ["by a member of the group", one, [by("cy")], true],
    ["not by others", one, [by("cy", ["ops"])], false],
    ["by a person who is named", wanted({ from: { groups: [], subjects: ["cy"] } }), [by("cy", [])], true],
    ["not when there is none", one, [], false],
    ["not by the requester", one, [by("bot")], false],
    ["by somebody else of the same name", one, [by("bot", ["dba"], 0, "other")], true],
    ["not by the owner of the requester, wherever from", one, [by("ann", ["dba"], 0, "other")], false],
    ["until it has ended", one, [by("cy", ["dba"], 99)], true],
    ["not once it has ended", one, [by("cy", ["dba"], 100)], false],
    ["not before it was given", one, [by("cy", ["dba"], -1)], false],
    ["with a second one", wanted({ count: 2 }), [by("cy"), by("di")], true],
    ["not twice for the same person", wanted({ count: 2 }), [by("cy"), by("cy")], false],
    ["twice for two of the same name", wanted({ count: 2 }), [by("cy"), by("cy", ["dba"], 0, "other")], true],
    ["with one that came in time", wanted({ count: 2 }), [by("cy", ["dba"], 50), by("di")], true],
    ["not with one that came too late", wanted({ count: 2 }), [by("cy", ["dba"], 51), by("di")], false],
    ["with the later one of a person", wanted({ count: 2 }), [by("cy", ["dba"], 60), by("cy"), by("di")], true],
    ["and nothing less than all that are wanted does", wanted({ count: 3 }), [by("cy"), by("di")], false],
    ["for nothing that nobody has to approve", wanted({ count: 0 }), [], false],
  ])("%s", (_, requirement, approvals, isMet) => {
    expect(unmet([requirement], approvals)).toEqual(isMet ? [] : [requirement]);
  });

  test("never with a clock that gives no number", () => {
    expect(unmet([one], [by("cy")], {}, Number.NaN)).toEqual([one]);
  });
});

describe("one person counts for one requirement:", () => {
  const dba = wanted();
  const risk = wanted({ from: { groups: ["risk"], subjects: [] } });
  const either = wanted({ from: { groups: ["dba", "risk"], subjects: [] } });
  const both = ["dba", "risk"];

  test("the first that can be met is, the other is not", () => {
    expect(unmet([dba, risk], [by("cy", both)])).toEqual([risk]);
    expect(unmet([risk, dba], [by("cy", both)])).toEqual([dba]);
    expect(unmet([dba, risk], [by("cy", both), by("di", both)])).toEqual([]);
  });

  test("people are moved where they are needed", () => {
    // Whoever comes first for the first is the only one for the last.
    expect(unmet([either, dba, risk], [by("cy"), by("di", both), by("ed", ["risk"])])).toEqual([]);
    expect(unmet([either, either, dba], [by("cy"), by("di", ["risk"]), by("ed", ["risk"])])).toEqual([]);
    expect(unmet([either, either, dba], [by("cy", ["risk"]), by("di", ["risk"]), by("ed", ["risk"])])).toEqual([dba]);
  });

  test("where the same people may approve and other people are wanted, they are others", () => {
    const other = wanted({ distinctFrom: ["r"] });
    expect(unmet([dba, other], [by("cy")])).toEqual([other]);
    expect(unmet([dba, other], [by("cy"), by("di")])).toEqual([]);
  });

  test("a time that does for one requirement is left for another", () => {
    const pair = wanted({ count: 2 });
    // The two that came together are wanted for the pair; the other has to do for risk.
    const approvals = [by("cy", both, 90), by("di", both, 40), by("ed", both)];
    expect(unmet([risk, pair], approvals)).toEqual([]);
    expect(unmet([pair, risk], approvals)).toEqual([]);
  });

  test("what no search within bounds can find is not met", () => {
    const crowd = Array.from({ length: 100 }, (_, at) => by(`p${at}`));
    expect(unmet([wanted({ count: 32 })], crowd)).toEqual([]);
    expect(unmet([wanted({ count: 33 })], crowd)).toHaveLength(1);
    const scattered = Array.from({ length: 64 }, (_, at) => by(`p${at}`, both, at));
    const many = Array.from({ length: 8 }, (_, at) => wanted({ count: 4, withinMs: 5, distinctFrom: [`${at}`] }));
    expect(unmet(many, scattered).length).toBeLessThanOrEqual(8);
  });
});

describe("other requirements:", () => {
  const justification = (pattern: string | null): Requirement => ({ kind: "justification", rules: ["r"], pattern });
  test.each<[string | null, string | null, boolean]>([
    [null, "because", true],
    [null, null, false],
    [null, "  ", false],
    ["ticket", "T-1", true],
    ["ticket", "T-1 ", false],
    ["ticket", null, false],
    ["long", "T-1", false],
    ["faulty", "T-1", false],
    ["unknown", "T-1", false],
  ])("a justification for %p is %p: %p", (pattern, text, isMet) => {
    expect(unmet([justification(pattern)], [], { justification: text })).toHaveLength(isMet ? 0 : 1);
  });

  test("a second factor and the owner's word", () => {
    const all: Requirement[] = [
      { kind: "confirm", rules: ["r"], by: "owner" },
      { kind: "stepUp", rules: ["r"], method: "mfa" },
    ];
    expect(unmet(all, [])).toEqual(all);
    expect(unmet(all, [], { confirmedByOwner: true })).toEqual(all.slice(1));
    expect(unmet(all, [], { steppedUp: true })).toEqual(all.slice(0, 1));
  });
});
