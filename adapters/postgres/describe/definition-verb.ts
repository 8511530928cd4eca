/** Which verb a defining statement has, for those that are told by their kind alone. */
import type { Verb } from "../vocabulary.ts";

/** Statements that are fully told by their kind: they name no relation of this database's. */
const FIXED: Readonly<Record<string, Verb>> = {
  AlterDatabaseRefreshCollStmt: "alter database",
  AlterDatabaseSetStmt: "alter database",
  AlterDatabaseStmt: "alter database",
  AlterEventTrigStmt: "alter event trigger",
  AlterExtensionContentsStmt: "alter extension",
  AlterExtensionStmt: "alter extension",
  AlterFdwStmt: "alter foreign data wrapper",
  AlterForeignServerStmt: "alter server",
  AlterRoleSetStmt: "alter role",
  AlterRoleStmt: "alter role",
  AlterSubscriptionStmt: "alter subscription",
  AlterSystemStmt: "alter system",
  AlterTableSpaceOptionsStmt: "alter tablespace",
  AlterTableMoveAllStmt: "alter tablespace",
  AlterUserMappingStmt: "alter user mapping",
  CheckPointStmt: "checkpoint",
  CreateAmStmt: "create access method",
  CreateCastStmt: "create cast",
  CreateConversionStmt: "create conversion",
  CreatedbStmt: "create database",
  CreateEventTrigStmt: "create event trigger",
  CreateExtensionStmt: "create extension",
  CreateFdwStmt: "create foreign data wrapper",
  CreateForeignServerStmt: "create server",
  CreatePLangStmt: "create language",
  CreateRoleStmt: "create role",
  CreateSubscriptionStmt: "create subscription",
  CreateTableSpaceStmt: "create tablespace",
  CreateTransformStmt: "create transform",
  CreateUserMappingStmt: "create user mapping",
  DropdbStmt: "drop database",
  DropOwnedStmt: "drop owned",
  DropRoleStmt: "drop role",
  DropSubscriptionStmt: "drop subscription",
  DropTableSpaceStmt: "drop tablespace",
  DropUserMappingStmt: "drop user mapping",
  ImportForeignSchemaStmt: "import foreign schema",
  LoadStmt: "load",
  ReassignOwnedStmt: "reassign owned",
};

/** Statements on objects that are no relations: the field that names the object, for what the catalog then misses. */
const NAMED: Readonly<Record<string, { readonly verb: Verb; readonly name: string }>> = {
  AlterCollationStmt: { verb: "alter collation", name: "collname" },
  AlterDomainStmt: { verb: "alter domain", name: "typeName" },
  AlterEnumStmt: { verb: "alter type", name: "typeName" },
  AlterOpFamilyStmt: { verb: "alter operator family", name: "opfamilyname" },
  AlterStatsStmt: { verb: "alter statistics", name: "defnames" },
  AlterTSConfigurationStmt: { verb: "alter text search configuration", name: "cfgname" },
  AlterTSDictionaryStmt: { verb: "alter text search dictionary", name: "dictname" },
  AlterTypeStmt: { verb: "alter type", name: "typeName" },
  CreateDomainStmt: { verb: "create domain", name: "domainname" },
  CreateEnumStmt: { verb: "create type", name: "typeName" },
  CreateOpClassStmt: { verb: "create operator class", name: "opclassname" },
  CreateOpFamilyStmt: { verb: "create operator family", name: "opfamilyname" },
  CreateRangeStmt: { verb: "create type", name: "typeName" },
};

/** Statements on one relation in a field of its own. */
const ON_RELATION: Readonly<Record<string, { readonly verb: Verb; readonly field: string }>> = {
  AlterPolicyStmt: { verb: "alter policy", field: "table" },
  AlterSeqStmt: { verb: "alter sequence", field: "sequence" },
  ClusterStmt: { verb: "cluster", field: "relation" },
  CreatePolicyStmt: { verb: "create policy", field: "table" },
  CreateTrigStmt: { verb: "create trigger", field: "relation" },
  IndexStmt: { verb: "create index", field: "relation" },
  RefreshMatViewStmt: { verb: "refresh materialized view", field: "relation" },
  ReindexStmt: { verb: "reindex", field: "relation" },
  RuleStmt: { verb: "create rule", field: "relation" },
};

export function fixedVerb(kind: string): Verb | undefined {
  return Object.hasOwn(FIXED, kind) ? FIXED[kind] : undefined;
}

export function namedVerb(kind: string): { readonly verb: Verb; readonly name: string } | undefined {
  return Object.hasOwn(NAMED, kind) ? NAMED[kind] : undefined;
}

export function relationVerb(kind: string): { readonly verb: Verb; readonly field: string } | undefined {
  return Object.hasOwn(ON_RELATION, kind) ? ON_RELATION[kind] : undefined;
}

/** Statements after which any name may mean something else. */
const CHANGES_MANY: ReadonlySet<string> = new Set([
  "AlterExtensionContentsStmt",
  "AlterExtensionStmt",
  "CreateCastStmt",
  "CreateExtensionStmt",
  "DropOwnedStmt",
  "ImportForeignSchemaStmt",
]);

export function changesMany(kind: string): boolean {
  return CHANGES_MANY.has(kind);
}

/** Statements that reach relations without naming them one by one. */
const UNNAMED: ReadonlySet<string> = new Set([
  "AlterTableMoveAllStmt",
  "DropOwnedStmt",
  "ImportForeignSchemaStmt",
  "ReassignOwnedStmt",
]);

export function reachesUnnamed(kind: string): boolean {
  return UNNAMED.has(kind);
}

/** Statements on a relation as a whole. */
const WITHOUT_COLUMNS: ReadonlySet<string> = new Set([
  "AlterSeqStmt",
  "ClusterStmt",
  "RefreshMatViewStmt",
  "ReindexStmt",
]);

export function refersToColumns(kind: string): boolean {
  return !WITHOUT_COLUMNS.has(kind);
}

/** Statements that leave names, columns and functions as they are. */
const KEEPS_CATALOG: ReadonlySet<string> = new Set([
  "CheckPointStmt",
  "ClusterStmt",
  "CommentStmt",
  "RefreshMatViewStmt",
  "ReindexStmt",
  "SecLabelStmt",
  "VacuumStmt",
]);

export function keepsCatalog(kind: string): boolean {
  return KEEPS_CATALOG.has(kind);
}
