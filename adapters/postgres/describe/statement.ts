/** Reads one statement of any kind: hands it to whoever knows it, and refuses what nobody knows. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { Access } from "../../../src/core/operation.ts";
import type { Analysis, Reading, StatementEffect } from "../analysis.ts";
import { govern } from "../mask/govern.ts";
import { refuseKind } from "../mask/governed-statements.ts";
import type { Governed } from "../mask/govern.ts";
import type { StatementMasking } from "../mask/statement-masking.ts";
import type { Fields } from "../parser.ts";
import { classOf } from "../vocabulary.ts";
import type { Verb } from "../vocabulary.ts";
import { Collector } from "./collector.ts";
import { DefinitionReader } from "./definition.ts";
import { NO_EFFECT } from "./effect.ts";
import { checkFields } from "./expression.ts";
import type { Surroundings } from "./expression.ts";
import { ModificationReader } from "./modification.ts";
import { NOTHING_AROUND, QueryReader } from "./query.ts";
import type { Outputs } from "./query-outputs.ts";
import { References } from "./references.ts";
import type { MaskRefusal } from "./references.ts";
import { Resolver } from "./resolver.ts";
import { referByName, referToEveryColumn, relationSource } from "./scope.ts";
import type { Level } from "./scope.ts";
import { readSessionStatement } from "./session.ts";
import { bareOf, namesOf, nodesOf, NotUnderstood, optionsOf, optionText, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";
import { wordSet } from "./word-list.ts";

/** Makes the analysis of a statement that is kept under a name (PREPARE, DECLARE); its text is the whole statement's. */
export type InnerAnalysis = (
  accesses: readonly Access[],
  understood: boolean,
  inner: Node,
  effect: StatementEffect,
  governed: Governed | null,
) => Analysis;

/** What the server keeps under a name: the statement, to be read again under the reading of now, and how it was sent. */
export type PreparedStatements = (
  name: string,
) => { readonly statement: Node; readonly masking: StatementMasking | null } | undefined;

/** What one statement does. */
export type StatementDescription = {
  readonly accesses: readonly Access[];
  readonly effect: StatementEffect;
  /** The first thing that could not be resolved, as a sentence for people. */
  readonly unresolved: string | null;
  /** Null: the session is not governed. */
  readonly governed: Governed | null;
};

