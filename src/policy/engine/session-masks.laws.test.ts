/** Laws of what a session could have masked, on random sets: nothing that is decided in it is masked more strictly. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { SEED } from "../../../test/chance.ts";
import { grounded, maskGuards, NOON, permits, requests, who } from "../../../test/policy-arbitraries.ts";
import { identity, session } from "../../../test/policy-sets.ts";
import { indexOf } from "../../../test/policy-world.ts";
import type { WrittenRule } from "../../../test/policy-world.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given } from "../../core/given.ts";
import type { MaskObligation } from "../../core/obligation.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Operation } from "../../core/operation.ts";
import type { AccessMask } from "../../core/ports.ts";
import type { TimeMs } from "../../core/session.ts";
import { decide } from "./decide.ts";
import type { RuleIndex } from "./index.ts";
import { joinPredicates, joinTransforms } from "./merge.ts";
import { sessionMasks, targetTransforms } from "./session-masks.ts";

const CASES_MIN = 100_000;
const TIME_MS_MAX = 900_000;
const DAY_MS = 24 * 3_600_000;
const OTHERS = [identity("human", "ann"), identity("human", "eva", ["ops"]), identity("service", "cron", ["7f3c"])];

/** Two in three sets permit most things, so that most of what is asked is decided with masks. */
const masking = fc.tuple(permits, fc.nat(2)).map(([some, wide]): readonly WrittenRule[] => {
  const anything: WrittenRule = { id: "wide", subject: { any: true }, target: { any: true }, action: { any: true } };
  return wide === 0 ? some : some.concat(anything);
});

/** One column as a catalog would ask for it: of what is done with it, nothing is known. */
function ofColumn(access: Access, column: string): Access {
  const facts = Object.fromEntries(
    Object.entries(access.facts).map(([key, fact]) => [key, key === "verbs" || key === "wide" ? UNKNOWN : fact]),
  );
  const { named } = access;
  return { class: "forward", facts: { ...facts, columns: [column] }, ...(named === undefined ? {} : { named }) };
}

function masksOf(index: RuleIndex, access: Access, given: Given): AccessMask | null {
  return sessionMasks(index, who, [access], NOON, given)[0] ?? null;
}

/** What is masked of an operation that may run or be asked for; null: nothing. */
function masked(index: RuleIndex, operation: Operation, now: TimeMs, given: Given): MaskObligation | null {
  const decision = decide(index, who, operation, now, given);
  return decision.kind === "deny" ? null : (decision.obligations.mask ?? null);
}

const seen = { decided: 0, strict: 0, spared: 0, predicates: 0, transforms: 0 };

/** The columns of an operation, each with the access that it is in. */
function columnsOf(operation: Operation): readonly { readonly access: Access; readonly column: string }[] {
  return operation.accesses.flatMap((access) => {
    const { columns } = access.facts;
    return typeof columns === "object" ? columns.map((column) => ({ access, column })) : [];
  });
}

function check(index: RuleIndex, operation: Operation, now: TimeMs, given: Given, askedWith: Given): void {
  seen.decided++;
  const mask = masked(index, operation, now, given);
  if (mask === null) return;
  let predicates: AccessMask["predicates"] = "equality";
  for (const { access, column } of columnsOf(operation)) {
    const laid = mask.columns[column];
    if (laid === undefined) continue;
    const could = operation.accesses
      .filter((each) => typeof each.facts["columns"] === "object" && each.facts["columns"].includes(column))
      .map((each) => masksOf(index, ofColumn(each, column), askedWith))
      .filter((each) => each !== null);
    // The same column may be in several accesses: what is laid on it is the join of what is laid on each.
    const strictest = could.map(({ transform }) => transform).reduce(joinTransforms);
    if (!Bun.deepEquals(joinTransforms(strictest, laid), strictest)) {
      throw new Error(`${column} of ${JSON.stringify(access.facts)}: ${JSON.stringify([strictest, laid])}`);
    }
    for (const each of could) predicates = joinPredicates(predicates, each.predicates);
    if (Bun.deepEquals(strictest, laid)) seen.strict++;
  }
  if (Object.keys(mask.fields).length > 0 || Object.keys(mask.columns).length === 0) return;
  expect(joinPredicates(predicates, mask.predicates)).toBe(predicates);
  seen.predicates++;
}

test(
  `no decision masks a column more strictly than its session (WEIR_TEST_SEED=${SEED})`,
  async () => {
    const later = fc.constantFrom(NOON, NOON + 1, NOON + DAY_MS / 4, NOON + 365 * DAY_MS);
    await fc.assert(
      fc.asyncProperty(masking, maskGuards, requests, later, async (allPermits, allGuards, all, now) => {
        const index = await indexOf([allPermits], [allGuards]);
        for (const { operation, given: written } of all) {
          const given = grounded(index, written);
          check(index, operation, NOON, given, given);
          // Whatever people give later: who has asked without it is prepared for it.
          check(index, operation, now, given, NOTHING_GIVEN);
        }
        const asked = all.flatMap(({ operation }) =>
          columnsOf(operation).map(({ access, column }) => ofColumn(access, column)),
        );
        const { given: written } = all.find((each) => each.given.grants.length > 0) ?? { given: NOTHING_GIVEN };
        const given = grounded(index, written);
        const together = sessionMasks(index, who, asked, NOON, given);
        expect(together).toEqual(asked.map((each) => masksOf(index, each, given)));
        seen.spared += together.filter((mask) => mask === null).length;
      }),
      { numRuns: 800, seed: SEED },
    );
    expect(seen.decided).toBeGreaterThan(CASES_MIN);
    // The law would hold of an engine that masks everything, too.
    expect(seen.strict).toBeGreaterThan(CASES_MIN / 10);
    expect(seen.spared).toBeGreaterThan(CASES_MIN / 20);
    expect(seen.predicates).toBeGreaterThan(1000);
  },
  TIME_MS_MAX,
);

test(
  `what a target could mask holds what any session there could (WEIR_TEST_SEED=${SEED})`,
  async () => {
    const sessions = [who, ...OTHERS.map((each) => session(each))];
    await fc.assert(
      fc.asyncProperty(masking, maskGuards, requests, async (allPermits, allGuards, all) => {
        const index = await indexOf([allPermits], [allGuards]);
        for (const { operation, given: written } of all) {
          const given = grounded(index, written);
          for (const { access, column } of columnsOf(operation)) {
            const asked = ofColumn(access, column);
            const [transforms = []] = targetTransforms(index, who.target, [asked]);
            for (const one of transforms) {
              for (const other of transforms) expect(transforms).toContainEqual(joinTransforms(one, other));
            }
            for (const each of sessions) {
              const [mask] = sessionMasks(index, each, [asked], NOON, given);
              if (mask === null || mask === undefined) continue;
              expect(transforms).toContainEqual(mask.transform);
              seen.transforms++;
            }
          }
        }
      }),
      { numRuns: 100, seed: SEED },
    );
    expect(seen.transforms).toBeGreaterThan(1000);
  },
  TIME_MS_MAX,
);
