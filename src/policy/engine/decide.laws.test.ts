/** Laws of the engine on random sets: it decides as the meaning says, guards only narrow, and order never matters. */
import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { SEED } from "../../../test/chance.ts";
import { decideNaively } from "../../../test/naive/engine.ts";
import {
  access,
  grounded,
  guard,
  guards,
  NOON,
  permit,
  permits,
  requests,
  who,
} from "../../../test/policy-arbitraries.ts";
import type { Request } from "../../../test/policy-arbitraries.ts";
import { operation } from "../../../test/policy-sets.ts";
import { changed, indexOf } from "../../../test/policy-world.ts";
import type { Decision } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Operation } from "../../core/operation.ts";
import { decide, mayConnect } from "./decide.ts";
import type { RuleIndex } from "./index.ts";
import { joinObligations, joinRequirements } from "./merge.ts";
import type { Rule } from "./rule.ts";

const CASES_MIN = 100_000;
const TIME_MS_MAX = 900_000;

let cases = 0;
afterAll(() => {
  // With a name pattern only some of the laws run.
  if (laws.every(({ ran }) => ran)) expect(cases).toBeGreaterThan(CASES_MIN);
});

const laws: { ran: boolean }[] = [];
/** A law with its seed in its name, so that a failure can be repeated. */
function law(name: string, check: () => Promise<void>): void {
  const state = { ran: false };
  laws.push(state);
  const run = async (): Promise<void> => {
    await check();
    state.ran = true;
  };
  test(`${name} (WEIR_TEST_SEED=${SEED})`, run, TIME_MS_MAX);
}

function answer(index: RuleIndex, request: Request, requested: Operation = request.operation): Decision {
  cases++;
  const given = grounded(index, request.given);
  return (request.isConnect ? mayConnect : decide)(index, who, requested, NOON, given);
}

const STRICTNESS = { permit: 0, ask: 1, deny: 2 } as const;

/** Why the second decision is less strict than the first; null when it is not. */
function lessStrict(before: Decision, after: Decision, isAskedForMore: boolean): string | null {
  if (STRICTNESS[after.kind] < STRICTNESS[before.kind]) return `${after.kind} instead of ${before.kind}`;
  if (before.kind === "deny" || after.kind === "deny") return null;
  const joined = joinObligations(before.obligations, after.obligations);
  if (!Bun.deepEquals(joined, after.obligations)) return "obligations are milder";
  const asked = before.kind === "ask" ? before.requirements : [];
  const stillAsked = after.kind === "ask" ? after.requirements : [];
  const isLess = isAskedForMore && !Bun.deepEquals(joinRequirements(asked, stillAsked), stillAsked);
  return isLess ? "less is required" : null;
}

function showing(decisions: readonly unknown[], request: Request): string {
  return JSON.stringify(
    { request, decisions },
    (_, value: unknown) => (typeof value === "symbol" ? "UNKNOWN" : value),
    1,
  );
}

law("the engine decides as the meaning says", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(permits, guards, requests, async (allPermits, allGuards, all) => {
      const index = await indexOf([allPermits], [allGuards]);
      for (const request of all) {
        const decision = answer(index, request);
        const { operation: requested, given, isConnect } = request;
        const expected = decideNaively(allPermits, allGuards, who, requested, NOON, given, isConnect);
        const { kind, rules, observed } = decision;
        const actual = {
          kind,
          rules,
          observed,
          code: kind === "deny" ? decision.refusal.code : "",
          obligations: kind === "deny" ? {} : decision.obligations,
          requirements: kind === "ask" ? decision.requirements : [],
        };
        if (!Bun.deepEquals(actual, expected)) throw new Error(showing([actual, expected], request));
        seen.add(kind);
        if (observed.length > 0) seen.add("observed");
        if (kind !== "deny") for (const part of Object.keys(decision.obligations)) seen.add(part);
      }
    }),
    { numRuns: 400, seed: SEED },
  );
  // Nothing that the language has is left out by the generators.
  const everything = ["permit", "ask", "deny", "observed", "limit", "mask", "record", "session", "alert"];
  expect([...seen].toSorted()).toEqual(everything.toSorted());
});

law("a guard more never makes a decision less strict", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, guard, requests, async (allPermits, allGuards, one, all) => {
      const after = await indexOf([allPermits], [[...allGuards, { ...one, id: "more" }]]);
      const before = changed(after, (rules) => rules.filter(({ id }) => id !== "more"));
      for (const request of all) {
        const was = answer(before, request);
        const is = answer(after, request);
        const why = lessStrict(was, is, request.given === NOTHING_GIVEN);
        if (why !== null) throw new Error(`${why}: ${showing([was, is], request)}`);
      }
    }),
    { numRuns: 150, seed: SEED },
  );
});

