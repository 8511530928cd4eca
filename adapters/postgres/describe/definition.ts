/** Reads statements that define or administer: which object of which kind, the relations concerned, and what they evaluate. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { Facts } from "../../../src/core/operation.ts";
import type { StatementEffect } from "../analysis.ts";
import { isFields } from "../parser.ts";
import type { Fields } from "../parser.ts";
import { classOf } from "../vocabulary.ts";
import type { Verb } from "../vocabulary.ts";
import type { Collector } from "./collector.ts";
import { NO_EFFECT } from "./effect.ts";
import type { Surroundings } from "./expression.ts";
import { NODE_FIELDS } from "./node-fields.ts";
import { isRelationKind, isTablePart, objectKind } from "./object-kind.ts";
import type { ObjectKind } from "./object-kind.ts";
import type { QueryReader } from "./query.ts";
import type { Resolver } from "./resolver.ts";
import { derivedSource, relationSource } from "./scope.ts";
import type { Source } from "./scope.ts";
import { bareOf, itemsOf, listOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Statements that are fully told by their kind: they name no relation of this database's. */
const FIXED_VERBS: Readonly<Record<string, Verb>> = {
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
  GrantRoleStmt: "grant",
  ImportForeignSchemaStmt: "import foreign schema",
  LoadStmt: "load",
  ReassignOwnedStmt: "reassign owned",
};

