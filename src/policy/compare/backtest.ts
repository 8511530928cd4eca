/** Decides recorded operations again under two sets, and keeps count of what changes. Most records share what is decided, so most cost a look-up. */
import type { Decision, RuleId } from "../../core/decision.ts";
import type { Accesses, Operation } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { compareDecisions } from "./compare.ts";
import type { Change, ChangeKind, ComparedWords } from "./compare.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import { comparedWords } from "./diff.ts";
import type { Side } from "./diff.ts";
import { RuleIndex } from "../engine/index.ts";

const EXAMPLES_MAX = 3;
/** Pairs of sessions and statements that are remembered. */
const REMEMBERED_MAX = 500_000;
const GROUPS_MAX = 10_000;

/** An operation as it was recorded. Equal accesses of equal operations are the same object, and so are equal sessions. */
export type BacktestRecord = {
  readonly operation: Operation;
  readonly isConnect: boolean;
  readonly timeMs: TimeMs;
};

/** One change, in all the operations that it was found in. */
export type BacktestGroup = {
  readonly kind: ChangeKind;
  readonly widens: boolean;
  readonly rules: readonly RuleId[];
  readonly was: string;
  readonly is: string;
  readonly count: number;
  /** `bot on app-prod`, the most frequent first. */
  readonly who: readonly (readonly [name: string, count: number])[];
  /** Ids of the first operations. */
  readonly examples: readonly string[];
};

type Told = { readonly change: Change; readonly rules: readonly RuleId[]; readonly group: string };
/** What is known of one statement in sessions that are alike, as long as no rule begins or ends to be valid. */
type Known = { readonly fromMs: TimeMs; readonly untilMs: TimeMs; readonly told: readonly Told[] };
/** Sessions of the same subject on the same target, under either set. */
type Alike = {
  readonly was: Session;
  readonly is: Session;
  readonly who: string;
  readonly known: Map<Accesses, Known>;
};
type Group = Omit<BacktestGroup, "count" | "who" | "examples"> & {
  count: number;
  who: Map<string, number>;
  examples: string[];
};

const NOTHING_TOLD: readonly Told[] = [];

export class Backtest {
  readonly #was: RuleIndex;
  readonly #is: RuleIndex;
  readonly #sides: readonly [Side, Side];
  readonly #words: ComparedWords;
  readonly #isChanged: (id: RuleId) => boolean;
  readonly #bySession = new WeakMap<Session, Alike>();
  readonly #alike = new Map<string, Alike>();
  readonly #targets = new Map<string, Target>();
  readonly #groups = new Map<string, Group>();
  #remembered = 0;
  #count = 0;
  #changed = 0;

  constructor(was: Side, is: Side, vocabularies: readonly Vocabulary[]) {
    this.#sides = [was, is];
    this.#was = new RuleIndex(was.set.rules, vocabularies, was.set.author.patterns);
    this.#is = new RuleIndex(is.set.rules, vocabularies, is.set.author.patterns);
    this.#words = comparedWords(was.set, is.set);
    this.#isChanged = (id) => was.set.canonical.get(id) !== is.set.canonical.get(id);
  }

  /** How many operations were decided again, and how many of them otherwise. */
  get counts(): { readonly operations: number; readonly changed: number } {
    return { operations: this.#count, changed: this.#changed };
  }

  add({ operation, isConnect, timeMs }: BacktestRecord): void {
    this.#count++;
    const alike = this.#alikeOf(operation.session);
    let known = alike.known.get(operation.accesses);
    if (known === undefined || timeMs < known.fromMs || timeMs >= known.untilMs) {
      known = this.#decide(alike, operation, isConnect, timeMs);
      if (known.untilMs > timeMs) this.#remember(alike, operation.accesses, known);
    }
    if (known.told.length === 0) return;
    this.#changed++;
    for (const told of known.told) this.#tell(told, alike.who, operation.id);
  }

  /** Those that widen first, then by how often they occur. */
  groups(): readonly BacktestGroup[] {
    const all = [...this.#groups.values()].map((group): BacktestGroup =>
      Object.assign({}, group, { who: [...group.who].toSorted(([, one], [, other]) => other - one) }),
    );
    return all.toSorted((a, b) => Number(b.widens) - Number(a.widens) || b.count - a.count);
  }

  #decide({ was, is }: Alike, operation: Operation, isConnect: boolean, timeMs: TimeMs): Known {
    const ask = isConnect ? mayConnect : decide;
    const old = ask(this.#was, was, operation, timeMs);
    const young = ask(this.#is, is, operation, timeMs);
    const changes = compareDecisions(old, young, this.#words);
    const told = changes.length === 0 ? NOTHING_TOLD : changes.map((change) => this.#toldOf(change, old, young));
    const isVolatile = old.volatile === true || young.volatile === true;
    const untilMs = isVolatile ? timeMs : Math.min(this.#was.nextEdge(timeMs), this.#is.nextEdge(timeMs));
    return { fromMs: timeMs, untilMs, told };
  }

  #toldOf(change: Change, was: Decision, is: Decision): Told {
    const deciding = [...new Set([...was.rules, ...is.rules])].toSorted();
    const changed = deciding.filter(this.#isChanged);
    const rules = changed.length > 0 ? changed : deciding;
    const { kind, widens, was: old, is: young } = change;
    return { change, rules, group: JSON.stringify([kind, widens, old, young, rules]) };
  }

  #tell({ change, rules, group }: Told, who: string, id: string): void {
    let found = this.#groups.get(group);
    if (found === undefined) {
      if (this.#groups.size >= GROUPS_MAX) return;
      const { kind, widens, was, is } = change;
      found = { kind, widens, was, is, rules, count: 0, who: new Map(), examples: [] };
      this.#groups.set(group, found);
    }
    found.count++;
    found.who.set(who, (found.who.get(who) ?? 0) + 1);
    if (found.examples.length < EXAMPLES_MAX) found.examples.push(id);
  }

  #remember(alike: Alike, accesses: Accesses, known: Known): void {
    if (!alike.known.has(accesses) && ++this.#remembered > REMEMBERED_MAX) {
      for (const { known: each } of this.#alike.values()) each.clear();
      this.#remembered = 1;
    }
    alike.known.set(accesses, known);
  }

  /** Policy looks at who asks and where, and not at which session it is. */
  #alikeOf(session: Session): Alike {
    let alike = this.#bySession.get(session);
    if (alike !== undefined) return alike;
    const { identity, target } = session;
    const { kind, issuer, subject, groups, owner } = identity;
    const key = JSON.stringify([kind, issuer, subject, groups, owner, target.name, target.adapter, target.labels]);
    alike = this.#alike.get(key);
    if (alike === undefined) {
      const [was, is] = this.#sides;
      const who = `${subject} on ${target.name}`;
      alike = { was: this.#sessionIn(session, was), is: this.#sessionIn(session, is), who, known: new Map() };
      this.#alike.set(key, alike);
    }
    this.#bySession.set(session, alike);
    return alike;
  }

  /** With the labels that the side's catalog gives the target, else those that it had. */
  #sessionIn(session: Session, { set }: Side): Session {
    const { target } = session;
    const labels = set.catalog?.targets.get(target.name)?.labels ?? target.labels;
    const key = JSON.stringify([target.name, target.adapter, labels]);
    // The engine remembers targets by object.
    let known = this.#targets.get(key);
    if (known === undefined) this.#targets.set(key, (known = { ...target, labels }));
    return { ...session, target: known };
  }
}
