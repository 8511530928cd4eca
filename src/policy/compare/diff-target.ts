/** Compares two policy sets on one target: every class of accesses, subjects, times, conditions and grants that their rules tell apart. */
import { refusal } from "../../core/decision.ts";
import type { Decision, RuleId } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given, Grant } from "../../core/given.ts";
import type { Identity } from "../../core/identity.ts";
import { ACCESS_CLASSES } from "../../core/operation.ts";
import type { Access, Operation } from "../../core/operation.ts";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import { messageOf } from "../../core/message-of.ts";
import { AccessClassifier } from "./access-classes.ts";
import type { AccessClass } from "./access-classes.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import type { AccessesOf, Difference, DiffState } from "./diff.ts";
import { assignments, subsets } from "./combinations.ts";
import { COLUMNS, isAboutColumns, masksOf } from "../engine/masks.ts";
import { blockCovers, blockTouches, isThere, needsOnlySomePermit, NO } from "../engine/match.ts";
import { targetMatches } from "../engine/rule.ts";
import type { Rule, SubjectMatcher } from "../engine/rule.ts";
import { subjectClasses } from "./subject-classes.ts";
import { conditionsOf } from "./supposed.ts";
import type { SupposedSet } from "./supposed.ts";
import { timeClasses } from "./time-classes.ts";

const ACCESSES_MAX = 1_000_000;

const NOT_THERE: Decision = {
  kind: "deny",
  rules: [],
  observed: [],
  refusal: refusal("denied", "there is no such target"),
};

/** One set on this target. */
type Half = { readonly set: SupposedSet; readonly target: Target | null; readonly rules: readonly Rule[] };
/** Who asks, when, and what else is supposed. */
type Supposed = Pick<Difference, "subject" | "time" | "times" | "conditions" | "grants">;
/** A session is null where the target is not there. */
type Asking = { readonly session: Session | null; readonly given: Given };
type Conditions = ReadonlyMap<string, boolean | null>;
/** Accesses about which the same rules have something to say. */
type Bundle = {
  readonly rules: readonly Rule[];
  readonly classes: AccessClass[];
  readonly classifier: AccessClassifier;
};

export class TargetComparison {
  readonly #state: DiffState;
  readonly #was: Half;
  readonly #is: Half;
  readonly #target: Target | null;
  readonly #catalogs: readonly CatalogTarget[];
  readonly #accessesOf: AccessesOf;

  /** A target that is null is not there under that set; `catalogs`: what is known of it under either. */
  constructor(
    state: DiffState,
    targetWas: Target | null,
    targetIs: Target | null,
    catalogs: readonly CatalogTarget[],
    accessesOf: AccessesOf,
  ) {
    this.#state = state;
    this.#was = halfOf(state.was, targetWas);
    this.#is = halfOf(state.is, targetIs);
    this.#target = targetIs ?? targetWas;
    this.#catalogs = catalogs;
    this.#accessesOf = accessesOf;
  }