/** Statements on objects that are no relations: the field that names the object, for what the catalog then misses. */
const NAMED_VERBS: Readonly<Record<string, { readonly verb: Verb; readonly name: string }>> = {
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
const RELATION_VERBS: Readonly<Record<string, { readonly verb: Verb; readonly field: string }>> = {
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

/** What a statement redefines, by bare name. */
type Redefined = string[] | "all";

export class DefinitionReader {
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  readonly #queries: QueryReader;
  readonly #readNested: (statement: Node) => void;
  #redefined: Redefined = [];
  #temporary: string[] = [];

  /** `readNested` reads the statements inside CREATE SCHEMA and CREATE RULE. */
  constructor(collector: Collector, resolver: Resolver, queries: QueryReader, readNested: (statement: Node) => void) {
    this.#collector = collector;
    this.#resolver = resolver;
    this.#queries = queries;
    this.#readNested = readNested;
  }

  /** Null when the statement is none of these. */
  read({ kind, fields }: Node, around: Surroundings): StatementEffect | null {
    this.#redefined = [];
    this.#temporary = [];
    if (!this.#dispatch(kind, fields, around)) return null;
    return this.#effect(kind === "AlterRoleSetStmt" || this.#temporary.length > 0);
  }

  /** The table or view that a query fills. */
  created(verb: Verb, range: Fields): StatementEffect {
    this.#redefined = [];
    this.#temporary = [];
    this.#created(verb, range);
    return this.#effect(this.#temporary.length > 0);
  }

  #effect(changesReading: boolean): StatementEffect {
    return {
      ...NO_EFFECT,
      changesCatalog: true,
      changesReading,
      redefines: this.#redefined,
      createsTemporary: this.#temporary.length > 0 ? this.#temporary : null,
    };
  }

  #dispatch(kind: string, fields: Fields, around: Surroundings): boolean {
    const fixed = Object.hasOwn(FIXED_VERBS, kind) ? FIXED_VERBS[kind] : undefined;
    if (fixed !== undefined) {
      this.#object(fixed);
      if (kind !== "GrantRoleStmt") this.#redefined = CHANGES_MANY.has(kind) ? "all" : [];
      if (kind === "GrantRoleStmt" && fields["is_grant"] !== true) throw new NotUnderstood("a REVOKE is not known");
      return true;
    }
    const named = Object.hasOwn(NAMED_VERBS, kind) ? NAMED_VERBS[kind] : undefined;
    if (named) {
      this.#object(named.verb);
      this.#redefine(namesOf(fields[named.name]));
      this.#evaluate(fields, around);
      return true;
    }
    const relation = Object.hasOwn(RELATION_VERBS, kind) ? RELATION_VERBS[kind] : undefined;
    if (relation) {
      this.#onRelation(kind, relation.verb, relation.field, fields, around);
      return true;
    }
    return this.#dispatchOther(kind, fields, around);
  }

  #dispatchOther(kind: string, fields: Fields, around: Surroundings): boolean {
    switch (kind) {
      case "CreateStmt":
        this.#createTable("create table", fields, around);
        return true;
      case "CreateForeignTableStmt":
        this.#createTable("create foreign table", bareOf(fields["base"]) ?? {}, around);
        return true;
      case "CreateSeqStmt":
        this.#created("create sequence", bareOf(fields["sequence"]));
        return true;
      case "CompositeTypeStmt":
        this.#created("create type", bareOf(fields["typevar"]), false);
        return true;
      case "ViewStmt":
        this.#created("create view", bareOf(fields["view"]));
        this.#queries.statement(unwrap(fields["query"]), around);
        return true;
      case "AlterTableStmt":
        this.#alterTable(fields, around);
        return true;
      case "DropStmt":
        this.#drop(fields);
        return true;
      case "CommentStmt":
        this.#label("comment", fields);
        return true;
      case "SecLabelStmt":
        this.#label("security label", fields);
        return true;
      case "RenameStmt":
        this.#alterObject("renameType", fields);
        this.#redefine([textOf(fields["newname"])]);
        return true;
      case "AlterObjectSchemaStmt":
      case "AlterOwnerStmt":
      case "AlterObjectDependsStmt":
        this.#alterObject("objectType", fields);
        return true;
      case "AlterFunctionStmt":
        this.#alterNamed(textOf(fields["objtype"]) || "OBJECT_FUNCTION", fields["func"]);
        return true;
      case "AlterOperatorStmt":
        this.#alterNamed("OBJECT_OPERATOR", fields["opername"]);
        return true;
      case "CreateFunctionStmt":
        this.#object(fields["is_procedure"] === true ? "create procedure" : "create function");
        this.#redefine(namesOf(fields["funcname"]));
        for (const parameter of nodesOf(fields["parameters"])) {
          this.#queries.expressions.field(parameter.fields["defexpr"], openSurroundings(around));
        }
        return true;
      case "DefineStmt":
        this.#object(verbOf("create", objectOf(textOf(fields["kind"]))));
        this.#redefine(namesOf(fields["defnames"]));
        return true;
      case "CreateStatsStmt":
        for (const item of nodesOf(fields["relations"])) this.#onExisting("create statistics", item.fields, fields, around);
        return true;
      case "CreatePublicationStmt":
      case "AlterPublicationStmt":
        this.#object(kind === "CreatePublicationStmt" ? "create publication" : "alter publication");
        return true;
      case "CreateSchemaStmt":
        this.#object("create schema");
        this.#redefined = "all";
        for (const element of nodesOf(fields["schemaElts"])) this.#readNested(element);
        this.#redefined = "all";
        return true;
      case "GrantStmt":
        this.#grant(fields);
        return true;
      case "AlterDefaultPrivilegesStmt":
        this.#object("alter default privileges");
        return true;
      case "VacuumStmt":
        this.#vacuum(fields);
        return true;
      default:
        return false;
    }
  }

  /** An access with a verb alone. */
  #object(verb: Verb): void {
    this.#collector.other(classOf(verb), verb);
  }

  #redefine(parts: readonly string[]): void {
    const name = parts.at(-1);
    if (name !== undefined && this.#redefined !== "all") this.#redefined.push(name);
  }

  /** A relation that comes to be. */
  #created(verb: Verb, range: Fields | null, isRelation = true): string | null {
    if (!range) throw new NotUnderstood("something without a name is created");
    const schema = textOf(range["schemaname"]);
    const own = textOf(range["relname"]);
    const name = this.#resolver.creationName(schema, own, textOf(range["relpersistence"]) === "t");
    this.#redefine([own]);
    if (name === null || name.startsWith("pg_temp.")) this.#temporary.push(own);
    const facts: Facts = isRelation ? { relations: name === null ? UNKNOWN : [name] } : {};
    this.#collector.other(classOf(verb), verb, facts);
    return name;
  }

  /**
   * A relation that exists, under a defining verb. That the catalog does not know it hides nothing here: the verb is
   * known, and a name with its schema is certain.
   */
  #existing(verb: Verb, range: Fields, refersToColumns = false): Source {
    const schema = textOf(range["schemaname"]);
    const own = textOf(range["relname"]);
    this.#redefine([own]);
    const relation = this.#resolver.relation(schema, own, textOf(range["catalogname"]));
    if (relation.columns === null) {
      const name = schema === "" ? relation.name : `${schema}.${own}`;
      const relations = name === null ? UNKNOWN : [name];
      this.#collector.other(classOf(verb), verb, refersToColumns ? { relations, columns: UNKNOWN } : { relations });
      return derivedSource(own, [], true);
    }
    const use = this.#collector.relation(verb, classOf(verb), relation);
    return relationSource(use, own, null, []);
  }

  #onExisting(verb: Verb, range: Fields, statement: Fields, around: Surroundings): void {
    const source = this.#existing(verb, range, true);
    this.#evaluate(statement, withSources(around, [source]));
  }

  #onRelation(kind: string, verb: Verb, field: string, fields: Fields, around: Surroundings): void {
    const range = bareOf(fields[field]);
    // CLUSTER and REINDEX without a table are about all of them.
    if (!range) return this.#object(verb);
    const source = this.#existing(verb, range, !WITHOUT_COLUMNS.has(kind));
    if (kind === "IndexStmt") this.#redefine([textOf(fields["idxname"])]);
    const sources = kind === "RuleStmt" || kind === "CreateTrigStmt" ? [source, rowOf("old"), rowOf("new")] : [source];
    const inside = withSources(around, sources);
    if (kind === "RuleStmt") {
      this.#evaluate(fields["whereClause"], inside);
      for (const action of nodesOf(fields["actions"])) this.#ruleAction(action, inside);
      return;
    }
    this.#evaluate(fields, inside);
  }

  #ruleAction(action: Node, inside: Surroundings): void {
    if (action.kind === "NotifyStmt") this.#readNested(action);
    else this.#queries.statement(action, inside);
  }

  #createTable(verb: Verb, fields: Fields, around: Surroundings): void {
    this.#created(verb, bareOf(fields["relation"]));
    // A new child of an existing table shows its rows there.
    for (const parent of nodesOf(fields["inhRelations"])) this.#existing("alter table", parent.fields);
    this.#evaluate(fields, openSurroundings(around));
  }

  #alterTable(fields: Fields, around: Surroundings): void {
    const kind = objectOf(textOf(fields["objtype"]));
    const range = bareOf(fields["relation"]);
    if (!range) throw new NotUnderstood("an ALTER names no relation");
    if (kind === "type") {
      this.#object("alter type");
      this.#redefine([textOf(range["relname"])]);
      return;
    }
    this.#onExisting(verbOf("alter", kind), range, fields, around);
  }

  #drop(fields: Fields): void {
    const kind = objectOf(textOf(fields["removeType"]));
    const verb = verbOf("drop", kind);
    for (const object of nodesOf(fields["objects"])) {
      const name = objectName(object);
      if (isRelationKind(kind) || isTablePart(kind)) this.#existing(verb, rangeOf(isTablePart(kind) ? name.slice(0, -1) : name));
      else {
        this.#object(verb);
        this.#redefine(name);
      }
      if (kind === "schema" || kind === "extension") this.#redefined = "all";
    }
  }

  /** COMMENT and SECURITY LABEL. */
  #label(verb: Verb, fields: Fields): void {
    const objectType = textOf(fields["objtype"]);
    const kind = objectOf(objectType);
    const name = objectName(unwrap(fields["object"]));
    const isPart = objectType === "OBJECT_COLUMN" || objectType === "OBJECT_TABCONSTRAINT" || isTablePart(kind);
    if (isPart) this.#existing(verb, rangeOf(name.slice(0, -1)));
    else if (isRelationKind(kind)) this.#existing(verb, rangeOf(name));
    else this.#object(verb);
    this.#redefined = [];
  }

  /** RENAME, SET SCHEMA, OWNER TO, DEPENDS ON EXTENSION. */
  #alterObject(typeField: string, fields: Fields): void {
    const objectType = textOf(fields[typeField]);
    const range = bareOf(fields["relation"]);
    if (range) {
      const relationType = textOf(fields["relationType"]);
      const isPart = objectType === "OBJECT_COLUMN" || objectType === "OBJECT_ATTRIBUTE";
      const kind = objectOf(isPart && relationType !== "" ? relationType : objectType);
      if (kind === "type") this.#object("alter type");
      else {
        const source = this.#existing(verbOf("alter", kind), range);
        const column = source.columns.get(textOf(fields["subname"]));
        for (const base of column ?? []) base.use.columns.add(base.column);
      }
      return;
    }
    this.#alterNamed(objectType, fields["object"]);
  }

  #alterNamed(objectType: string, object: unknown): void {
    const kind = objectOf(objectType);
    this.#object(verbOf("alter", kind));
    if (kind === "schema" || kind === "extension") this.#redefined = "all";
    else if (isFields(object)) this.#redefine("objname" in object ? namesOf(object["objname"]) : objectName(unwrap(object)));
  }

  #grant(fields: Fields): void {
    const verb = fields["is_grant"] === true ? "grant" : "revoke";
    const objectType = textOf(fields["objtype"]);
    const isOnRelations = objectType === "OBJECT_TABLE" || objectType === "OBJECT_SEQUENCE";
    if (!isOnRelations || textOf(fields["targtype"]) !== "ACL_TARGET_OBJECT") return this.#object(verb);
    for (const object of nodesOf(fields["objects"])) this.#existing(verb, object.fields);
    this.#redefined = [];
  }

  #vacuum(fields: Fields): void {
    const verb = fields["is_vacuumcmd"] === true ? "vacuum" : "analyze";
    const relations = nodesOf(fields["rels"]);
    if (relations.length === 0) this.#object(verb);
    for (const { fields: item } of relations) {
      const range = bareOf(item["relation"]);
      if (!range) throw new NotUnderstood("a relation is missing");
      const source = this.#existing(verb, range);
      for (const column of namesOf(item["va_cols"])) {
        for (const base of source.columns.get(column) ?? []) base.use.columns.add(base.column);
      }
    }
    this.#redefined = [];
  }

  /** Whatever is evaluated anywhere in a statement: expressions and queries, and the tables that foreign keys refer to. */
  #evaluate(value: unknown, around: Surroundings): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#evaluate(item, around);
      return;
    }
    if (!isFields(value)) return;
    this.#queries.expressions.nest(() => {
      for (const [name, field] of Object.entries(value)) this.#evaluateField(name, field, around);
    });
  }

  #evaluateField(name: string, field: unknown, around: Surroundings): void {
    if (EXPRESSION_KINDS.has(name)) this.#queries.expressions.node({ kind: name, fields: bareOf(field) ?? {} }, around);
    else if (name === "SelectStmt") this.#queries.statement({ kind: name, fields: bareOf(field) ?? {} }, around);
    else if (name === "pktable") this.#referenced(bareOf(field));
    else if (name === "PartitionCmd") this.#partition(bareOf(field), around);
    else if (COLUMN_NAMING_FIELDS.has(name) && !isFields(field)) this.#columnNames(field, around);
    else if (name === "typeName" || name === "TypeName") return;
    else this.#evaluate(field, around);
  }

  /** ATTACH and DETACH PARTITION change the partition too. */
  #partition(fields: Fields | null, around: Surroundings): void {
    const range = bareOf(fields?.["name"]);
    if (range) this.#existing("alter table", range);
    this.#evaluate(fields?.["bound"], around);
  }

  /** A foreign key reads the table it refers to: it tells which values are there. */
  #referenced(range: Fields | null): void {
    if (!range) return;
    const relation = this.#resolver.relation(textOf(range["schemaname"]), textOf(range["relname"]));
    const use = this.#collector.relation("select", classOf("select"), relation);
    use.columnsUnknown = true;
  }

  /** A column by name, of the relation at hand. */
  #columnNames(field: unknown, { level }: Surroundings): void {
    const names = typeof field === "string" ? [field] : listOf(field).flatMap((item) => nameOrNothing(item));
    for (const name of names) {
      for (const source of level.sources) for (const base of source.columns.get(name) ?? []) base.use.columns.add(base.column);
    }
  }
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

