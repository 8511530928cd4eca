/** Reads statements that define or administer: which object of which kind, the relations concerned, and what they evaluate. */
import type { StatementEffect } from "../analysis.ts";
import { isFields } from "../parser.ts";
import type { Fields } from "../parser.ts";
import type { Verb } from "../vocabulary.ts";
import type { Collector } from "./collector.ts";
import { DefinedNames } from "./defined-names.ts";
import {
  changesMany,
  fixedVerb,
  keepsCatalog,
  namedVerb,
  reachesUnnamed,
  refersToColumns,
  relationVerb,
} from "./definition-verb.ts";
import { Evaluation } from "./evaluation.ts";
import type { Surroundings } from "./expression.ts";
import { isRelationKind, isTablePart, objectKind } from "./object-kind.ts";
import type { ObjectKind } from "./object-kind.ts";
import type { QueryReader } from "./query.ts";
import type { Resolver } from "./resolver.ts";
import { derivedSource, referToEveryColumn } from "./scope.ts";
import type { Source } from "./scope.ts";
import { bareOf, itemsOf, namesOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Reads one statement; a reader is used once. */
export class DefinitionReader {
  readonly #queries: QueryReader;
  readonly #names: DefinedNames;
  readonly #evaluation: Evaluation;

  constructor(collector: Collector, resolver: Resolver, queries: QueryReader) {
    this.#queries = queries;
    this.#names = new DefinedNames(collector, resolver);
    this.#evaluation = new Evaluation(collector, resolver, queries, this.#names);
  }

  /** Null when the statement is none of these. */
  read({ kind, fields }: Node, around: Surroundings): StatementEffect | null {
    if (!this.#dispatch(kind, fields, around)) return null;
    const effect = this.#names.effect();
    if (kind === "AlterRoleSetStmt") return { ...effect, changesReading: true };
    return keepsCatalog(kind) ? { ...effect, changesCatalog: false } : effect;
  }

  /** The table or view that a query fills. */
  created(verb: Verb, range: Fields): StatementEffect {
    this.#names.created(verb, range);
    return this.#names.effect();
  }

  #dispatch(kind: string, fields: Fields, around: Surroundings): boolean {
    const fixed = fixedVerb(kind);
    if (fixed !== undefined) {
      if (reachesUnnamed(kind)) this.#names.unnamed(fixed);
      else this.#names.object(fixed);
      if (changesMany(kind)) this.#names.redefineAll();
      return true;
    }
    const named = namedVerb(kind);
    if (named) {
      this.#names.object(named.verb);
      this.#names.redefine(namesOf(fields[named.name]));
      if (named.verb.startsWith("create ")) this.#names.redefineTemporary(namesOf(fields[named.name]));
      this.#evaluation.fields(fields, around);
      return true;
    }
    const relation = relationVerb(kind);
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
        this.#names.created("create sequence", bareOf(fields["sequence"]));
        return true;
      case "CompositeTypeStmt":
        this.#names.createdType(bareOf(fields["typevar"]));
        return true;
      case "ViewStmt":
        this.#names.created("create view", bareOf(fields["view"]));
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
        this.#alterObject("renameType", fields, true);
        this.#names.redefine([textOf(fields["newname"])]);
        return true;
      case "AlterObjectSchemaStmt":
      case "AlterOwnerStmt":
      case "AlterObjectDependsStmt":
        this.#alterObject("objectType", fields, kind === "AlterObjectSchemaStmt");
        return true;
      case "AlterFunctionStmt":
        this.#alterNamed(textOf(fields["objtype"]) || "OBJECT_FUNCTION", fields["func"]);
        return true;
      case "AlterOperatorStmt":
        this.#alterNamed("OBJECT_OPERATOR", fields["opername"]);
        return true;
      case "CreateFunctionStmt":
        this.#names.object(fields["is_procedure"] === true ? "create procedure" : "create function");
        this.#names.redefine(namesOf(fields["funcname"]));
        for (const parameter of nodesOf(fields["parameters"])) {
          this.#queries.expressions.field(parameter.fields["defexpr"], openSurroundings(around));
        }
        return true;
      case "DefineStmt":
        this.#names.object(verbOf("create", objectOf(textOf(fields["kind"]))));
        this.#names.redefine(namesOf(fields["defnames"]));
        return true;
      case "CreateStatsStmt":
        for (const { fields: range } of nodesOf(fields["relations"])) {
          const source = this.#names.existing("create statistics", range, true);
          this.#evaluation.fields(fields["exprs"], withSources(around, [source]));
        }
        return true;
      case "CreatePublicationStmt":
      case "AlterPublicationStmt":
        this.#publication(
          kind === "CreatePublicationStmt" ? "create publication" : "alter publication",
          fields,
          around,
        );
        return true;
      case "CreateSchemaStmt":
        // Names inside would be looked for in a schema that is not there yet.
        if (fields["schemaElts"] !== undefined) throw new NotUnderstood("CREATE SCHEMA holds other statements");
        this.#names.object("create schema");
        this.#names.redefineAll();
        return true;
      case "GrantRoleStmt":
        this.#names.object(fields["is_grant"] === true ? "grant" : "revoke");
        return true;
      case "GrantStmt":
        this.#grant(fields);
        return true;
      case "AlterDefaultPrivilegesStmt":
        this.#names.object("alter default privileges");
        return true;
      case "VacuumStmt":
        this.#vacuum(fields);
        return true;
      default:
        return false;
    }
  }

  #onRelation(kind: string, verb: Verb, field: string, fields: Fields, around: Surroundings): void {
    const range = bareOf(fields[field]);
    // CLUSTER and REINDEX without a table are about all of them.
    if (!range) return this.#names.unnamed(verb);
    const source = this.#names.existing(verb, range, refersToColumns(kind));
    // A rule may turn a table into a view.
    if (kind === "RuleStmt") this.#names.redefine([textOf(range["relname"])]);
    if (kind === "IndexStmt") this.#names.redefine([textOf(fields["idxname"])]);
    const sources = kind === "RuleStmt" || kind === "CreateTrigStmt" ? [source, rowOf("old"), rowOf("new")] : [source];
    const inside = withSources(around, sources);
    if (kind === "RuleStmt") {
      this.#evaluation.fields(fields["whereClause"], inside);
      for (const action of nodesOf(fields["actions"])) this.#ruleAction(action, inside);
      return;
    }
    this.#evaluation.fields(fields, inside);
  }

  #ruleAction(action: Node, inside: Surroundings): void {
    if (action.kind === "NotifyStmt") this.#names.object("notify");
    else this.#queries.statement(action, inside);
  }

  #createTable(verb: Verb, fields: Fields, around: Surroundings): void {
    this.#names.created(verb, bareOf(fields["relation"]));
    // A new child of an existing table shows its rows there.
    for (const parent of nodesOf(fields["inhRelations"])) this.#names.existing("alter table", parent.fields);
    this.#evaluation.fields(fields, openSurroundings(around));
  }

  #alterTable(fields: Fields, around: Surroundings): void {
    const kind = objectOf(textOf(fields["objtype"]));
    const range = bareOf(fields["relation"]);
    if (!range) throw new NotUnderstood("an ALTER names no relation");
    if (kind === "type") {
      this.#names.object("alter type");
      this.#names.redefine([textOf(range["relname"])]);
      return;
    }
    const source = this.#names.changed(verbOf("alter", kind), range, true);
    this.#evaluation.fields(fields, withSources(around, [source]));
  }

  /** What it names is handed to whoever subscribes. */
  #publication(verb: Verb, fields: Fields, around: Surroundings): void {
    const objects = nodesOf(fields["pubobjects"]).map((object) => bareOf(object.fields["pubtable"]));
    if (fields["for_all_tables"] === true || objects.includes(null)) this.#names.unnamed(verb);
    else if (objects.length === 0) this.#names.object(verb);
    for (const object of objects) {
      const range = bareOf(object?.["relation"]);
      if (!object || !range) continue;
      const source = this.#names.existing(verb, range, true);
      if (object["columns"] === undefined) for (const use of source.uses) referToEveryColumn(use);
      this.#evaluation.fields(object, withSources(around, [source]));
    }
  }

  #drop(fields: Fields): void {
    const kind = objectOf(textOf(fields["removeType"]));
    const verb = verbOf("drop", kind);
    // What depends on the objects goes with them.
    if (textOf(fields["behavior"]) === "DROP_CASCADE") this.#names.unnamed(verb);
    for (const object of nodesOf(fields["objects"])) {
      const name = objectName(object);
      if (isRelationKind(kind)) this.#names.changed(verb, rangeOf(name));
      else if (isTablePart(kind)) this.#names.existing(verb, rangeOf(name.slice(0, -1)));
      else {
        this.#names.object(verb);
        this.#names.redefine(name);
      }
      if (kind === "schema" || kind === "extension") this.#names.redefineAll();
    }
  }

  /** COMMENT and SECURITY LABEL. */
  #label(verb: Verb, fields: Fields): void {
    const objectType = textOf(fields["objtype"]);
    const kind = objectOf(objectType);
    const name = objectName(unwrap(fields["object"]));
    const isPart = objectType === "OBJECT_COLUMN" || objectType === "OBJECT_TABCONSTRAINT" || isTablePart(kind);
    if (isPart) this.#names.existing(verb, rangeOf(name.slice(0, -1)));
    else if (isRelationKind(kind)) this.#names.existing(verb, rangeOf(name));
    else this.#names.object(verb);
  }

  /** RENAME, SET SCHEMA, OWNER TO, DEPENDS ON EXTENSION; the first two change what names mean. */
  #alterObject(typeField: string, fields: Fields, isRenaming: boolean): void {
    const objectType = textOf(fields[typeField]);
    const range = bareOf(fields["relation"]);
    if (range) {
      const relationType = textOf(fields["relationType"]);
      const isPart = objectType === "OBJECT_COLUMN" || objectType === "OBJECT_ATTRIBUTE";
      const kind = objectOf(isPart && relationType !== "" ? relationType : objectType);
      if (kind === "type") this.#names.object("alter type");
      else {
        const verb = verbOf("alter", kind);
        const isColumn = objectType === "OBJECT_COLUMN";
        const source = isRenaming
          ? this.#names.changed(verb, range, isColumn)
          : this.#names.existing(verb, range, isColumn);
        const column = source.columns.get(textOf(fields["subname"]));
        for (const base of column ?? []) base.use.columns.add(base.column);
      }
      return;
    }
    this.#alterNamed(objectType, fields["object"]);
  }

  #alterNamed(objectType: string, object: unknown): void {
    const kind = objectOf(objectType);
    this.#names.object(verbOf("alter", kind));
    if (kind === "schema" || kind === "extension") this.#names.redefineAll();
    else if (isFields(object))
      this.#names.redefine("objname" in object ? namesOf(object["objname"]) : objectName(unwrap(object)));
  }

  #grant(fields: Fields): void {
    const verb = fields["is_grant"] === true ? "grant" : "revoke";
    const objectType = textOf(fields["objtype"]);
    const isOnRelations = objectType === "OBJECT_TABLE" || objectType === "OBJECT_SEQUENCE";
    if (!isOnRelations) return this.#names.object(verb);
    if (textOf(fields["targtype"]) !== "ACL_TARGET_OBJECT") return this.#names.unnamed(verb);
    for (const object of nodesOf(fields["objects"])) this.#names.existing(verb, object.fields);
  }

  #vacuum(fields: Fields): void {
    const verb = fields["is_vacuumcmd"] === true ? "vacuum" : "analyze";
    const relations = nodesOf(fields["rels"]);
    if (relations.length === 0) this.#names.unnamed(verb);
    for (const { fields: item } of relations) {
      const range = bareOf(item["relation"]);
      if (!range) throw new NotUnderstood("a relation is missing");
      const columns = namesOf(item["va_cols"]);
      const source = this.#names.existing(verb, range, columns.length > 0);
      for (const column of columns) {
        for (const base of source.columns.get(column) ?? []) base.use.columns.add(base.column);
      }
    }
  }
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
      return itemsOf(object).flatMap((item) =>
        item.kind === "String" ? [textOf(item.fields["sval"])] : objectName(item),
      );
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
  return { schemaname: name.at(-2) ?? "", relname: name.at(-1) ?? "" };
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
