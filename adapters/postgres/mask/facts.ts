/** What a database's catalog says that masks need beyond names: types, inheritance, definitions, rules and row security. */
import type { RelationKind } from "../catalog.ts";
import type { Lineage } from "./lineage.ts";
import type { Reads } from "./lineage-scope.ts";

/**
 * What a value is made of, domains unwrapped.
 * text: it converts from and to text without any function of the database's own. other: nothing is known but its name.
 */
export type TypeShape =
  | {
      readonly kind:
        | "text"
        | "number"
        | "boolean"
        | "date"
        | "time"
        | "interval"
        | "uuid"
        | "json"
        | "bytes"
        | "array"
        | "other";
    }
  /** Null: the enum has no label yet, so no value either. */
  | { readonly kind: "enum"; readonly firstLabel: string | null };

/** A type as a column has it. */
export type TypeFacts = {
  readonly oid: number;
  /** -1: none. */
  readonly typmod: number;
  /** As SQL spells it, whatever the search_path; with the type modifier. */
  readonly sql: string;
  readonly shape: TypeShape;
  /** Null: no domain. */
  readonly domain: DomainFacts | null;
};

/** `accepts...` are what the server answered when it was asked for the cast; false when it was not asked. */
export type DomainFacts = {
  /** A CHECK or NOT NULL, its own or of a domain under it. */
  readonly isConstrained: boolean;
  /** What `redact` shows of its base type. */
  readonly acceptsConstant: boolean;
  readonly acceptsNull: boolean;
};

export type ColumnFacts = {
  readonly name: string;
  readonly attnum: number;
  readonly type: TypeFacts;
  /** As SQL spells it; null: the database's default, or none. */
  readonly collation: string | null;
};

export type RelationFacts = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** All but dropped and system ones, in order of attnum. */
  readonly columns: readonly ColumnFacts[];
  /** Oids of tables that inherit from it directly, partitions among them. */
  readonly children: readonly number[];
  /** Oids of those it inherits from directly. */
  readonly parents: readonly number[];
  /** ALTER TABLE ... ENABLE ROW LEVEL SECURITY. */
  readonly hasRowSecurity: boolean;
  /** WITH (security_invoker): what a view reads is read with the rights of whoever reads the view. */
  readonly isSecurityInvoker: boolean;
};

export type ViewFacts = {
  /** Null: its definition could not be read, for a reason as a part of a sentence. */
  readonly lineage: Lineage | null;
  readonly unreadBecause: string;
  /** Functions, as `schema.name`, that are not known to be safe; those behind operators and types among them. */
  readonly calls: readonly string[];
};

/** What the rules that people made for one relation (CREATE RULE) do, all of them together. */
export type RuleFacts = {
  /** Oids of what they read or write, the relation itself left out. */
  readonly relations: readonly number[];
  /** As ViewFacts has them. */
  readonly calls: readonly string[];
};

/** Immutable. */
export interface MaskFacts {
  /** Of the picture that shows the same state of the database. */
  readonly catalogDigest: string;
  /** By oid. */
  readonly relations: ReadonlyMap<number, RelationFacts>;
  relation(schema: string, name: string): RelationFacts | undefined;
  /** Generated columns and what they are computed from, by columnKey(). */
  readonly generated: ReadonlyMap<number, Reads>;
  /** What decides in which partition of it a row lies, by oid. */
  readonly partitionKeys: ReadonlyMap<number, Reads>;
  /** What policies of row level security read, by oid of their relation; null: one of them could not be read. */
  readonly policies: ReadonlyMap<number, Reads | null>;
  /** Columns of a relation that the server looks at together when one of them is written (constraints, unique indexes). */
  readonly constrained: readonly Reads[];
  /** Columns that refer to another by a foreign key, so that its values stand in them too: by that one, as columnKey(). */
  readonly references: ReadonlyMap<number, Reads>;
  /** Views and materialized views but those that came with the server, by oid. */
  readonly views: ReadonlyMap<number, ViewFacts>;
  /** Relations with rules besides the one that makes a view, by oid. */
  readonly rules: ReadonlyMap<number, RuleFacts>;
}

/** All that inherit from a relation, transitively. */
export function descendants(relation: RelationFacts, facts: MaskFacts): readonly RelationFacts[] {
  const found = new Set<number>(relation.children);
  // A set may grow while it is walked: what is added is visited too.
  for (const oid of found) for (const child of facts.relations.get(oid)?.children ?? []) found.add(child);
  return [...found].flatMap((oid) => facts.relations.get(oid) ?? []);
}

/** All that a relation inherits from, transitively. */
export function ancestors(relation: RelationFacts, facts: MaskFacts): readonly RelationFacts[] {
  const found = new Set<number>(relation.parents);
  for (const oid of found) for (const parent of facts.relations.get(oid)?.parents ?? []) found.add(parent);
  return [...found].flatMap((oid) => facts.relations.get(oid) ?? []);
}
