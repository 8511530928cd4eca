/** Random queries over the masking corpus' schema: joins, subqueries, CTEs, set operations, grouping, windows, rows and functions in FROM. */
import { Expressions, type Scope, type Source } from "./masking-expressions.ts";
import type { Random } from "./masking-random.ts";
import {
  COMMON_VALUES,
  type Column,
  type Kind,
  MASKED_RELATIONS,
  OPEN_RELATIONS,
  type Relation,
} from "./masking-schema.ts";

const KINDS: readonly Kind[] = ["text", "text", "text", "int", "int", "numeric", "jsonb", "time", "bool", "texts"];
/** What can be compared and sorted in every query. */
const SORTABLE: readonly Kind[] = ["text", "text", "int", "numeric"];

/** A source with the text that puts it into a FROM clause. */
type Placed = { readonly text: string; readonly source: Source };

export class Queries {
  readonly expressions: Expressions;
  readonly #random: Random;
  /** CTEs that the query being made can name. */
  #ctes: Source[] = [];
  #aliases = 0;
  /** Some masked relation stands in what was made since start(). */
  isTouching = false;
  readonly #compares: boolean;
  /** A masked column was compared with a parameter since then. */
  hasCompared = false;

  /** `compares`: statements compare columns of COMPARED_COLUMNS with parameters. */
  constructor(random: Random, compares = false) {
    this.#random = random;
    this.#compares = compares;
    this.expressions = new Expressions(random, {
      scalar: (kind, scope, depth) => this.#within(scope, depth, [kind], true),
      column: (kind, scope, depth) => this.#within(scope, depth, [kind], false),
    });
  }

  /** Begins a statement. `parameters`: whether it may take some. */
  start(parameters: boolean): void {
    this.isTouching = false;
    this.hasCompared = false;
    this.#aliases = 0;
    this.#ctes = [];
    this.expressions.parameters = parameters ? [] : null;
  }

  /** A whole query. */
  query(depth = 3): string {
    return this.#random.weighted<string>([
      [12, () => this.#select(depth)],
      [3, () => this.#grouped(depth)],
      [2, () => this.#windowed(depth)],
      [1.5, () => this.#distinctOn(depth)],
      [3, () => this.#setOperation(depth)],
      [4, () => this.#withCtes(depth)],
      [1, () => this.#recursive(depth)],
      [1, () => this.#table()],
      [0.5, () => `VALUES (${this.expressions.of("text", [], depth)}, 1), ('b', 2)`],
      [1, () => this.#grouping(depth)],
      [1, () => this.#starJoin(depth)],
    ]);
  }

  /** A query whose columns have these kinds; they are called c1, c2, ... */
  queryOf(kinds: readonly Kind[], depth: number, outer: Scope = []): string {
    const { from, scope } = this.#from(depth - 1, outer);
    const items = kinds.map((kind, index) => `${this.expressions.of(kind, scope, depth)} AS c${index + 1}`);
    return `SELECT ${items.join(", ")} FROM ${from}${this.#where(scope, depth)}`;
  }

  /** A relation, more often one that is masked. */
  relation(): Relation {
    const isMasked = this.#random.chance(0.8);
    if (isMasked) this.isTouching = true;
    return this.#random.pick(isMasked ? MASKED_RELATIONS : OPEN_RELATIONS);
  }

  relationName({ name }: Relation): string {
    const { expressions } = this;
    return this.#random.weighted<string>([
      [8, () => `app.${expressions.spell(name)}`],
      [3, () => expressions.spell(name)],
      [1, () => `${expressions.spell("app")}.${expressions.spell(name)}`],
    ]);
  }

  alias(): string {
    return this.#random.chance(0.1) ? `"t ${++this.#aliases}"` : `t${++this.#aliases}`;
  }

  #table(): string {
    const relation = this.relation();
    return relation.hasTime ? "TABLE app.events" : `TABLE ${this.relationName(relation)}`;
  }

  #within(outer: Scope, depth: number, kinds: readonly Kind[], isScalar: boolean): string {
    const query = this.queryOf(kinds, Math.max(0, depth - 1), outer);
    if (!isScalar) return this.#random.chance(0.3) ? `${query} LIMIT 3` : query;
    return `${query} ORDER BY 1 LIMIT 1`;
  }

  #select(depth: number): string {
    const { from, scope, lockable } = this.#from(depth);
    const distinct = this.#random.chance(0.12);
    const items = distinct
      ? this.#random.many(1, 2, () => this.expressions.of(this.#random.pick(SORTABLE), scope, depth - 1))
      : this.#random.many(1, 4, () => this.#item(scope, depth));
    const tail = `${this.#where(scope, depth)}${distinct ? "" : this.#order(scope, depth)}${this.#limit()}`;
    const lock =
      lockable && !distinct && this.#random.chance(0.15)
        ? this.#random.pick([" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE"])
        : "";
    return `SELECT ${distinct ? "DISTINCT " : ""}${items.join(", ")} FROM ${from}${tail}${lock}`;
  }

  #item(scope: Scope, depth: number): string {
    const random = this.#random;
    const rows = scope.filter(({ isRow }) => isRow);
    return random.weighted<string>([
      [10, () => this.expressions.of(random.pick(KINDS), scope, depth)],
      [3, () => `${this.expressions.of(random.pick(KINDS), scope, depth)} AS ${this.expressions.spell("email")}`],
      [rows.length === scope.length ? 2 : 0, () => "*"],
      [rows.length > 0 ? 2 : 0, () => `${this.#reach(random.pick(rows))}.*`],
      [rows.length > 0 ? 1 : 0, () => random.pick(rows).alias],
    ]);
  }

  #reach({ alias, schema }: Source): string {
    return schema === null ? alias : `${schema}.${alias}`;
  }

  #where(scope: Scope, depth: number): string {
    const has = this.#random.chance(0.55);
    const condition = has ? this.expressions.condition(scope, Math.max(0, depth - 1)) : "";
    const comparison = this.#compares ? this.#comparison(scope) : null;
    if (comparison === null) return has ? ` WHERE ${condition}` : "";
    const parts = has
      ? this.#random.pick([`(${condition}) AND ${comparison}`, `${comparison} AND (${condition})`])
      : comparison;
    const isOdd = has && this.#random.chance(0.05);
    return ` WHERE ${isOdd ? `${comparison} OR ${condition}` : parts}`;
  }