/** Statements on a relation as a whole. */
const WITHOUT_COLUMNS: ReadonlySet<string> = new Set(["AlterSeqStmt", "ClusterStmt", "RefreshMatViewStmt", "ReindexStmt"]);

const EXPRESSION_KINDS: ReadonlySet<string> = new Set([
  ...Object.keys(NODE_FIELDS).filter((kind) => !["String", "Integer", "Float", "Boolean", "BitString", "List"].includes(kind)),
  "ColumnRef",
  "A_Expr",
  "FuncCall",
  "A_Indirection",
  "CollateClause",
]);

/** Fields whose text or names are columns of the relation at hand. */
const COLUMN_NAMING_FIELDS: ReadonlySet<string> = new Set(["name", "keys", "fk_attrs", "including", "columns", "va_cols"]);

function nameOrNothing(item: unknown): string[] {
  if (!isFields(item)) return [];
  const string = item["String"];
  return isFields(string) ? [textOf(string["sval"])] : [];
}

function objectOf(objectType: string): ObjectKind {
  const kind = objectKind(objectType);
  if (kind === undefined) throw new NotUnderstood(`an object of the kind ${objectType} is not known`);
  return kind;
}

function verbOf(action: "create" | "alter" | "drop", kind: ObjectKind): Verb {
  return `${action} ${kind}`;
}

/** The parts of an object's name, however the parser wraps it. */
function objectName(object: Node): string[] {
  switch (object.kind) {
    case "String":
      return [textOf(object.fields["sval"])];
    case "List":
      return itemsOf(object).flatMap((item) => (item.kind === "String" ? [textOf(item.fields["sval"])] : objectName(item)));
    case "ObjectWithArgs":
      return namesOf(object.fields["objname"]);
    case "TypeName":
      return namesOf(object.fields["names"]);
    default:
      return [];
  }
}

/** A name as the RangeVar that it stands for. */
function rangeOf(name: readonly string[]): Fields {
  return { catalogname: name.at(-3) ?? "", schemaname: name.at(-2) ?? "", relname: name.at(-1) ?? "" };
}

function withSources(around: Surroundings, sources: readonly Source[]): Surroundings {
  return { ...around, level: { sources, isExact: true, parent: around.level } };
}

/** A relation that is being made: whatever columns are named are its own. */
function openSurroundings(around: Surroundings): Surroundings {
  return withSources(around, [derivedSource(null, [], true)]);
}

/** The rows that triggers and rules see; what is stored in them is the table's business. */
function rowOf(name: string): Source {
  return derivedSource(name, [], true);
}