law("a standing permit more changes nothing but a default deny", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, permit, requests, async (allPermits, allGuards, one, all) => {
      const after = await indexOf([[...allPermits, { ...one, id: "more" }]], [allGuards]);
      const before = changed(after, (rules) => rules.filter(({ id }) => id !== "more"));
      for (const request of all) {
        const was = answer(before, request);
        const is = answer(after, request);
        if (was.kind === "deny" && was.rules.length === 0) continue;
        const isSame = is.kind === was.kind && (was.kind !== "deny" || Bun.deepEquals(is.rules, was.rules));
        // How a session must be is what all permits want that could match in it: one more can only make that milder.
        const why = isSame && !request.isConnect ? lessStrict(was, is, true) : null;
        if (!isSame || why !== null) throw new Error(`${why}: ${showing([was, is], request)}`);
      }
    }),
    { numRuns: 150, seed: SEED },
  );
});

law("the order of rules and files changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, requests, fc.nat(6), async (allPermits, allGuards, all, cut) => {
      const one = await indexOf([allPermits], [allGuards]);
      const turned = allPermits.toReversed();
      const other = await indexOf([turned.slice(0, cut), turned.slice(cut)], [allGuards.toReversed()]);
      for (const request of all) {
        const decisions = [answer(one, request), answer(other, request)];
        if (!Bun.deepEquals(decisions[0], decisions[1])) throw new Error(showing(decisions, request));
      }
    }),
    { numRuns: 100, seed: SEED },
  );
});

law("an access more never makes a decision less strict", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, requests, access, async (allPermits, allGuards, all, more) => {
      const index = await indexOf([allPermits], [allGuards]);
      for (const request of all) {
        const shorter = operation(who, request.operation.accesses);
        const longer = operation(who, [...request.operation.accesses, more]);
        const was = answer(index, request, shorter);
        const is = answer(index, request, longer);
        // An ambient access obliges nothing by its permits, and what carries the others is then all that is told.
        const why = lessStrict(was, is, request.given === NOTHING_GIVEN);
        if (why !== null) throw new Error(`${why}: ${showing([was, is], request)}`);
      }
    }),
    { numRuns: 100, seed: SEED },
  );
});

/** Sets every condition of a kind of rule to one truth, or to an error. */
function conditionsOf(role: "permit" | "guard" | "exception", truth: boolean | "error", only?: "now") {
  const evaluate = (): boolean => {
    if (truth === "error") throw new Error("the condition failed");
    return truth;
  };
  return (rule: Rule): Rule => {
    const condition = rule.condition;
    const isMeant = (usesNow: boolean): boolean => only === undefined || usesNow;
    if (role !== "exception") {
      if (rule.effect !== role || condition === null || !isMeant(condition.usesNow)) return rule;
      return { ...rule, condition: { ...condition, evaluate } };
    }
    if (rule.effect === "permit") return rule;
    const except = rule.except.map((each) =>
      each.condition === null || !isMeant(each.condition.usesNow)
        ? each
        : { ...each, condition: { ...each.condition, evaluate } },
    );
    return { ...rule, except };
  };
}

law("an error in a condition never widens", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, requests, async (allPermits, allGuards, all) => {
      const index = await indexOf([allPermits], [allGuards]);
      for (const role of ["permit", "guard", "exception"] as const) {
        const [whenTrue, whenFalse, whenError] = ([true, false, "error"] as const).map((truth) =>
          changed(index, (rules) => rules.map(conditionsOf(role, truth))),
        );
        if (whenTrue === undefined || whenFalse === undefined || whenError === undefined) throw new Error("no index");
        for (const request of all) {
          const yes = answer(whenTrue, request);
          const no = answer(whenFalse, request);
          const error = answer(whenError, request);
          const shown = showing([yes, no, error], request);
          // A permit or an exception whose condition fails is as one whose condition is false.
          if (role !== "guard" && !Bun.deepEquals(error, no)) throw new Error(`${role}: ${shown}`);
          if (STRICTNESS[error.kind] < STRICTNESS[no.kind]) throw new Error(`${role}, no: ${shown}`);
          if (role === "guard") {
            const why = lessStrict(no, error, request.given === NOTHING_GIVEN);
            if (why !== null) throw new Error(`${why}: ${shown}`);
          } else if (STRICTNESS[error.kind] < STRICTNESS[yes.kind]) {
            throw new Error(`${role}, yes: ${shown}`);
          }
        }
      }
    }),
    { numRuns: 40, seed: SEED },
  );
});

law("a decision that is not volatile rests neither on conditions about the time nor on what was given", async () => {
  await fc.assert(
    fc.asyncProperty(permits, guards, requests, async (allPermits, allGuards, all) => {
      const index = await indexOf([allPermits], [allGuards]);
      const [one, ...others] = ([true, false, "error"] as const).map((truth) => {
        const roles = (["permit", "guard", "exception"] as const).map((role) => conditionsOf(role, truth, "now"));
        return changed(index, (rules) => rules.map((rule) => roles.reduce((was, change) => change(was), rule)));
      });
      if (one === undefined) throw new Error("no index");
      for (const request of all) {
        const decision = answer(one, request);
        if (decision.volatile === true) continue;
        const without = answer(one, { ...request, given: NOTHING_GIVEN });
        for (const other of [without, ...others.map((each) => answer(each, request))]) {
          if (!Bun.deepEquals(other, decision)) throw new Error(showing([decision, other], request));
        }
      }
    }),
    { numRuns: 60, seed: SEED },
  );
});
