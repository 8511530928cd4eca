/** Who may do something, by which rules and on which terms: everything that a set permits of it, against a set that permits nothing. */
import type { Decision } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Session } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { NO_VOCABULARY } from "../language/author-vocabulary.ts";
import type { Change, ComparedWords } from "../compare/compare.ts";
import { compareSets, groupNames } from "../compare/diff.ts";
import type { AccessesOf, Side } from "../compare/diff.ts";
import { reportDifferences } from "../compare/diff-report.ts";
import type { ReportedChange } from "../compare/diff-report.ts";
import { RuleIndex } from "../engine/index.ts";
import type { LoadedSet } from "../load.ts";
import { NO } from "../engine/match.ts";
import { obligationsWords, requirementWords } from "../engine/obligation-words.ts";
import type { GuardRule, SubjectMatcher } from "../engine/rule.ts";
import { ruleMatch } from "../engine/verdict.ts";

/** A guard that speaks against it, or asks for something. */
export type StandingGuard = { readonly guard: GuardRule; readonly targets: readonly string[] };

export type Answer = {
  /** What is permitted and on which terms, by which rules, to whom, where and when. */
  readonly permitted: readonly ReportedChange[];
  readonly guards: readonly StandingGuard[];
  readonly untried: readonly string[];
};

export type Question = {
  readonly side: Side;
  readonly vocabularies: readonly Vocabulary[];
  /** What is asked about, on each target. */
  readonly accessesOf: AccessesOf;
  readonly now: number;
};

const ANYBODY: SubjectMatcher = { names: null, groups: null, kinds: null, owners: null };

/** Tries everybody that rules tell apart. */
export function whoCan({ side, vocabularies, accessesOf, now }: Question): Answer {
  const { set, targets } = side;
  const was: Side = { set: emptied(set), targets };
  const found = compareSets({ was, is: side, vocabularies, accessesOf, now, isNarrow: true, tell: tellTerms });
  const adapters = new Map(targets.map(({ name, adapter }) => [name, adapter]));
  const vocabularyOf = (target: string) => vocabularies.find(({ name }) => name === adapters.get(target));
  return {
    permitted: reportDifferences({ ...found, grants: [] }, vocabularyOf, groupNames([set])),
    guards: standingGuards(side, vocabularies, accessesOf, now),
    untried: found.untried,
  };
}

function emptied(set: LoadedSet): LoadedSet {
  return { ...set, rules: [], canonical: new Map(), author: NO_VOCABULARY };
}

/** The terms on which it is permitted, in words. */
function tellTerms(_: Decision, is: Decision, { groups }: ComparedWords): readonly Change[] {
  if (is.kind === "deny") return [];
  const { mask, ...others } = is.obligations;
  const terms = [
    ...(is.kind === "ask" ? [`asks for ${requirementWords(is.requirements, groups)}`] : []),
    ...(mask === undefined ? [] : ["masked"]),
    ...(Object.keys(others).length === 0 ? [] : [obligationsWords(others)]),
  ];
  return [{ kind: "access", widens: true, was: "", is: terms.join("; "), names: [] }];
}

/** Those that deny, require or oblige something there, whoever asks; exceptions may still lift them. */
function standingGuards(
  { set, targets }: Side,
  vocabularies: readonly Vocabulary[],
  accessesOf: AccessesOf,
  now: number,
): readonly StandingGuard[] {
  const guards = set.rules.filter((rule) => rule.effect === "guard");
  const index = new RuleIndex(set.rules, vocabularies, set.author.patterns);
  const places = targets.map((target) => {
    const { accesses } = accessesOf(target, set.catalog?.targets.get(target.name) ?? null, set.rules);
    return { name: target.name, session: sessionOn(target), accesses: [...accesses] };
  });
  return guards.flatMap((guard): readonly StandingGuard[] => {
    const bare: GuardRule = { ...guard, subject: ANYBODY, window: null, condition: null, except: [] };
    const where = places.filter(({ session, accesses }) =>
      accesses.some((access) => ruleMatch(index, bare, access, session, now, NOTHING_GIVEN) !== NO),
    );
    return where.length === 0 ? [] : [{ guard, targets: where.map(({ name }) => name) }];
  });
}

function sessionOn(target: Target): Session {
  const proof = { method: "token", credential: "", expiresAtMs: null } as const;
  return {
    id: "",
    identity: { kind: "human", issuer: "", subject: "", groups: [], proof },
    target,
    openedAtMs: 0,
    source: "",
  };
}
