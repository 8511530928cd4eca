/** Reads INSERT, UPDATE, DELETE and MERGE: what they write, and what they read on the way. */
import type { Fields } from "../parser.ts";
import type { Verb } from "../vocabulary.ts";
import { classOf } from "../vocabulary.ts";
import type { Collector, RelationUse } from "./collector.ts";
import { checkFields } from "./expression.ts";
import type { Surroundings } from "./expression.ts";
import type { QueryReader } from "./query.ts";
import type { Outputs } from "./query-outputs.ts";
import type { Resolver } from "./resolver.ts";
import { referByName, referToEveryColumn, relationSource } from "./scope.ts";
import type { BaseColumn, Level, Source } from "./scope.ts";
import { bareOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";
import { isAlwaysTrue } from "./condition.ts";

type Target = { readonly uses: readonly RelationUse[]; readonly source: Source };

export class ModificationReader {
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  readonly #queries: QueryReader;
  /** EXPLAIN does not run the statement: all of it is then one verb that reads. */
  readonly #onlyVerb: Verb | null;

  constructor(collector: Collector, resolver: Resolver, queries: QueryReader, onlyVerb: Verb | null) {
    this.#collector = collector;
    this.#resolver = resolver;
    this.#queries = queries;
    this.#onlyVerb = onlyVerb;
  }

  statement({ kind, fields }: Node, around: Surroundings): Outputs {
    checkFields(kind, fields);
    const tables = this.#queries.withClause(fields["withClause"], around);
    const inside: Surroundings = { level: around.level, tables };
    switch (kind) {
      case "InsertStmt":
        return this.#insert(fields, inside);
      case "UpdateStmt":
        return this.#update(fields, inside);
      case "DeleteStmt":
        return this.#delete(fields, inside);
      case "MergeStmt":
        return this.#merge(fields, inside);
      default:
        throw new NotUnderstood(`a ${kind} cannot stand inside another statement`);
    }
  }

  /** The relation that is written, under each verb; a named query of a WITH clause is never meant. */
  #target(range: Fields | null, verbs: readonly Verb[]): Target {
    if (!range) throw new NotUnderstood("a modification has no target");
    checkFields("RangeVar", range);
    const relation = this.#resolver.relation(
      textOf(range["schemaname"]),
      textOf(range["relname"]),
      textOf(range["catalogname"]),
    );
    const named = this.#onlyVerb === null ? verbs : [this.#onlyVerb];
    const uses = named.map((verb) => this.#collector.relation(verb, classOf(verb), relation));
    const alias = bareOf(range["alias"]);
    const schema = alias ? null : relation.schema;
    const name = alias ? textOf(alias["aliasname"]) : textOf(range["relname"]);
    // A column of the target counts under each verb.
    const sources = uses.map((use) => relationSource(use, name, schema, []));
    return { uses, source: merged(sources) };
  }

  #insert(fields: Fields, around: Surroundings): Outputs {
    const conflict = bareOf(fields["onConflictClause"]);
    const updates = conflict !== null && textOf(conflict["action"]) === "ONCONFLICT_UPDATE";
    const target = this.#target(bareOf(fields["relation"]), ["insert"]);
    const listed = nodesOf(fields["cols"]);
    this.#assign(listed, target, around);
    if (fields["selectStmt"] !== undefined) {
      if (listed.length === 0) for (const use of target.uses) referToEveryColumn(use);
      this.#queries.statement(unwrap(fields["selectStmt"]), around);
    }
    if (conflict) {
      const written = updates ? this.#target(bareOf(fields["relation"]), ["insert", "update"]) : target;
      this.#conflict(conflict, written, around);
    }
    return this.#returning(fields, target.source, [], around);
  }

  #conflict(fields: Fields, target: Target, around: Surroundings): void {
    checkFields("OnConflictClause", fields);
    const excluded: Source = { ...target.source, name: "excluded", schema: null, onlyQualified: true };
    const level: Level = { sources: [target.source], isExact: true, parent: around.level };
    const infer = bareOf(fields["infer"]);
    if (infer) {
      checkFields("InferClause", infer);
      const inside: Surroundings = { level, tables: around.tables };
      for (const { kind, fields: element } of nodesOf(infer["indexElems"])) {
        checkFields(kind, element);
        const name = textOf(element["name"]);
        if (name !== "") referByName(level, name);
        this.#queries.expressions.field(element["expr"], inside);
      }
      this.#queries.expressions.field(infer["whereClause"], inside);
      // A constraint's columns are not known here; any of the target's may be among them.
      if (textOf(infer["conname"]) !== "") for (const use of target.uses) referToEveryColumn(use);
    }
    const inside: Surroundings = { level: { ...level, sources: [target.source, excluded] }, tables: around.tables };
    const assignments = nodesOf(fields["targetList"]);
    this.#assign(assignments, target, inside);
    this.#queries.expressions.field(fields["whereClause"], inside);
    for (const use of target.uses) if (use.verb === "update") use.unfiltered ??= false;
  }

  #update(fields: Fields, around: Surroundings): Outputs {
    const target = this.#target(bareOf(fields["relation"]), ["update"]);
    const level = this.#levelWith(target.source, fields["fromClause"], around);
    const inside: Surroundings = { level, tables: around.tables };
    this.#assign(nodesOf(fields["targetList"]), target, inside);
    this.#queries.expressions.field(fields["whereClause"], inside);
    this.#markUnfiltered(target, isAlwaysTrue(fields["whereClause"]));
    return this.#returning(fields, target.source, level.sources.slice(1), around);
  }

  #delete(fields: Fields, around: Surroundings): Outputs {
    const target = this.#target(bareOf(fields["relation"]), ["delete"]);
    const level = this.#levelWith(target.source, fields["usingClause"], around);
    this.#queries.expressions.field(fields["whereClause"], { level, tables: around.tables });
    this.#markUnfiltered(target, isAlwaysTrue(fields["whereClause"]));
    return this.#returning(fields, target.source, level.sources.slice(1), around);
  }

  #merge(fields: Fields, around: Surroundings): Outputs {
    const clauses = nodesOf(fields["mergeWhenClauses"]);
    const verbs: Verb[] = ["merge"];
    for (const { kind, fields: clause } of clauses) {
      checkFields(kind, clause);
      const verb = MERGE_VERBS.get(textOf(clause["commandType"]));
      if (verb === undefined) throw new NotUnderstood("a MERGE has an unknown action");
      if (verb !== null && !verbs.includes(verb)) verbs.push(verb);
    }
    const target = this.#target(bareOf(fields["relation"]), verbs);
    const level = this.#levelWith(target.source, [fields["sourceRelation"]], around);
    const inside: Surroundings = { level, tables: around.tables };
    this.#queries.expressions.field(fields["joinCondition"], inside);
    for (const { fields: clause } of clauses) {
      this.#queries.expressions.field(clause["condition"], inside);
      const assignments = nodesOf(clause["targetList"]);
      this.#assign(assignments, target, inside);
      this.#queries.expressions.field(clause["values"], inside);
      const command = textOf(clause["commandType"]);
      if (command === "CMD_INSERT" && assignments.length === 0) for (const use of target.uses) referToEveryColumn(use);
      if (command !== "CMD_UPDATE" && command !== "CMD_DELETE") continue;
      const joinsAll = textOf(clause["matchKind"]).endsWith("BY_SOURCE") || isAlwaysTrue(fields["joinCondition"]);
      this.#markUnfiltered(target, joinsAll && isAlwaysTrue(clause["condition"]));
    }
    return this.#returning(fields, target.source, level.sources.slice(1), around);
  }

  /** The target is in sight with what FROM adds; the items of FROM do not see it. */
  #levelWith(target: Source, list: unknown, around: Surroundings): Level {
    const level = this.#queries.from(list, around);
    return { ...level, sources: [target, ...level.sources] };
  }

  #assign(assignments: readonly Node[], target: Target, inside: Surroundings): void {
    const own: Level = { sources: [target.source], isExact: true, parent: null };
    for (const assignment of assignments) {
      if (assignment.kind !== "ResTarget") throw new NotUnderstood(`an assignment is a ${assignment.kind}`);
      referByName(own, textOf(assignment.fields["name"]));
      checkFields("ResTarget", assignment.fields);
      for (const step of nodesOf(assignment.fields["indirection"])) {
        if (step.kind !== "String") this.#queries.expressions.node(step, inside);
      }
      this.#queries.expressions.field(assignment.fields["val"], inside);
    }
  }

  /** RETURNING, which a list says up to 17 and a clause with names for the old and new rows from 18. */
  #returning(fields: Fields, target: Source, others: readonly Source[], around: Surroundings): Outputs {
    const clause = bareOf(fields["returningClause"]);
    const sources = [target, ...others];
    let list = fields["returningList"];
    if (clause) {
      checkFields("ReturningClause", clause);
      list = clause["exprs"];
      let old = "old";
      let fresh = "new";
      for (const { kind, fields: option } of nodesOf(clause["options"])) {
        checkFields(kind, option);
        if (textOf(option["option"]).endsWith("OLD")) old = textOf(option["value"]);
        else fresh = textOf(option["value"]);
      }
      for (const name of [old, fresh]) sources.push({ ...target, name, schema: null, onlyQualified: true });
    }
    const level: Level = { sources, isExact: true, parent: around.level };
    return this.#queries.targets(list, { level, tables: around.tables });
  }

  #markUnfiltered(target: Target, isUnfiltered: boolean): void {
    for (const use of target.uses) {
      if (use.verb === "update" || use.verb === "delete" || use.verb === "merge") {
        use.unfiltered = use.unfiltered === true || isUnfiltered;
      }
    }
  }
}

const MERGE_VERBS: ReadonlyMap<string, Verb | null> = new Map<string, Verb | null>([
  ["CMD_INSERT", "insert"],
  ["CMD_UPDATE", "update"],
  ["CMD_DELETE", "delete"],
  ["CMD_NOTHING", null],
]);

/** One source for the same relation under several verbs. */
function merged(sources: readonly Source[]): Source {
  const [first] = sources;
  if (!first) throw new NotUnderstood("a modification has no verb");
  if (sources.length === 1) return first;
  const columns = new Map<string, readonly BaseColumn[]>();
  for (const source of sources) {
    for (const name of source.columns.keys()) {
      columns.set(name, [...(columns.get(name) ?? []), ...(source.columns.get(name) ?? [])]);
    }
  }
  return { ...first, columns, uses: sources.flatMap((source) => source.uses) };
}
