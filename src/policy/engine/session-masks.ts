/** What could be masked in a session, whatever is done in it: columns are masked from its beginning to its end. */
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given } from "../../core/given.ts";
import type { MaskTransform, Predicates } from "../../core/obligation.ts";
import type { Access } from "../../core/operation.ts";
import type { AccessMask } from "../../core/ports.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { FittingException, PermitEntry } from "./entry.ts";
import type { RuleIndex } from "./index.ts";
import { Inquiry } from "./inquiry.ts";
import { MaskerIndex } from "./masker-index.ts";
import { couldApply, surelyCovers, transformOn, transformOnAny } from "./maskers.ts";
import type { Masker } from "./maskers.ts";
import { COLUMNS } from "./masks.ts";
import { namesAll } from "./match.ts";
import { joinPredicates, joinTransforms } from "./merge.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { PermitRule } from "./rule.ts";

const NO_TRANSFORMS: readonly MaskTransform[] = Object.freeze([]);

/** For each access the strictest join of the masks that could be laid on it in this session from `now` on. */
export function sessionMasks(
  index: RuleIndex,
  session: Session,
  accesses: readonly Access[],
  now: TimeMs,
  given: Given = NOTHING_GIVEN,
): readonly (AccessMask | null)[] {
  const { maskers, permits } = index.rulesFor(session);
  const lasting = maskers.filter(({ entry }) => !(now >= entry.rule.validUntilMs));
  if (lasting.length === 0) return nullsOf(accesses.length);
  const inquiry = new Inquiry(index.byId, session, now, given);
  const granted = inquiry.awake.size === 0 ? [] : permits.filter(({ rule }) => inquiry.awake.has(rule));
  const applying = new Applying(maskers, (access) => {
    const isReplaced = granted.some((entry) => surelyPermits(entry, access, now));
    return lasting.filter((masker) => {
      if (!couldApply(masker, access)) return false;
      const { entry } = masker;
      // What a grant woke takes the place of standing permits.
      if ("except" in entry) return !entry.except.some((exception) => surelyLifts(exception, access, inquiry));
      return !(isReplaced && entry.rule.activation === null);
    });
  });
  return accesses.map((access) => {
    let mask: AccessMask | null = null;
    applying.each(access, (transform, { predicates }) => {
      mask = joinMasks(mask, transform, predicates);
    });
    return mask;
  });
}

/** For each access every transform that sessionMasks() could answer for anybody on this target. */
export function targetTransforms(
  index: RuleIndex,
  target: Target,
  accesses: readonly Access[],
): readonly (readonly MaskTransform[])[] {
  const maskers = index.maskersOn(target);
  const applying = new Applying(maskers, (access) => maskers.filter((masker) => couldApply(masker, access)));
  const closures = new Map<string, readonly MaskTransform[]>();
  return accesses.map((access) => {
    const found = new Map<string, MaskTransform>();
    applying.each(access, (transform) => found.set(keyOf(transform), transform));
    if (found.size === 0) return NO_TRANSFORMS;
    const key = [...found.keys()].toSorted().join();
    let closure = closures.get(key);
    if (closure === undefined) {
      closure = closed(found);
      closures.set(key, closure);
    }
    return closure;
  });
}

/** For each access: is there a rule for anybody on this target that masks it and lets its value be compared? */
export function targetComparisons(index: RuleIndex, target: Target, accesses: readonly Access[]): readonly boolean[] {
  const maskers = index.maskersOn(target);
  if (!maskers.some(({ predicates }) => predicates === "equality")) return accesses.map(() => false);
  const applying = new Applying(maskers, (access) => maskers.filter((masker) => couldApply(masker, access)));
  return accesses.map((access) => {
    let isCompared = false;
    applying.each(access, (_, { predicates }) => {
      isCompared ||= predicates === "equality";
    });
    return isCompared;
  });
}

/** Lays maskers on accesses. Which could apply is the same for all columns of a relation, which come one after the other. */
class Applying {
  readonly #byColumn: MaskerIndex;
  readonly #find: (access: Access) => readonly Masker[];
  #last: Access | null = null;
  #applying: ReadonlySet<Masker> = new Set();

  constructor(maskers: readonly Masker[], find: (access: Access) => readonly Masker[]) {
    this.#byColumn = indexOf(maskers);
    this.#find = find;
  }

