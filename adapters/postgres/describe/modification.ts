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
import { ReturnedTarget } from "./returned-target.ts";
import { referByName, referToEveryColumn, relationSource } from "./scope.ts";
import type { BaseColumn, Level, Source } from "./scope.ts";
import type { TargetReference } from "./target-reference.ts";
import { bareOf, nodesOf, NotUnderstood, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";
import { isAlwaysTrue, isCursorPosition, namesColumn } from "./condition.ts";

type Target = {
  readonly uses: readonly RelationUse[];
  /** What assignments name, and RETURNING shows. */
  readonly source: Source;
  /** The same for whatever reads it: of a masked relation, that is told apart. */
  readonly read: Source;
  /** Null: nothing of it is masked. */
  readonly reference: TargetReference | null;
};

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
  #target(range: Fields | null, verbs: readonly Verb[], before: Target | null = null): Target {
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
    const source = merged(sources);
    const reference = before ? before.reference : (this.#collector.references?.target(relation) ?? null);
    if (!reference) return { uses, source, read: source, reference };
    return { uses, source, read: merged([...sources, relationSource(reference.reads, name, schema, [])]), reference };
  }

  #insert(fields: Fields, around: Surroundings): Outputs {
    const conflict = bareOf(fields["onConflictClause"]);
    const updates = conflict !== null && textOf(conflict["action"]) === "ONCONFLICT_UPDATE";
    const target = this.#target(bareOf(fields["relation"]), ["insert"]);
    const listed = nodesOf(fields["cols"]);
    this.#assign("insert", listed, target, around);
    if (fields["selectStmt"] !== undefined) {
      if (listed.length === 0) this.#insertEveryColumn(target);
      this.#queries.statement(unwrap(fields["selectStmt"]), around);
    }
    if (conflict) {
      const written = updates ? this.#target(bareOf(fields["relation"]), ["insert", "update"], target) : target;
      this.#conflict(conflict, written, around);
    }
    return this.#returning(fields, target, [], around);
  }

  #conflict(fields: Fields, target: Target, around: Surroundings): void {
    checkFields("OnConflictClause", fields);
    const excluded: Source = { ...target.read, name: "excluded", schema: null, onlyQualified: true };
    const level: Level = { sources: [target.read], isExact: true, parent: around.level };
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
      if (textOf(infer["conname"]) !== "") {
        for (const use of target.uses) referToEveryColumn(use);
        if (target.reference) referToEveryColumn(target.reference.reads);
      }
    }
    const inside: Surroundings = { level: { ...level, sources: [target.read, excluded] }, tables: around.tables };
    const assignments = nodesOf(fields["targetList"]);
    this.#assign("update", assignments, target, inside);
    this.#queries.expressions.condition(fields["whereClause"], inside);
    for (const use of target.uses) if (use.verb === "update") use.unfiltered ??= false;
  }

  #update(fields: Fields, around: Surroundings): Outputs {
    const target = this.#target(bareOf(fields["relation"]), ["update"]);
    const level = this.#levelWith(target.read, fields["fromClause"], around);
    const inside: Surroundings = { level, tables: around.tables };
    this.#assign("update", nodesOf(fields["targetList"]), target, inside);
    this.#markUnfiltered(target, this.#keepsAll(fields["whereClause"], target, inside));
    return this.#returning(fields, target, level.sources.slice(1), around);
  }

  #delete(fields: Fields, around: Surroundings): Outputs {
    const target = this.#target(bareOf(fields["relation"]), ["delete"]);
    const level = this.#levelWith(target.read, fields["usingClause"], around);
    const inside: Surroundings = { level, tables: around.tables };
    this.#markUnfiltered(target, this.#keepsAll(fields["whereClause"], target, inside));
    return this.#returning(fields, target, level.sources.slice(1), around);
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
    const level = this.#levelWith(target.read, [fields["sourceRelation"]], around);
    const inside: Surroundings = { level, tables: around.tables };
    const joinsEvery = this.#keepsAll(fields["joinCondition"], target, inside);
    for (const { fields: clause } of clauses) {
      const keepsAll = this.#keepsAll(clause["condition"], target, inside);
      const assignments = nodesOf(clause["targetList"]);
      const command = textOf(clause["commandType"]);
      this.#assign(command === "CMD_INSERT" ? "insert" : "update", assignments, target, inside);
      this.#queries.expressions.field(clause["values"], inside);
      if (command === "CMD_INSERT" && assignments.length === 0) this.#insertEveryColumn(target);
      if (command !== "CMD_UPDATE" && command !== "CMD_DELETE") continue;
      const joinsAll = textOf(clause["matchKind"]).endsWith("BY_SOURCE") || joinsEvery;
      this.#markUnfiltered(target, joinsAll && keepsAll);
    }
    return this.#returning(fields, target, level.sources.slice(1), around);
  }

  /** The target is in sight with what FROM adds; the items of FROM do not see it. */
  #levelWith(target: Source, list: unknown, around: Surroundings): Level {
    const level = this.#queries.from(list, around);
    return { ...level, sources: [target, ...level.sources] };
  }

  /** INSERT without a list of columns. */
  #insertEveryColumn({ uses, reference }: Target): void {
    for (const use of uses) referToEveryColumn(use);
    if (this.#onlyVerb === null) reference?.writeAll("insert");
  }

  #assign(verb: Verb, assignments: readonly Node[], target: Target, inside: Surroundings): void {
    const own: Level = { sources: [target.source], isExact: true, parent: null };
    for (const assignment of assignments) {
      if (assignment.kind !== "ResTarget") throw new NotUnderstood(`an assignment is a ${assignment.kind}`);
      const column = textOf(assignment.fields["name"]);
      referByName(own, column);
      if (target.reference && this.#onlyVerb === null) target.reference.write(verb, [column]);
      if (verb === "update" && this.#onlyVerb === null)
        for (const { relation } of target.uses) this.#collector.references?.changes(relation, column);
      checkFields("ResTarget", assignment.fields);
      this.#queries.expressions.field(assignment.fields["indirection"], inside);
      this.#queries.expressions.field(assignment.fields["val"], inside);
    }
  }

  /** RETURNING, which a list says up to 17 and a clause with names for the old and new rows from 18. */
  #returning(fields: Fields, target: Target, others: readonly Source[], around: Surroundings): Outputs {
    const clause = bareOf(fields["returningClause"]);
    const versions: string[] = [];
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
      versions.push(old, fresh);
    }
    const surroundingsWith = (source: Source): Surroundings => {
      const sources = [source, ...others];
      for (const name of versions) sources.push({ ...source, name, schema: null, onlyQualified: true });
      return { level: { sources, isExact: true, parent: around.level }, tables: around.tables };
    };
    const { references } = this.#collector;
    if (!references || !target.reference) return this.#queries.targets(list, surroundingsWith(target.source));
    const shown = new ReturnedTarget(references, target.reference, target.source, others, versions, fields);
    const outside = surroundingsWith(target.source);
    const inside = surroundingsWith(target.read);
    return this.#queries.targets(list, inside, (item) => (shown.replace(item) ? outside : inside));
  }

  /** Reads a condition. True: it leaves no row of the target out by looking at it. `inside` has the target as its first source. */
  #keepsAll(condition: unknown, target: Target, inside: Surroundings): boolean {
    const { expressions } = this.#queries;
    const [first] = target.uses;
    if (!first || first.relation.columns === null) {
      expressions.condition(condition, inside);
      return isAlwaysTrue(condition, (part) => namesColumn({ [part.kind]: part.fields }));
    }
    // What is found to be named of this use is a column of the row that may be changed.
    const row: RelationUse = { ...first, columns: new Set(), columnsUnknown: false };
    const { name, schema } = target.read;
    const sources = [merged([target.read, relationSource(row, name, schema, [])]), ...inside.level.sources.slice(1)];
    const watched: Surroundings = { level: { ...inside.level, sources }, tables: inside.tables };
    return isAlwaysTrue(condition, (part) => {
      row.columns.clear();
      row.columnsUnknown = false;
      expressions.condition({ [part.kind]: part.fields }, watched);
      return row.columns.size > 0 || row.columnsUnknown || isCursorPosition(part);
    });
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