const MODIFICATIONS: ReadonlySet<string> = new Set(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** EXECUTE of an EXECUTE cannot be: but a bound costs nothing. */
const NESTING_MAX = 16;

export class StatementReader {
  readonly #reading: Reading;
  readonly #collector: Collector;
  readonly #references: References | null;
  readonly #resolver: Resolver;
  readonly #prepared: PreparedStatements;
  readonly #innerAnalysis: InnerAnalysis;
  /** It looked at what the session has prepared or declared, so another session's analysis may differ. */
  isSessionBound = false;
  #nesting = 0;

  constructor(reading: Reading, prepared: PreparedStatements, innerAnalysis: InnerAnalysis) {
    this.#reading = reading;
    this.#references = reading.plan ? new References(reading.plan) : null;
    this.#collector = new Collector(reading.database, this.#references);
    this.#resolver = new Resolver(reading);
    this.#prepared = prepared;
    this.#innerAnalysis = innerAnalysis;
  }

  /**
   * Reads one statement; `readVerb` is the verb of what is only read, `isAlone`: it is all of its text. Throws
   * NotUnderstood. A reader is used once.
   */
  read(statement: Node, readVerb: Verb = "select", isAlone = false): StatementDescription {
    if (this.#references && isAlone && statement.kind === "SelectStmt") this.#references.mayCompare = true;
    let effect = this.#statement(statement, readVerb);
    if (this.#collector.callsUnsafely || this.#collector.setsPath) effect = { ...effect, changesReading: true };
    const accesses = this.#collector.accesses();
    const { unresolved } = this.#collector;
    const governed = this.#references && govern(statement, this.#references, this.#collector, this.#reading);
    if (governed) accesses.push(...governed.writes);
    if (governed?.compares) accesses.push(governed.compares.access);
    return { accesses, effect, unresolved, governed };
  }

  /** Why masks refuse it, as far as it was read; null: nothing was found. */
  get refusal(): MaskRefusal | null {
    return this.#references?.refusal ?? null;
  }

  #statement(node: Node, readVerb: Verb): StatementEffect {
    if (++this.#nesting > NESTING_MAX) throw new NotUnderstood("statements stand inside each other too deep");
    const effect = this.#dispatch(node, readVerb);
    this.#nesting--;
    return effect;
  }

  #dispatch(node: Node, readVerb: Verb): StatementEffect {
    const { kind, fields } = node;
    if (this.#references) refuseKind(this.#references, node);
    if (kind === "SelectStmt") return this.#select(fields, readVerb);
    if (MODIFICATIONS.has(kind)) {
      this.#queries(readVerb).statement(node, NOTHING_AROUND);
      return NO_EFFECT;
    }
    const session = readSessionStatement(kind, fields, this.#collector);
    if (session) return session;
    switch (kind) {
      case "ExplainStmt":
        return this.#explain(fields);
      case "PrepareStmt":
        return this.#prepare(fields);
      case "ExecuteStmt":
        return this.#execute(fields, readVerb);
      case "DeclareCursorStmt":
        return this.#declare(fields);
      case "FetchStmt":
        return this.#fetch(fields);
      case "CopyStmt":
        return this.#copy(fields);
      case "CreateTableAsStmt":
        return this.#createTableAs(fields);
      case "CallStmt":
        return this.#call(fields);
      case "DoStmt":
        throw new NotUnderstood("a DO block cannot be read");
      case "TruncateStmt":
        // Whatever refers to the relations by a foreign key is emptied too.
        if (textOf(fields["behavior"]) === "DROP_CASCADE") {
          this.#collector.other(classOf("truncate"), "truncate", { relations: UNKNOWN, unfiltered: true });
        }
        return this.#onRelations("truncate", fields["relations"]);
      case "LockStmt":
        return this.#onRelations("lock", fields["relations"]);
      default: {
        const definition = this.#definitions().read(node, NOTHING_AROUND);
        if (definition) return definition;
        throw new NotUnderstood(`a ${kind} is not known`);
      }
    }
  }

  #queries(readVerb: Verb): QueryReader {
    const onlyVerb = readVerb === "explain" ? readVerb : null;
    let modifications: ModificationReader | null = null;
    const readModification = (statement: Node, around: Surroundings): Outputs => {
      modifications ??= new ModificationReader(this.#collector, this.#resolver, queries, onlyVerb);
      return modifications.statement(statement, around);
    };
    const queries = new QueryReader(this.#collector, this.#resolver, readVerb, readModification);
    return queries;
  }

  #definitions(): DefinitionReader {
    return new DefinitionReader(this.#collector, this.#resolver, this.#queries("select"));
  }

  #select(fields: Fields, readVerb: Verb): StatementEffect {
    const { into, query } = takeInto(fields);
    const isEmptyBefore = this.#collector.isEmpty;
    this.#queries(readVerb).select(query, NOTHING_AROUND);
    // What reads no relation and calls only safe functions asks for nothing: it is part of every session.
    if (isEmptyBefore && this.#collector.isEmpty) this.#collector.other("read", readVerb, {}, { ambient: true });
    return into && readVerb !== "explain" ? this.#into("create table as", into) : NO_EFFECT;
  }

  /** A table or materialized view that a query fills. */
  #into(verb: Verb, into: Fields): StatementEffect {
    const range = bareOf(into["rel"]);
    if (!range) throw new NotUnderstood("a query's target has no name");
    return this.#definitions().created(verb, range);
  }

  #createTableAs(fields: Fields): StatementEffect {
    const query = unwrap(fields["query"]);
    const into = bareOf(fields["into"]);
    if (!into) throw new NotUnderstood("a query's target has no name");
    if (query.kind === "ExecuteStmt") this.#execute(query.fields, "select");
    else this.#queries("select").statement(query, NOTHING_AROUND);
    const isView = textOf(fields["objtype"]) === "OBJECT_MATVIEW";
    return this.#into(isView ? "create materialized view" : "create table as", into);
  }

  /** EXPLAIN plans; with ANALYZE it runs. Said more than once, any ANALYZE that may be true counts. */
  #explain(fields: Fields): StatementEffect {
    const query = unwrap(fields["query"]);
    const runs = optionsOf(fields["options"]).some(({ name, argument }) => {
      return name === "analyze" && (argument === null || !FALSE_WORDS.has(optionText(argument)?.toLowerCase() ?? ""));
    });
    if (this.#references) refuseKind(this.#references, query);
    if (runs) return this.#statement(query, "select");
    if (query.kind === "CreateTableAsStmt") {
      const inner = unwrap(query.fields["query"]);
      this.#statement(inner, "explain");
    } else if (query.kind === "DeclareCursorStmt") this.#statement(unwrap(query.fields["query"]), "explain");
    else this.#statement(query, "explain");
    return NO_EFFECT;
  }

  #prepare(fields: Fields): StatementEffect {
    const query = unwrap(fields["query"]);
    const nested = this.#nested(query);
    this.#collector.include(nested.accesses);
    const analysis = this.#kept(nested, query);
    for (const type of nodesOf(fields["argtypes"])) this.#queries("select").expressions.node(type, NOTHING_AROUND);
    return { ...NO_EFFECT, prepares: { name: textOf(fields["name"]), analysis } };
  }

  /** The analysis of a statement that is kept under a name; what it may not do, this one may not either. */
  #kept({ accesses, effect, unresolved, governed }: StatementDescription, query: Node): Analysis {
    this.#collector.unresolved ??= unresolved;
    if (governed) this.#references?.include(governed);
    return this.#innerAnalysis(accesses, unresolved === null, query, effect, governed);
  }

  /** Another statement under the same reading, apart from what this one has gathered. */
  #nested(statement: Node, readVerb: Verb = "select"): StatementDescription {
    const reader = new StatementReader(this.#reading, this.#prepared, this.#innerAnalysis);
    reader.#nesting = this.#nesting;
    if (reader.#references && this.#references) reader.#references.explainOption = this.#references.explainOption;
    const nested = reader.read(statement, readVerb);
    this.isSessionBound ||= reader.isSessionBound;
    return nested;
  }

  /** The server reads a prepared statement again whenever names may mean something else by now, and so does this. */
  #execute(fields: Fields, readVerb: Verb): StatementEffect {
    this.isSessionBound = true;
    const prepared = this.#prepared(textOf(fields["name"]));
    if (!prepared) throw new NotUnderstood("what it executes was not prepared through this session");
    this.#queries("select").expressions.field(fields["params"], NOTHING_AROUND);
    if (!this.#references) return this.#statement(prepared.statement, readVerb);
    const { accesses, effect, unresolved, governed } = this.#nested(prepared.statement, readVerb);
    this.#collector.include(accesses);
    this.#collector.unresolved ??= unresolved;
    this.#references.runs(governed, prepared.masking);
    return effect;
  }

  #declare(fields: Fields): StatementEffect {
    const query = unwrap(fields["query"]);
    const nested = this.#nested(query);
    this.#collector.include(nested.accesses);
    const analysis = this.#kept(nested, query);
    const options = typeof fields["options"] === "number" ? fields["options"] : 0;
    const declaresCursor = {
      name: textOf(fields["portalname"]),
      holds: (options & CURSOR_OPTION_HOLD) !== 0,
      analysis,
    };
    // What the query does, it may do at once, with FETCH, or when the transaction ends.
    return { ...NO_EFFECT, changesReading: nested.effect.changesReading, declaresCursor };
  }

  /** FETCH and MOVE go on with the cursor's query: whoever may run that may go on. */
  #fetch(fields: Fields): StatementEffect {
    this.isSessionBound = true;
    const analysis = this.#reading.cursor(textOf(fields["portalname"]));
    if (!analysis) throw new NotUnderstood("the cursor was not opened through this session");
    this.#collector.include(analysis.accesses);
    this.#references?.continues(analysis.masking);
    if (!analysis.understood)
      this.#collector.unresolved ??= analysis.notUnderstood ?? "the cursor's query could not be read";
    return { ...NO_EFFECT, changesReading: analysis.statements.some((effect) => effect.changesReading) };
  }

  #copy(fields: Fields): StatementEffect {
    for (const field in fields)
      if (!COPY_FIELDS.has(field)) throw new NotUnderstood(`a COPY has an unknown part ${field}`);
    const isFrom = fields["is_from"] === true;
    const verb: Verb = isFrom ? "copy from" : "copy to";
    const hasFile = textOf(fields["filename"]) !== "";
    const isProgram = fields["is_program"] === true;
    if (isProgram) this.#collector.other(classOf("copy program"), "copy program");
    else if (hasFile) this.#collector.other(classOf("copy file"), "copy file");
    const range = bareOf(fields["relation"]);
    const queries = this.#queries(isFrom ? "select" : verb);
    if (range) {
      const relation = this.#resolver.relation(
        textOf(range["schemaname"]),
        textOf(range["relname"]),
        textOf(range["catalogname"]),
      );
      const use = this.#collector.relation(verb, classOf(verb), relation);
      const own = relationSource(use, textOf(range["relname"]), null, []);
      const level = { sources: [own], isExact: true, parent: null };
      const listed = namesOf(fields["attlist"]);
      for (const name of listed) referByName(level, name);
      if (listed.length === 0) referToEveryColumn(use);
      let around: Level = level;
      if (this.#references && isFrom) {
        const target = this.#references.target(relation);
        if (listed.length === 0) target?.writeAll(verb);
        else target?.write(verb, listed);
        if (target) around = { ...level, sources: [own, relationSource(target.reads, own.name, null, [])] };
      } else this.#references?.copy(range, use, listed);
      queries.expressions.condition(fields["whereClause"], { level: around, tables: null });
    } else queries.statement(unwrap(fields["query"]), NOTHING_AROUND);
    const isClients = !hasFile && !isProgram;
    if (isFrom || !isClients) return { ...NO_EFFECT, copiesIn: isFrom && isClients };
    const copyOptions = new Map(
      optionsOf(fields["options"]).map(({ name, argument }) => [name, argument && optionText(argument)]),
    );
    return { ...NO_EFFECT, copiesOut: true, copyOptions };
  }

  /** A procedure is called by name whatever it is; only its arguments are judged as expressions. */
  #call(fields: Fields): StatementEffect {
    const call = bareOf(fields["funccall"]);
    if (!call) throw new NotUnderstood("a CALL names no procedure");
    checkFields("FuncCall", call);
    this.#queries("select").expressions.field(call["args"], NOTHING_AROUND);
    const procedures = this.#resolver.procedure(namesOf(call["funcname"]));
    this.#collector.call(procedures);
    this.#references?.calls(procedures ?? []);
    return { ...NO_EFFECT, changesReading: true, callsProcedure: true };
  }

  #onRelations(verb: Verb, relations: unknown): StatementEffect {
    for (const { kind, fields } of nodesOf(relations)) {
      checkFields(kind, fields);
      const relation = this.#resolver.relation(
        textOf(fields["schemaname"]),
        textOf(fields["relname"]),
        textOf(fields["catalogname"]),
      );
      const use = this.#collector.relation(verb, classOf(verb), relation);
      if (verb === "truncate") use.unfiltered = true;
    }
    return NO_EFFECT;
  }
}

const FALSE_WORDS: ReadonlySet<string> = new Set(["false", "off", "0"]);
const CURSOR_OPTION_HOLD = 0x0020;
const COPY_FIELDS = wordSet("relation query attlist is_from is_program filename options whereClause");

/** SELECT INTO is CREATE TABLE AS; in a set operation INTO stands in the leftmost query. */
function takeInto(fields: Fields): { into: Fields | null; query: Fields } {
  const { intoClause, ...rest } = fields;
  if (intoClause !== undefined) return { into: bareOf(intoClause), query: rest };
  const larg = bareOf(fields["larg"]);
  if (!larg) return { into: null, query: fields };
  const inner = takeInto(larg);
  return inner.into ? { into: inner.into, query: { ...fields, larg: inner.query } } : { into: null, query: fields };
}
