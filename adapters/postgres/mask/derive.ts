/** From the columns that policy masks to all that show the same values: children, parents, generated columns, foreign keys, views. */
import type { MaskTransform, Predicates } from "../../../src/core/obligation.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import {
  ancestors,
  type ColumnFacts,
  descendants,
  type MaskFacts,
  type RelationFacts,
  type RuleFacts,
  type ViewFacts,
} from "./facts.ts";
import { columnKey, type Reads, relationOfKey } from "./lineage-scope.ts";

/** How one column is masked. */
export type ColumnMask = { readonly transform: MaskTransform; readonly predicates: Predicates };

/** By oid of the relation and name of the column. */
export type PolicyMasks = ReadonlyMap<number, ReadonlyMap<string, ColumnMask>>;

export type Derivation = {
  readonly masks: ReadonlyMap<ColumnFacts, ColumnMask>;
  /** By oid: why no statement may mention the relation, as a sentence for people. */
  readonly closed: ReadonlyMap<number, string>;
};

/**
 * Everything that must be masked or closed so that no value of a column in `policy` is shown elsewhere. What policy does
 * not name itself is redacted. `safeFunctions` are `schema.name`; a view that calls another one of the database's own is
 * closed, since what it reads is not known.
 */
export function derive(
  facts: MaskFacts,
  policy: PolicyMasks,
  safeFunctions: ReadonlySet<string> = new Set(),
): Derivation {
  const derivation = new Deriving(facts, policy, safeFunctions);
  derivation.run();
  return { masks: derivation.columns(), closed: derivation.closed };
}

const REDACT: MaskTransform = { with: "redact" };

class Deriving {
  readonly closed = new Map<number, string>();
  /** By columnKey(). */
  readonly #masks = new Map<number, ColumnMask>();
  readonly #facts: MaskFacts;
  readonly #named: ReadonlySet<number>;
  readonly #safeFunctions: ReadonlySet<string>;
  /** Columns that have been masked, and what that means for others has not been looked at. */
  readonly #pending: [RelationFacts, ColumnFacts][] = [];

  constructor(facts: MaskFacts, policy: PolicyMasks, safeFunctions: ReadonlySet<string>) {
    this.#facts = facts;
    this.#safeFunctions = safeFunctions;
    for (const [oid, columns] of policy) {
      const relation = facts.relations.get(oid);
      if (relation === undefined) continue;
      for (const column of relation.columns) {
        const mask = columns.get(column.name);
        if (mask === undefined) continue;
        this.#masks.set(columnKey(oid, column.attnum), mask);
        this.#pending.push([relation, column]);
      }
    }
    this.#named = new Set(this.#masks.keys());
  }

  columns(): ReadonlyMap<ColumnFacts, ColumnMask> {
    const columns = new Map<ColumnFacts, ColumnMask>();
    for (const [key, mask] of this.#masks) {
      const column = this.#columnOf(key);
      if (column !== undefined) columns.set(column, mask);
    }
    return columns;
  }

