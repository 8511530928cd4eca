/** The naive engine: from the meaning of the language, with no index, no compilation and no code shared with the real one. */
import { NOTHING_GIVEN } from "../../src/core/given.ts";
import type { Given } from "../../src/core/given.ts";
import type { Obligations, Requirement } from "../../src/core/obligation.ts";
import type { Access, Operation } from "../../src/core/operation.ts";
import type { Session } from "../../src/core/session.ts";
import { NOW } from "../policy-sets.ts";
import type { WrittenRule } from "../policy-world.ts";
import { naiveObligations } from "./obligations.ts";
import { naiveUnmet } from "./requirements.ts";
import { World } from "./world.ts";

export type NaiveDecision = {
  readonly kind: "permit" | "ask" | "deny";
  readonly code: string;
  readonly rules: readonly string[];
  readonly observed: readonly string[];
  readonly obligations: Obligations;
  readonly requirements: readonly Requirement[];
};

const idsOf = (rules: readonly WrittenRule[]) => [...new Set(rules.map((rule) => rule.id))].toSorted();

/** The decision as the meaning of the language gives it; `isConnect`: whether a session may open. */
export function decideNaively(
  permits: readonly WrittenRule[],
  guards: readonly WrittenRule[],
  session: Session,
  operation: Operation,
  now: number = NOW,
  given: Given = NOTHING_GIVEN,
  isConnect = false,
): NaiveDecision {
  const world = new World(permits, session, now, given);
  const anything: Access = { class: "administer", facts: {}, opaque: true };
  const isHidden = !operation.understood && !operation.accesses.some((access) => access.opaque === true);
  const accesses: Access[] = [
    ...operation.accesses,
    ...(isHidden || operation.accesses.length === 0 ? [anything] : []),
  ];
  const isAmbient = (access: Access) => (isConnect || access.ambient === true) && access.opaque !== true;
  const admitting = (access: Access) => permits.filter((rule) => world.admits(rule, access));
  const covering = (access: Access) => permits.filter((rule) => world.permitsAccess(rule, access));
  const isEnforced = (rule: WrittenRule) => rule.mode !== "observe";
  const applying = guards.filter((rule) => accesses.some((access) => world.guardTruth(rule, access) !== "false"));
  const denying = applying.filter((rule) => isEnforced(rule) && rule.deny !== undefined);
  const observed = idsOf(applying.filter((rule) => !isEnforced(rule)));
  const unpermitted = accesses.filter(
    (access) => (isAmbient(access) ? admitting(access) : covering(access)).length === 0,
  );
  const denied = (code: string, rules: readonly WrittenRule[]): NaiveDecision => ({
    kind: "deny",
    code,
    rules: idsOf(rules),
    observed,
    obligations: {},
    requirements: [],
  });
  if (denying.length > 0 || unpermitted.length > 0) {
    const isReadableReason =
      unpermitted.some((access) => access.opaque !== true) ||
      denying.some((rule) =>
        accesses.some((access) => {
          const match = world.guardTruth(rule, access);
          return match === "true" || (match === "unknown" && access.opaque !== true);
        }),
      );
    return denied(isReadableReason ? "denied" : "not_understood", denying);
  }

  // On what a woken permit matches, the standing ones oblige nothing and are not what it rests on.
  const carrying = accesses
    .filter((access) => !isAmbient(access))
    .flatMap((access) => {
      const all = covering(access);
      const woken = all.filter((rule) => rule.activation !== undefined);
      return (woken.length > 0 ? woken : all).map((rule) => ({ rule, access }));
    });
  const bearing = applying
    .filter((rule) => isEnforced(rule) && rule.deny === undefined)
    .flatMap((rule) =>
      accesses.filter((access) => world.guardTruth(rule, access) !== "false").map((access) => ({ rule, access })),
    );
  const sessions = isConnect
    ? accesses.filter(isAmbient).map((access) => admitting(access).map((rule) => rule.obligations?.session ?? {}))
    : [];
  const { obligations, unmaskable } = naiveObligations([...carrying, ...bearing], sessions, world);
  if (unmaskable.length > 0) {
    const isReadable = unmaskable.some(({ access }) => access.opaque !== true);
    return denied(
      isReadable ? "denied" : "not_understood",
      unmaskable.map(({ rule }) => rule),
    );
  }
  const unmet = naiveUnmet(
    [...new Set(bearing.map(({ rule }) => rule))].flatMap((rule) => (rule.require === undefined ? [] : [rule])),
    session,
    given,
    now,
  );
  const standing = accesses.filter(isAmbient).flatMap((access) => idsOf(admitting(access)).slice(0, 1));
  const rules = [...(carrying.length > 0 ? [] : standing), ...idsOf([...carrying, ...bearing].map(({ rule }) => rule))];
  return {
    kind: unmet.length > 0 ? "ask" : "permit",
    code: "",
    rules: [...new Set(rules)].toSorted(),
    observed,
    obligations,
    requirements: unmet,
  };
}