  /** Each mask that could be laid on the access; the same may come twice. */
  each(access: Access, lay: (transform: MaskTransform, masker: Masker) => void): void {
    if (this.#last === null || !areSameButColumns(access, this.#last)) this.#applying = new Set(this.#find(access));
    this.#last = access;
    if (this.#applying.size === 0) return;
    const columns = access.facts[COLUMNS] ?? [];
    if (typeof columns !== "object") {
      // A column that is not known may be any.
      for (const masker of this.#applying) layOn(masker, transformOnAny(masker), lay);
      return;
    }
    for (const column of columns) {
      const found: Masker[] = [];
      this.#byColumn.find(column, found);
      for (const masker of found) if (this.#applying.has(masker)) layOn(masker, transformOn(masker, column), lay);
    }
  }
}

const indexes = new WeakMap<readonly Masker[], MaskerIndex>();

/** Many sessions share the rules that were selected for them, and so their index. */
function indexOf(maskers: readonly Masker[]): MaskerIndex {
  let index = indexes.get(maskers);
  if (index === undefined) {
    index = new MaskerIndex(maskers);
    indexes.set(maskers, index);
  }
  return index;
}

function layOn(
  masker: Masker,
  transform: MaskTransform | null,
  lay: (transform: MaskTransform, masker: Masker) => void,
): void {
  if (transform !== null) lay(transform, masker);
}

/** May say no where they are the same. */
function areSameButColumns({ facts, named }: Access, last: Access): boolean {
  if (named !== last.named) return false;
  let keys = 0;
  for (const key in facts) {
    if (!Object.hasOwn(last.facts, key)) return false;
    keys++;
    const [fact, other] = [facts[key], last.facts[key]];
    if (key === COLUMNS || fact === other) continue;
    if (typeof fact !== "object" || typeof other !== "object") return false;
    if (fact.length !== 1 || other.length !== 1 || fact[0] !== other[0]) return false;
  }
  return keys === Object.keys(last.facts).length;
}

function joinMasks(mask: AccessMask | null, transform: MaskTransform, predicates: Predicates): AccessMask {
  if (mask === null) return { transform, predicates };
  return {
    transform: joinTransforms(mask.transform, transform),
    predicates: joinPredicates(mask.predicates, predicates),
  };
}

/** Does the exception hold for the access whatever is done and whenever? */
function surelyLifts({ exception, granted }: FittingException, access: Access, inquiry: Inquiry): boolean {
  const { blocks, unread, condition, validUntilMs } = exception;
  if (unread || condition !== null || validUntilMs !== Infinity) return false;
  const { target, identity } = inquiry.session;
  if (blocks !== null && !(blocks.get(target.adapter) ?? []).some((block) => surelyCovers(block, access))) return false;
  if (granted === null) return true;
  if (!inquiry.awake.has(granted)) return false;
  if (!subjectMatches(granted.subject, identity) || !targetMatches(granted.target, target)) return false;
  const entries = granted.blocks.get(target.adapter) ?? [];
  return entries.some((block) => surelyPermits({ rule: granted, block }, access, inquiry.now));
}

/** Does a permit that is awake permit the access whatever is done and whenever? */
function surelyPermits({ rule, block }: Pick<PermitEntry, "rule" | "block">, access: Access, now: TimeMs): boolean {
  return isAlways(rule, now) && surelyCovers(block, access) && namesAll(block, access);
}

function isAlways({ window, condition, validFromMs, validUntilMs }: PermitRule, now: TimeMs): boolean {
  return window === null && condition === null && validFromMs <= now && validUntilMs === Infinity;
}

/** All joins of one or more of them, sorted. */
function closed(transforms: ReadonlyMap<string, MaskTransform>): readonly MaskTransform[] {
  const result = new Map(transforms);
  // What is added while a map is walked is walked too.
  for (const one of result.values()) {
    for (const other of transforms.values()) {
      const both = joinTransforms(one, other);
      result.set(keyOf(both), result.get(keyOf(both)) ?? both);
    }
  }
  return Object.freeze([...result].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, transform]) => transform));
}

function keyOf(transform: MaskTransform): string {
  return transform.with === "partial" ? `partial ${transform.keepFirst} ${transform.keepLast}` : transform.with;
}

let nulls: readonly null[] = [];

/** So many nulls; the list is shared. */
function nullsOf(length: number): readonly null[] {
  if (nulls.length !== length) nulls = Object.freeze(Array.from({ length }, () => null));
  return nulls;
}
