/** Accesses that no rule tells apart, put together: what is decided of one of them is decided of all. */
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue, Unknown } from "../../core/operation.ts";
import { subsets } from "./combinations.ts";
import type { NameList } from "../engine/names.ts";
import type { Block, KeyMatcher, Rule, RuleMask, ValueMatcher } from "../engine/rule.ts";

/** Of so many kinds of values that one fact can have together, all sets are tried. */
const VALUE_KINDS_MAX = 6;
/** Masks without columns are about this fact; those with fields about the other. */
const COLUMNS = "columns";
const FIELDS = "fields";

export type AccessClass = {
  /** Different for each class of a target. */
  readonly id: string;
  /** Stands for all of them. */
  readonly access: Access;
  readonly isConnect: boolean;
  /** All of them, this one included. */
  readonly members: readonly Access[];
};

type Fact = FactValue | Unknown | undefined;

/** Sorts accesses into classes, by everything that some rules look at. */
export class AccessClassifier {
  readonly #lists = new Map<string, Map<string, NameList>>();
  readonly #others = new Map<string, ValueMatcher[]>();
  /** By key and value: which lists it is in, as a short text. */
  readonly #values = new Map<string, Map<string, string>>();
  readonly #memberships = new Map<string, string>();
  readonly #classes = new Map<string, AccessClass & { readonly members: Access[] }>();
  /** What was not looked at, in words. */
  readonly untried = new Set<string>();

  /** `rules`: all that will decide; `adapter`: whose accesses these are. */
  constructor(rules: readonly Rule[], adapter: string) {
    for (const rule of rules) {
      this.#addBlocks(rule.blocks.get(adapter) ?? []);
      const obligations = rule.effect === "permit" ? rule.obligations : obligationsOf(rule);
      for (const mask of obligations?.masks ?? []) this.#addMask(mask);
      if (rule.effect === "permit") continue;
      for (const { blocks } of rule.except) this.#addBlocks(blocks?.get(adapter) ?? []);
    }
  }

  get classes(): readonly AccessClass[] {
    return [...this.#classes.values()];
  }

  /** Puts an access where it belongs. `isConnect`: policy is asked whether a session may open. */
  add(access: Access, isConnect = false): void {
    const signature = `${isConnect ? "c" : ""}${this.#signatureOf(access)}`;
    const known = this.#classes.get(signature);
    if (known === undefined) this.#classes.set(signature, { id: signature, access, isConnect, members: [access] });
    else known.members.push(access);
  }

  /**
   * Adds each access, and what it could be with other values of a key that may have several at once: accesses that are
   * alike but for these values may occur with any of them together, and with unknown ones.
   */
  addCombined(accesses: readonly Access[]): void {
    for (const access of accesses) this.add(access);
    for (const key of this.#lists.keys()) {
      if (!accesses.some(({ facts }) => isListOf(facts[key], 2))) continue;
      const alike = new Map<string, { access: Access; values: Set<string> }>();
      for (const access of accesses) {
        const fact = access.facts[key];
        if (typeof fact !== "object" || fact.length === 0) continue;
        const rest = JSON.stringify([
          access.class,
          access.opaque,
          access.ambient,
          access.named,
          { ...factTexts(access), [key]: 0 },
        ]);
        const known = alike.get(rest);
        if (known === undefined) alike.set(rest, { access, values: new Set(fact) });
        else for (const value of fact) known.values.add(value);
      }
      for (const { access, values } of alike.values()) {
        for (const fact of [...this.#valueSets(key, values), UNKNOWN] as const) {
          this.add({ ...access, facts: { ...access.facts, [key]: fact } });
        }
      }
    }
  }

  /** Of the values that the members of a class have under any key, those that no rule tells apart from one of these. */
  alike({ access, members }: AccessClass, names: readonly string[]): readonly string[] {
    const found = new Set(names);
    for (const key of Object.keys(access.facts)) {
      const memberships = new Set(names.flatMap((name) => this.#values.get(key)?.get(name) ?? []));
      if (memberships.size === 0) continue;
      for (const { facts } of members) {
        const fact = facts[key];
        if (typeof fact !== "object") continue;
        for (const value of fact) if (memberships.has(this.#membershipOf(key, value))) found.add(value);
      }
    }
    return [...found].toSorted();
  }

  #addBlocks(blocks: readonly Block[]): void {
    for (const block of blocks) for (const matcher of block.keys) this.#addMatcher(matcher);
  }

  #addMatcher(matcher: KeyMatcher): void {
    switch (matcher.kind) {
      case "names":
        return this.#addList(matcher.key, matcher.names);
      case "flag":
        return;
      case "argv":
        return this.#addOther(matcher.key, matcher.argv);
      case "contains":
        return this.#addOther(matcher.key, matcher.texts);
      case "fields":
        return this.#addOther(matcher.key, matcher.fields);
    }
  }

  #addMask({ columns, fields }: RuleMask): void {
    if (columns !== null) this.#addList(COLUMNS, columns);
    if (fields !== null) this.#addList(FIELDS, fields);
  }

  #addList(key: string, list: NameList): void {
    const lists = this.#lists.get(key) ?? new Map<string, NameList>();
    lists.set(`${list.folds ? "folds" : ""}${list.isOfPaths ? "paths" : ""}\n${list.texts.join("\n")}`, list);
    this.#lists.set(key, lists);
  }

  #addOther(key: string, matcher: ValueMatcher): void {
    const others = this.#others.get(key) ?? [];
    others.push(matcher);
    this.#others.set(key, others);
  }

  #signatureOf(access: Access): string {
    let signature = `${access.class}${access.opaque === true ? " opaque" : ""}${access.ambient === true ? " ambient" : ""}`;
    if (access.named !== undefined) signature += ` naming ${access.named.join()}`;
    for (const key of Object.keys(access.facts).toSorted())
      signature += `|${key}${this.#factOf(key, access.facts[key])}`;
    return signature;
  }