  /** `column = $n`, mostly as it may be, with a value that is the same on both sides. */
  #comparison(scope: Scope): string | null {
    const { parameters } = this.expressions;
    if (parameters === null || parameters.length >= 5 || (this.hasCompared && this.#random.chance(0.9))) return null;
    const columns = scope.flatMap((source) =>
      source.columns.filter(({ isCompared }) => isCompared === true).map(({ name }) => ({ source, name })),
    );
    if (columns.length === 0 || this.#random.chance(0.25)) return null;
    const { source, name } = this.#random.pick(columns);
    parameters.push(this.#random.pick(COMMON_VALUES));
    this.hasCompared = true;
    const column = `${this.#reach(source)}.${this.expressions.spell(name)}`;
    const parameter = `$${parameters.length}`;
    return this.#random.weighted<string>([
      [12, () => `${column} = ${parameter}`],
      [4, () => `${parameter} = ${column}`],
      [1, () => `(${column}) OPERATOR(pg_catalog.=) (${parameter})`],
      [0.3, () => `${column} IN (${parameter})`],
      [0.3, () => `NOT ${column} = ${parameter}`],
      [0.3, () => `${column} <> ${parameter}`],
      [0.3, () => `(${column} = ${parameter}) IS NOT FALSE`],
      [0.3, () => `${column} = ${parameter}::text`],
    ]);
  }

  #order(scope: Scope, depth: number): string {
    if (this.#random.chance(0.5)) return "";
    const kind = this.#random.pick(SORTABLE);
    const how = this.#random.pick(["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " NULLS /* */ LAST"]);
    const value = this.expressions.of(kind, scope, Math.max(0, depth - 2));
    // A constant there is a position, or none at all.
    if (/^(?:[0-9'$]|E')/u.test(value)) return "";
    return ` ORDER BY ${value}${how}${this.#random.chance(0.3) ? ", 1" : ""}`;
  }

  #limit(): string {
    return this.#random.weighted<string>([
      [6, () => ""],
      [2, () => ` LIMIT ${this.#random.below(6)}`],
      [1, () => ` OFFSET ${this.#random.below(3)} LIMIT 4`],
      [1, () => " OFFSET 0 FETCH FIRST 2 ROWS ONLY"],
      [0.5, () => " LIMIT (SELECT length(email) FROM app.customers WHERE id = 1)"],
    ]);
  }

  #grouped(depth: number): string {
    const { from, scope } = this.#from(depth);
    const keys = this.#random.many(1, 2, () => this.expressions.of(this.#random.pick(SORTABLE), scope, 1));
    const aggregates = this.#random.many(1, 3, () => this.#aggregate(scope, depth));
    const having = this.#random.chance(0.3) ? ` HAVING count(*) ${this.#random.pick([">", "<="])} 2` : "";
    const positions = keys.map((_, index) => `${index + 1}`).join(", ");
    const order = this.#random.chance(0.5) ? ` ORDER BY ${positions}` : "";
    const items = [...keys, ...aggregates].join(", ");
    return `SELECT ${items} FROM ${from}${this.#where(scope, depth)} GROUP BY ${positions}${having}${order}`;
  }

  #grouping(depth: number): string {
    const { from, scope } = this.#from(depth);
    const [first, second] = [this.expressions.of("text", scope, 0), this.expressions.of("int", scope, 0)];
    const how = this.#random.pick(["GROUPING SETS ((1), (2), ())", "ROLLUP (1, 2)", "CUBE (1, 2)"]);
    // Positions are no constants only outside of these.
    const sets = how.replaceAll("1", "x.a").replaceAll("2", "x.b");
    return `SELECT x.a, x.b, count(*), max(x.a) FROM (SELECT ${first} AS a, ${second} AS b FROM ${from}) x GROUP BY ${sets} ORDER BY 1, 2, 3`;
  }

  #aggregate(scope: Scope, depth: number): string {
    const text = (): string => this.expressions.of("text", scope, depth - 1);
    const int = (): string => this.expressions.of("int", scope, depth - 1);
    const call = this.#random.weighted<string>([
      [3, () => "count(*)"],
      [2, () => `count(DISTINCT ${text()})`],
      [3, () => `${this.#random.pick(["min", "max"])}(${text()})`],
      [2, () => `${this.#random.pick(["sum", "avg", "max"])}(${int()})`],
      [2, () => `string_agg(${text()}, ',' ORDER BY ${int()}, ${text()})`],
      [2, () => `array_agg(${text()} ORDER BY ${text()})`],
      [1, () => `jsonb_agg(${this.expressions.of("jsonb", scope, 0)})`],
      [1, () => `bool_or(${this.expressions.condition(scope, 0)})`],
    ]);
    if (this.#random.chance(0.1)) return `mode() WITHIN GROUP (ORDER BY ${text()})`;
    return this.#random.chance(0.2) ? `${call} FILTER (WHERE ${this.expressions.condition(scope, 0)})` : call;
  }

  #windowed(depth: number): string {
    const { from, scope } = this.#from(depth);
    const text = (): string => this.expressions.of("text", scope, 1);
    const order = `ORDER BY ${this.expressions.of("text", scope, 0)}, ${this.expressions.of("int", scope, 0)}`;
    const partition = this.#random.chance(0.5) ? `PARTITION BY ${text()} ` : "";
    const call = this.#random.pick([
      "row_number()",
      "rank()",
      "ntile(3)",
      `lag(${text()})`,
      `lead(${text()}, 2, 'none')`,
      `first_value(${text()})`,
      "count(*)",
      `max(${text()})`,
    ]);
    const frame = this.#random.chance(0.2) ? " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES" : "";
    const window = `(${partition}${order}${frame})`;
    const isNamed = this.#random.chance(0.3);
    const over = isNamed ? "OVER w" : `OVER ${window}`;
    return `SELECT ${this.expressions.of("int", scope, 0)}, ${call} ${over} FROM ${from}${this.#where(scope, depth)}${isNamed ? ` WINDOW w AS ${window}` : ""}`;
  }

  #distinctOn(depth: number): string {
    const { from, scope } = this.#from(depth);
    const [key, order] = [this.expressions.of("text", scope, 1), this.expressions.of("int", scope, 0)];
    const tail = this.#random.pick(["", " LIMIT 3", " FETCH FIRST 2 ROWS WITH TIES"]);
    const rows = `SELECT ${key} AS k, ${order} AS o, ${this.expressions.of(this.#random.pick(SORTABLE), scope, 1)} AS v FROM ${from}${this.#where(scope, depth)}`;
    return `SELECT DISTINCT ON (x.k) x.* FROM (${rows}) x ORDER BY x.k, x.o, x.v${tail}`;
  }

  #setOperation(depth: number): string {
    const kinds = this.#random.many(1, 3, () => this.#random.pick(SORTABLE));
    const operator = this.#random.pick(["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
    const [left, right] = [this.queryOf(kinds, depth - 1), this.queryOf(kinds, depth - 1)];
    return `(${left}) ${operator} (${right})${this.#random.chance(0.6) ? " ORDER BY 1" : ""}${this.#limit()}`;
  }

  #withCtes(depth: number): string {
    const made = this.#random.many(1, 2, (index) => {
      const kinds = this.#random.many(1, 3, () => this.#random.pick(KINDS));
      // A name of a masked relation shadows it.
      const name = this.#random.chance(0.04) ? "customers" : `w${index + 1}`;
      const hint = this.#random.pick(["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
      const text = `${name} AS ${hint}(${this.queryOf(kinds, depth - 1)})`;
      this.#ctes.push({ alias: name, columns: columnsOf(kinds), isRow: true, schema: null });
      return text;
    });
    return `WITH ${made.join(", ")} ${this.#select(depth)}`;
  }

  #recursive(depth: number): string {
    const first = this.queryOf(["text"], depth - 1);
    const more = this.#random.pick([
      "",
      "",
      " SEARCH BREADTH FIRST BY v SET o",
      " CYCLE v SET seen USING way",
      " SEARCH DEPTH FIRST BY n, v SET o CYCLE n, v SET seen TO 'y' DEFAULT 'n' USING way",
    ]);
    return `WITH RECURSIVE r(n, v) AS (SELECT 1, x.c1 FROM (${first} LIMIT 2) x UNION ALL SELECT n + 1, v || 'x' FROM r WHERE n < 3)${more} SELECT * FROM r ORDER BY 1, 2`;
  }

  /** NATURAL and USING merge columns that nobody names. */
  #starJoin(depth: number): string {
    const [left, right] = [this.#relationSource(), this.#relationSource()];
    const how = this.#random.pick(["JOIN", "LEFT JOIN", "FULL JOIN"]);
    const join = this.#random.chance(0.4)
      ? `NATURAL ${how} ${right.text}`
      : `${how} ${right.text} USING (${this.#random.pick(["id", "id", "email", "id, email"])})`;
    const isStar = left.source.isRow && right.source.isRow;
    const limit = depth > 0 ? this.#limit() : "";
    return `SELECT ${isStar ? "*" : "count(*)"} FROM ${left.text} ${join}${isStar ? " ORDER BY 1" : ""}${limit}`;
  }

  /** A FROM clause, and what it and the outer query bring into scope. */
  #from(depth: number, outer: Scope = []): { from: string; scope: Scope; lockable: boolean } {
    const first = this.#placed(depth, outer);
    let from = first.text;
    const scope: Source[] = [first.source];
    let lockable = first.source.isRow && !first.text.includes("(");
    for (
      let more = this.#random.weighted([
        [6, () => 0],
        [4, () => 1],
        [1, () => 2],
      ]);
      more > 0;
      more--
    ) {
      const next = this.#placed(depth - 1, [...scope, ...outer]);
      from += this.#joined(scope, next);
      scope.push(next.source);
      lockable = false;
    }
    return { from, scope: this.#random.chance(0.7) ? scope : [...scope, ...outer], lockable };
  }

  #joined(scope: Scope, { text, source }: Placed): string {
    const condition = (): string => {
      const [here, there] = [key(scope), key([source])];
      if (here !== null && there !== null && this.#random.chance(0.8)) return `${here} = ${there}`;
      return this.expressions.condition([...scope, source], 0);
    };
    // What is lateral cannot be on the nullable side of these.
    const isLateral = text.startsWith("LATERAL") || text.includes("(");
    const kinds = isLateral ? ["JOIN", "LEFT JOIN"] : ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];
    return this.#random.weighted<string>([
      [8, () => ` ${this.#random.pick(kinds)} ${text} ON ${condition()}`],
      [1, () => ` CROSS JOIN ${text}`],
      [1, () => `, ${text}`],
    ]);
  }

  #placed(depth: number, outer: Scope): Placed {
    return this.#random.weighted<Placed>([
      [12, () => this.#relationSource()],
      [depth > 0 ? 3 : 0, () => this.#subquery(depth, outer)],
      [this.#ctes.length > 0 ? 10 : 0, () => this.#cte()],
      [depth > 0 ? 1.5 : 0, () => this.#function(depth, outer)],
      [0.5, () => this.#valuesSource()],
    ]);
  }

  #relationSource(): Placed {
    const random = this.#random;
    const relation = this.relation();
    const name = this.relationName(relation);
    const columns: readonly Column[] = relation.columns;
    const isRow = !relation.hasTime;
    const only = relation.isTable && random.chance(0.1);
    const sample =
      relation.isTable && random.chance(0.015) ? ` TABLESAMPLE ${random.pick(["SYSTEM", "BERNOULLI"])} (100)` : "";
    const written = only ? `ONLY ${name}` : random.chance(0.05) && relation.isTable ? `${name} *` : name;
    if (random.chance(0.2)) {
      const schema = name.includes(".") ? "app" : null;
      // A relation without an alias can stand in a FROM clause once only: these are told apart by chance.
      return {
        text: `${written}${sample}`,
        source: { alias: relation.name, columns, isRow, schema: random.chance(0.5) ? schema : null },
      };
    }
    const alias = this.alias();
    if (random.chance(0.08)) {
      // The second name would be that of the column that is filled with the time.
      const namesMax = relation.hasTime ? 1 : 3;
      const renamed = columns.map((column, index) =>
        index < namesMax ? { ...column, name: `n${index + 1}` } : column,
      );
      const list = renamed.slice(0, namesMax).map((column) => column.name);
      return {
        text: `${written} AS ${alias} (${list.join(", ")})${sample}`,
        source: { alias, columns: renamed, isRow, schema: null },
      };
    }
    return {
      text: `${written} ${random.chance(0.6) ? "AS " : ""}${alias}${sample}`,
      source: { alias, columns, isRow, schema: null },
    };
  }

  #subquery(depth: number, outer: Scope): Placed {
    const kinds = this.#random.many(1, 3, () => this.#random.pick(KINDS));
    const isLateral = outer.length > 0 && this.#random.chance(0.4);
    const alias = this.alias();
    const text = `${isLateral ? "LATERAL " : ""}(${this.queryOf(kinds, depth - 1, isLateral ? outer : [])}) AS ${alias}`;
    return { text, source: { alias, columns: columnsOf(kinds), isRow: true, schema: null } };
  }

  #cte(): Placed {
    const cte = this.#random.pick(this.#ctes);
    const alias = this.alias();
    return { text: `${cte.alias} AS ${alias}`, source: { ...cte, alias } };
  }

  #function(depth: number, outer: Scope): Placed {
    const alias = this.alias();
    const of = (kind: Kind): string => this.expressions.of(kind, outer, depth - 1);
    const [call, columns] = this.#random.weighted<readonly [string, Column[]]>([
      [2, () => [`generate_series(1, least(5, ${of("int")}))`, [{ name: "v", kind: "int" }]]],
      [2, () => [`unnest(${of("texts")})`, [{ name: "v", kind: "text" }]]],
      [2, () => [`regexp_split_to_table(${of("text")}, '-')`, [{ name: "v", kind: "text" }]]],
      [
        2,
        () => [
          `jsonb_each_text(${of("jsonb")})`,
          [
            { name: "k", kind: "text" },
            { name: "v", kind: "text" },
          ],
        ],
      ],
      [1, () => [`jsonb_path_query(${of("jsonb")}, '$.*')`, [{ name: "v", kind: "jsonb" }]]],
      [
        1,
        () => [
          `ROWS FROM (unnest(${of("texts")}), generate_series(1, 2)) WITH ORDINALITY`,
          [
            { name: "v", kind: "text" },
            { name: "n", kind: "int" },
            { name: "place", kind: "int" },
          ],
        ],
      ],
      [
        1,
        () => [
          `XMLTABLE('/r' PASSING xmlelement(name r, ${of("text")}) COLUMNS v text PATH '.', n text DEFAULT ${of("text")} PATH 'none')`,
          [
            { name: "v", kind: "text" },
            { name: "n", kind: "text" },
          ],
        ],
      ],
      [1, () => [`jsonb_populate_record(NULL::app.contact_card, ${of("jsonb")})`, CARD_COLUMNS]],
    ]);
    const list = columns.map(({ name }) => name).join(", ");
    return { text: `${call} AS ${alias}(${list})`, source: { alias, columns, isRow: false, schema: null } };
  }

  #valuesSource(): Placed {
    const alias = this.alias();
    const text = `(VALUES (1, ${this.expressions.of("text", [], 0)}), (2, 'x')) AS ${alias}(c1, c2)`;
    return { text, source: { alias, columns: columnsOf(["int", "text"]), isRow: true, schema: null } };
  }
}

/** Of the type app.contact_card. */
const CARD_COLUMNS: Column[] = [
  { name: "name", kind: "text" },
  { name: "address", kind: "text" },
];

function columnsOf(kinds: readonly Kind[]): Column[] {
  return kinds.map((kind, index) => ({ name: `c${index + 1}`, kind }));
}

/** What two sources are usually joined by. */
function key(scope: Scope): string | null {
  for (const { alias, columns } of scope) {
    const found = columns.find(({ name }) => name === "customer_id") ?? columns.find(({ name }) => name === "id");
    if (found !== undefined) return `${alias}.${found.name}`;
  }
  return null;
}