  run(): void {
    if (this.#masks.size === 0) return;
    for (const [oid, view] of this.#facts.views) this.#closeUnreadable(oid, view);
    let isSettled = false;
    while (!isSettled) {
      this.#followTables();
      isSettled = true;
      for (const [oid, keys] of this.#facts.partitionKeys) this.#followPartitions(oid, keys);
      for (const [oid, reads] of this.#facts.policies) if (this.#followPolicies(oid, reads)) isSettled = false;
      for (const [oid, rules] of this.#facts.rules) if (this.#followRules(oid, rules)) isSettled = false;
      for (const [oid, view] of this.#facts.views) if (this.#followView(oid, view)) isSettled = false;
      if (this.#pending.length > 0) isSettled = false;
    }
    for (const oid of new Set([...this.#named].map(relationOfKey))) this.#joinWithChildren(oid);
  }

  #closeUnreadable(oid: number, { lineage, unreadBecause, calls }: ViewFacts): void {
    if (lineage === null) this.closed.set(oid, `its definition could not be read: ${unreadBecause}`);
    const unsafe = calls.find((call) => !this.#safeFunctions.has(call));
    if (unsafe !== undefined)
      this.closed.set(oid, `it calls ${unsafe}, which is not declared safe, so that what it reads is not known`);
  }

  /** Children, parents, generated columns, and what refers to them by a foreign key, transitively. */
  #followTables(): void {
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      const [relation, { name, attnum }] = next;
      const key = columnKey(relation.oid, attnum);
      const isDenied = this.#isDenied([key]);
      for (const oid of [...relation.children, ...relation.parents]) {
        const other = this.#facts.relations.get(oid);
        const same = other?.columns.find((column) => column.name === name);
        if (other !== undefined && same !== undefined) this.#mask(other, same, isDenied);
      }
      for (const referring of this.#facts.references.get(key) ?? []) {
        const other = this.#facts.relations.get(relationOfKey(referring));
        const column = this.#columnOf(referring);
        if (other !== undefined && column !== undefined) this.#mask(other, column, isDenied);
      }
      for (const column of relation.columns) {
        const reads = this.#facts.generated.get(columnKey(relation.oid, column.attnum));
        if (reads?.has(key) === true) this.#mask(relation, column, isDenied);
      }
    }
  }

  /** True when something has changed. */
  #followView(oid: number, { lineage }: ViewFacts): boolean {
    const view = this.#facts.relations.get(oid);
    if (lineage === null || view === undefined || this.closed.has(oid)) return false;
    for (const read of lineage.relations) {
      if (this.closed.has(read)) {
        this.closed.set(oid, `it reads ${this.#nameOf(read)}, which is closed`);
        return true;
      }
    }
    const [gate] = this.#masked(lineage.gates);
    if (gate !== undefined) {
      this.closed.set(
        oid,
        `the masked column ${this.#columnName(gate)} decides which rows it shows, or in which order`,
      );
      return true;
    }
    let hasChanged = false;
    for (const [index, reads] of lineage.outputs.entries()) {
      const column = view.columns[index];
      const masked = this.#masked(reads);
      if (column === undefined || masked.length === 0) continue;
      if (this.#mask(view, column, this.#isDenied(masked))) hasChanged = true;
    }
    return hasChanged;
  }

  /** Where a row lies tells of its value, and rows of partitions come one partition after another. */
  #followPartitions(oid: number, keys: Reads): void {
    const relation = this.#facts.relations.get(oid);
    const [key] = this.#masked(keys);
    if (relation === undefined || key === undefined) return;
    const because = `the masked column ${this.#columnName(key)} decides in which partition a row lies`;
    const all = [relation, ...descendants(relation, this.#facts), ...ancestors(relation, this.#facts)];
    for (const each of all) if (!this.closed.has(each.oid)) this.closed.set(each.oid, because);
  }

  /**
   * Which rows a policy lets somebody see tells of what it looks at. What its functions read is their own business, as
   * with triggers. True when something has changed.
   */
  #followPolicies(oid: number, reads: Reads | null): boolean {
    if (this.closed.has(oid)) return false;
    const [masked] = reads === null ? [] : this.#masked(reads);
    if (reads === null) this.closed.set(oid, "a policy of its row level security could not be read");
    else if (masked !== undefined)
      this.closed.set(
        oid,
        `the masked column ${this.#columnName(masked)} decides which of its rows are shown (row level security)`,
      );
    return this.closed.has(oid);
  }

  /** Rules rewrite statements after they were read, and answer with rows of their own. True when something has changed. */
  #followRules(oid: number, { relations, calls }: RuleFacts): boolean {
    if (this.closed.has(oid)) return false;
    const unsafe = calls.find((call) => !this.#safeFunctions.has(call));
    const shown = [oid, ...relations].find((each) => this.closed.has(each) || this.#isMaskedRelation(each));
    if (unsafe !== undefined) this.closed.set(oid, `it has rules that call ${unsafe}, which is not declared safe`);
    else if (shown === oid) this.closed.set(oid, "it has rules, which rewrite statements after they were read");
    else if (shown !== undefined)
      this.closed.set(oid, `it has rules that use ${this.#nameOf(shown)}, which is closed or masked`);
    return this.closed.has(oid);
  }

  #isMaskedRelation(oid: number): boolean {
    const columns = this.#facts.relations.get(oid)?.columns ?? [];
    return columns.some(({ attnum }) => this.#masks.has(columnKey(oid, attnum)));
  }

  /** Masks a column that policy need not name. True when that changes anything. */
  #mask(relation: RelationFacts, column: ColumnFacts, isDenied: boolean): boolean {
    const key = columnKey(relation.oid, column.attnum);
    const known = this.#masks.get(key);
    if (this.#named.has(key) || (known !== undefined && (!isDenied || known.predicates === "deny"))) return false;
    this.#masks.set(key, { transform: REDACT, predicates: isDenied ? "deny" : "masked" });
    this.#pending.push([relation, column]);
    return true;
  }

  /** A table shows its children's rows too: where policy masks those otherwise, it is redacted. */
  #joinWithChildren(oid: number): void {
    const relation = this.#facts.relations.get(oid);
    for (const column of relation?.columns ?? []) {
      const key = columnKey(oid, column.attnum);
      const own = this.#masks.get(key);
      if (relation === undefined || own === undefined || !this.#named.has(key)) continue;
      const others = descendants(relation, this.#facts).flatMap((child) => {
        const same = child.columns.find(({ name }) => name === column.name);
        const childKey = same === undefined ? null : columnKey(child.oid, same.attnum);
        const mask = childKey === null || !this.#named.has(childKey) ? undefined : this.#masks.get(childKey);
        return mask === undefined ? [] : [mask];
      });
      const isSame = others.every(({ transform }) => isSameTransform(transform, own.transform));
      const denies = [own, ...others].some(({ predicates }) => predicates === "deny");
      const allowsEquality = [own, ...others].every(({ predicates }) => predicates === "equality");
      const predicates = denies ? "deny" : allowsEquality ? "equality" : "masked";
      this.#masks.set(key, { transform: isSame ? own.transform : REDACT, predicates });
    }
  }

  #masked(reads: Reads): number[] {
    return [...reads].filter((key) => this.#masks.has(key));
  }

  /** What derives from a column that can be compared cannot be compared itself, and silence would mislead. */
  #isDenied(keys: readonly number[]): boolean {
    return keys.some((key) => (this.#masks.get(key)?.predicates ?? "masked") !== "masked");
  }

  #nameOf(oid: number): string {
    const relation = this.#facts.relations.get(oid);
    return relation === undefined ? String(oid) : joinIdentifier(relation.schema, relation.name);
  }

  #columnName(key: number): string {
    return `${this.#nameOf(relationOfKey(key))}.${joinIdentifier(this.#columnOf(key)?.name ?? "?")}`;
  }

  #columnOf(key: number): ColumnFacts | undefined {
    const oid = relationOfKey(key);
    return this.#facts.relations.get(oid)?.columns.find(({ attnum }) => columnKey(oid, attnum) === key);
  }
}

function isSameTransform(a: MaskTransform, b: MaskTransform): boolean {
  if (a.with !== "partial" || b.with !== "partial") return a.with === b.with;
  return a.keepFirst === b.keepFirst && a.keepLast === b.keepLast;
}