  run(): void {
    if (this.#target === null || this.#isSame(this.#was.rules, this.#is.rules)) return;
    const classifier = new AccessClassifier([...this.#was.rules, ...this.#is.rules], this.#target.adapter);
    this.#addAccesses(classifier, this.#target);
    for (const untried of classifier.untried) this.#leaveOut(untried);
    if (!this.#state.isNarrow) this.#leaveOutPatterns(this.#target.adapter);
    const bundles = new Map<string, Bundle>();
    for (const accessClass of classifier.classes) {
      const [was, is] = [this.#was, this.#is].map((half) => relevantRules(half, accessClass, this.#adapter));
      if (was === undefined || is === undefined || this.#isSame(was, is)) continue;
      const key = JSON.stringify([was.map(({ id }) => id), is.map(({ id }) => id)]);
      const bundle = bundles.get(key);
      if (bundle === undefined) bundles.set(key, { rules: [...was, ...is], classes: [accessClass], classifier });
      else bundle.classes.push(accessClass);
    }
    for (const bundle of bundles.values()) this.#compare(bundle);
  }

  get #adapter(): string {
    return this.#target?.adapter ?? "";
  }

  /** Rules that mean the same, on a target that is the same to them, decide the same. */
  #isSame(was: readonly Rule[], is: readonly Rule[]): boolean {
    if (this.#was.target === null || this.#is.target === null) return was.length === 0 && is.length === 0;
    return meaningOf(this.#was, was) === meaningOf(this.#is, is);
  }

  #addAccesses(classifier: AccessClassifier, target: Target): void {
    const { isNarrow } = this.#state;
    const blind = isNarrow ? [] : ACCESS_CLASSES;
    for (const accessClass of blind) classifier.add({ class: accessClass, facts: {}, opaque: true });
    const rules = [...this.#was.rules, ...this.#is.rules];
    const catalogs = this.#catalogs.filter(({ adapter }) => adapter === target.adapter);
    for (const catalog of catalogs.length === 0 ? [null] : catalogs) {
      try {
        const { accesses, connects, untried } = this.#accessesOf(target, catalog, rules);
        if (untried !== null) this.#leaveOut(untried);
        for (const connect of connects) classifier.add(connect, true);
        const all = [...this.#bounded(withMaskedWrites(accesses, rules))];
        if (isNarrow) for (const access of all) classifier.add(access);
        else classifier.addCombined(all);
      } catch (error) {
        this.#leaveOut(messageOf(error));
      }
    }
  }

  *#bounded(accesses: Iterable<Access>): Generator<Access> {
    let count = 0;
    for (const access of accesses) {
      if (++count > ACCESSES_MAX) {
        this.#leaveOut(`all but the first ${ACCESSES_MAX} accesses`);
        return;
      }
      yield access;
    }
  }

  #compare(bundle: Bundle): void {
    const { rules } = bundle;
    const { classes: subjects, untried } = subjectClasses(rules.flatMap(subjectsOf));
    if (untried !== null) this.#leaveOut(untried);
    const times = timeClasses(rules, this.#state.now);
    const answers = this.#answers(rules);
    const grants = this.#grants(rules);
    for (const subject of subjects) {
      const { identity } = subject;
      const sessions = [sessionOf(identity, this.#was.target), sessionOf(identity, this.#is.target)] as const;
      for (const granted of grants) {
        const was = { session: sessions[0], given: givenOf(granted, this.#was.set, identity) };
        const is = { session: sessions[1], given: givenOf(granted, this.#is.set, identity) };
        for (const conditions of answers) {
          for (const time of times) {
            const supposed = { subject, grants: granted, conditions, time, times };
            this.#compareAll(bundle, supposed, was, is);
          }
        }
      }
    }
  }

  #compareAll({ rules, classes, classifier }: Bundle, supposed: Supposed, was: Asking, is: Asking): void {
    const { answers, words, differences, tell } = this.#state;
    const { at } = supposed.time;
    answers.clear();
    for (const [key, answer] of supposed.conditions) answers.set(key, answer);
    for (const accesses of classes) {
      if (!this.#state.mayGoOn()) return;
      this.#state.cases++;
      const old = decisionOf(this.#was.set, was, accesses, at);
      const young = decisionOf(this.#is.set, is, accesses, at);
      for (const change of tell(old, young, words)) {
        const names = change.names.length === 0 ? change.names : classifier.alike(accesses, change.names);
        const causes = this.#causes(old, young, rules);
        const found = { change: { ...change, names }, rules: causes, target: this.#target?.name ?? "", accesses };
        differences.push({ ...supposed, ...found });
      }
    }
  }

  /** Every way in which the conditions of these rules can answer. */
  #answers(rules: readonly Rule[]): readonly Conditions[] {
    const keys = new Set<string>();
    for (const { set, target, rules: own } of [this.#was, this.#is]) {
      if (target === null) continue;
      for (const rule of rules.filter((each) => own.includes(each))) {
        for (const condition of conditionsOf(rule)) keys.add(set.conditionKey(condition, target));
      }
    }
    const { all, isWhole } = assignments([...keys], ANSWERS);
    if (!isWhole) this.#leaveOut(`some of the ways in which ${keys.size} conditions answer together`);
    return all;
  }

  /** Which of the permits that sleep are awake. */
  #grants(rules: readonly Rule[]): readonly (readonly RuleId[])[] {
    const sleeping = [...new Set(rules.flatMap((rule) => (isSleeping(rule) ? [rule.id] : [])))];
    const { all, isWhole } = subsets(sleeping);
    if (!isWhole) this.#leaveOut(`some of the ways in which grants of ${sleeping.length} permits come together`);
    return all;
  }

  /** No text stands for all that an author's pattern finds: where such a rule changed, nothing can be said of it. */
  #leaveOutPatterns(adapter: string): void {
    for (const rule of [...this.#was.rules, ...this.#is.rules]) {
      if (this.#state.was.meaning(rule.id) === this.#state.is.meaning(rule.id)) continue;
      const found = patternsOf(rule, adapter);
      if (found.length > 0) this.#leaveOut(`texts that ${found.join(" and ")} would find, which ${rule.id} looks for`);
    }
  }

  #leaveOut(what: string): void {
    this.#state.untried.add(`${this.#target?.name}: ${what}`);
  }

  /** The rules that are not as they were and that decide, or that could. */
  #causes(was: Decision, is: Decision, rules: readonly Rule[]): readonly RuleId[] {
    const deciding = [...new Set([...was.rules, ...is.rules])];
    const possible = [...new Set(rules.map(({ id }) => id))];
    const isChanged = (id: RuleId): boolean => this.#state.was.meaning(id) !== this.#state.is.meaning(id);
    for (const ids of [deciding.filter(isChanged), possible.filter(isChanged), deciding]) {
      if (ids.length > 0) return ids.toSorted();
    }
    return [];
  }
}

const ANSWERS = [true, false, null] as const;

function halfOf(set: SupposedSet, target: Target | null): Half {
  const speaks = (rule: Rule): boolean =>
    target !== null && targetMatches(rule.target, target) && (rule.blocks.get(target.adapter) ?? []).length > 0;
  return { set, target, rules: set.rules.filter(speaks) };
}

/** Where rules mask columns, what writes some may be writing masked ones, which a permit must name. */
function* withMaskedWrites(accesses: Iterable<Access>, rules: readonly Rule[]): Generator<Access> {
  const masks = rules.some((rule) => masksOf(rule).some(isAboutColumns));
  for (const access of accesses) {
    yield access;
    if (masks && access.class === "write" && isThere(access.facts[COLUMNS])) yield { ...access, named: [COLUMNS] };
  }
}

/** The rules that could have something to say about these accesses, whoever asks and whenever. */
function relevantRules({ set, rules }: Half, { access, isConnect }: AccessClass, adapter: string): readonly Rule[] {
  const matters = (rule: Rule): boolean => {
    const blocks = rule.blocks.get(adapter) ?? [];
    if (rule.effect === "guard") return blocks.some((block) => blockTouches(block, access) !== NO);
    if (needsOnlySomePermit(access, isConnect)) return true;
    return (access.opaque !== true || rule.allowOpaque) && blocks.some((block) => blockCovers(block, access));
  };
  const found = new Set(rules.filter(matters));
  // What lifts a guard is looked up by its id.
  for (const rule of found) {
    if (rule.effect === "permit") continue;
    for (const { grant } of rule.except) {
      const granted = grant === null ? undefined : set.byId.get(grant);
      if (granted !== undefined) found.add(granted);
    }
  }
  return [...found];
}

/** Equal texts: the same rules, and the same exceptions of theirs fit the target. */
function meaningOf({ set, target }: Half, rules: readonly Rule[]): string {
  const meanings = rules.map((rule) => {
    const except = rule.effect === "guard" ? rule.except : [];
    const fitting = except.map((exception) => target !== null && targetMatches(exception.target, target));
    const conditions =
      target === null ? [] : conditionsOf(rule).map((condition) => set.conditionKey(condition, target));
    return JSON.stringify([set.meaning(rule.id), fitting, conditions]);
  });
  return meanings.toSorted().join("\n");
}

/** The author's patterns that a rule looks for in texts, as it writes them. */
function patternsOf(rule: Rule, adapter: string): readonly string[] {
  const except = rule.effect === "guard" ? rule.except.flatMap(({ blocks }) => blocks?.get(adapter) ?? []) : [];
  const keys = [...(rule.blocks.get(adapter) ?? []), ...except].flatMap((block) => block.keys);
  const texts = keys.flatMap((matcher) => (matcher.kind === "contains" ? matcher.texts.texts : []));
  return [...new Set(texts.filter((text) => text.startsWith("$")))].toSorted();
}

function subjectsOf(rule: Rule): readonly SubjectMatcher[] {
  return rule.effect === "permit" ? [rule.subject] : [rule.subject, ...rule.except.map(({ subject }) => subject)];
}

function isSleeping(rule: Rule): boolean {
  return rule.effect === "permit" && rule.activation !== null;
}

function sessionOf(identity: Identity, target: Target | null): Session | null {
  return target === null ? null : { id: "", identity, target, openedAtMs: 0, source: "" };
}

function givenOf(grants: readonly RuleId[], set: SupposedSet, { issuer, subject }: Identity): Given {
  if (grants.length === 0) return NOTHING_GIVEN;
  const active = grants.flatMap((id): readonly Grant[] => {
    const rule = set.byId.get(id);
    if (rule?.effect !== "permit") return [];
    return [{ id, rule: id, ruleDigest: rule.digest, issuer, subject, expiresAtMs: Infinity }];
  });
  return { ...NOTHING_GIVEN, grants: active };
}

function decisionOf(set: SupposedSet, { session, given }: Asking, accesses: AccessClass, at: TimeMs): Decision {
  if (session === null) return NOT_THERE;
  const { access, isConnect } = accesses;
  const operation: Operation = {
    id: "",
    session,
    kind: "",
    accesses: [access],
    understood: access.opaque !== true,
    text: "",
    textSha256: null,
    catalogDigest: null,
  };
  return (isConnect ? mayConnect : decide)(set.index, session, operation, at, given);
}