  #factOf(key: string, fact: Fact): string {
    if (fact === undefined) return "-";
    if (fact === UNKNOWN) return "?";
    if (typeof fact === "boolean") return fact ? "+" : "!";
    const values = [...new Set(fact.map((value) => this.#membershipOf(key, value)))].toSorted();
    // None at all is another thing than some that are in no list.
    let text = `=${values.join(",")}`;
    for (const matcher of this.#others.get(key) ?? []) text += verdictOf(matcher, fact);
    return text;
  }

  #membershipOf(key: string, value: string): string {
    let ofKey = this.#values.get(key);
    if (ofKey === undefined) this.#values.set(key, (ofKey = new Map<string, string>()));
    let membership = ofKey.get(value);
    if (membership === undefined) {
      let bits = `${key} `;
      for (const list of this.#lists.get(key)?.values() ?? []) {
        bits += list.has(value) ? `${list.hasEvery([value]) ? 1 : 0}${list.hasEveryVisible([value]) ? 1 : 0}` : "--";
      }
      membership = this.#memberships.get(bits);
      if (membership === undefined) this.#memberships.set(bits, (membership = String(this.#memberships.size)));
      ofKey.set(value, membership);
    }
    return membership;
  }

  /** Sets of the values, in which all that no rule tells apart stand together; never the empty set. */
  #valueSets(key: string, values: ReadonlySet<string>): readonly (readonly string[])[] {
    const byMembership = new Map<string, string[]>();
    for (const value of values) {
      const membership = this.#membershipOf(key, value);
      const alike = byMembership.get(membership);
      if (alike === undefined) byMembership.set(membership, [value]);
      else alike.push(value);
    }
    const kinds = [...byMembership.values()];
    const { all, isWhole } = subsets(kinds, VALUE_KINDS_MAX);
    if (!isWhole)
      this.untried.add(`some sets of ${key} of one access, of which rules tell ${kinds.length} kinds apart`);
    const pairs = isWhole ? [] : kinds.flatMap((one, at) => kinds.slice(at + 1).map((other) => [one, other]));
    return [...all, ...pairs].filter((set) => set.length > 0).map((set) => set.flat());
  }
}

function isListOf(fact: Fact, sizeMin: number): boolean {
  return typeof fact === "object" && fact.length >= sizeMin;
}

function obligationsOf(rule: Extract<Rule, { effect: "guard" }>): { readonly masks: readonly RuleMask[] } | null {
  return rule.consequence.kind === "oblige" ? rule.consequence.obligations : null;
}

function verdictOf(matcher: ValueMatcher, fact: readonly string[]): string {
  try {
    return `${matcher.hasEvery(fact) ? 1 : 0}${matcher.hasAny(fact) ? 1 : 0}`;
  } catch {
    // Neither surely listed nor surely not: a kind of its own.
    return "??";
  }
}

/** Facts as JSON can hold them. */
function factTexts(access: Access): Readonly<Record<string, FactValue | null>> {
  return Object.fromEntries(Object.entries(access.facts).map(([key, fact]) => [key, fact === UNKNOWN ? null : fact]));
}
