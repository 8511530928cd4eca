/** Random expressions over what a query has in scope; most are right, and those that fail do so with what they were given. */
import type { Random } from "./masking-random.ts";
import { type Column, GUESSES, type Kind, PATTERNS } from "./masking-schema.ts";

/** Something in a FROM clause. */
export type Source = {
  /** How its columns are reached; it stands for a whole row too, where `isRow`. */
  readonly alias: string;
  readonly columns: readonly Column[];
  readonly isRow: boolean;
  /** The schema, where the relation has no alias: `app.customers.email`. */
  readonly schema: string | null;
};

export type Scope = readonly Source[];

/** What expressions need of queries. */
export type Subqueries = {
  /** A query of one column of this kind and at most one row, which may use the scope. */
  scalar(kind: Kind, scope: Scope, depth: number): string;
  /** A query of one column of this kind. */
  column(kind: Kind, scope: Scope, depth: number): string;
};

const RESERVED = /^(?:end|name|values|row)$/u;

export class Expressions {
  readonly #random: Random;
  readonly #subqueries: Subqueries;
  /** Values of `$1`, `$2`, ...; null while a statement takes none. */
  parameters: string[] | null = null;

  constructor(random: Random, subqueries: Subqueries) {
    this.#random = random;
    this.#subqueries = subqueries;
  }

  /** A name in one of the ways it can be written. */
  spell(name: string): string {
    const random = this.#random;
    if (random.chance(0.8)) return RESERVED.test(name) ? `"${name}"` : name;
    const hex = (at: number): string => name.charCodeAt(at).toString(16).padStart(4, "0");
    return random.pick([
      `"${name}"`,
      `"${name}"`,
      name.toUpperCase(),
      `U&"\\${hex(0)}${name.slice(1)}"`,
      name.length > 1 ? `U&"${name.slice(0, 1)}!${hex(1)}${name.slice(2)}" UESCAPE '!'` : `"${name}"`,
      `/* ${name} */"${name}"`,
      `${name} /**/`,
    ]);
  }

  literal(text: string): string {
    if (this.parameters !== null && this.parameters.length < 5 && this.#random.chance(0.3)) {
      this.parameters.push(text);
      return `$${this.parameters.length}::text`;
    }
    const quoted = `'${text.replaceAll("'", "''")}'`;
    return this.#random.chance(0.9) ? quoted : this.#random.pick([`E${quoted}`, `$q$${text}$q$`, `${quoted}::text`]);
  }

  of(kind: Kind, scope: Scope, depth: number): string {
    const random = this.#random;
    const column = this.#column(kind, scope);
    if (depth <= 0 || random.chance(0.35)) return column ?? this.#constant(kind);
    switch (kind) {
      case "text":
        return this.#text(scope, depth - 1);
      case "int":
        return this.#int(scope, depth - 1);
      case "numeric":
        return this.#numeric(scope, depth - 1);
      case "bool":
        return this.condition(scope, depth - 1);
      case "jsonb":
        return this.#jsonb(scope, depth - 1);
      case "time":
        return this.#time(scope, depth - 1);
      case "texts":
        return this.#texts(scope, depth - 1);
    }
  }

  /** A reference to some column of this kind; undefined: there is none. */
  #column(kind: Kind, scope: Scope): string | undefined {
    const found = scope.flatMap((source) =>
      source.columns.filter((column) => column.kind === kind).map((column) => ({ source, column })),
    );
    if (found.length === 0) return undefined;
    const { source, column } = this.#random.pick(found);
    return this.reference(source, column, scope);
  }

  reference({ alias, isRow, schema }: Source, { name }: Column, scope: Scope): string {
    const spelled = this.spell(name);
    const isAlone = scope.every((other) => other.alias === alias || !other.columns.some((each) => each.name === name));
    return this.#random.weighted<string>([
      [6, () => `${alias}.${spelled}`],
      [isAlone ? 5 : 0, () => spelled],
      [schema === null ? 0 : 5, () => `${schema}.${alias}.${spelled}`],
      [isRow ? 0.6 : 0, () => `(${alias}).${spelled}`],
      [isRow && schema === null ? 0.4 : 0, () => `"${name}"(${alias})`],
      [isRow ? 0.2 : 0, () => `(${alias}.*).${spelled}`],
    ]);
  }

  /** The server joins this with the word that follows, whatever stands between. */
  #not(): string {
    return this.#random.pick(["", "", "NOT ", "NOT /* ' */ ", "NOT -- /*\n"]);
  }

  #constant(kind: Kind): string {
    const random = this.#random;
    switch (kind) {
      case "text":
        return this.literal(random.pick(GUESSES));
      case "int":
        return `${random.between(0, 25)}`;
      case "numeric":
        return `${random.between(0, 200)}.${random.below(100)}`;
      case "bool":
        return random.pick(["true", "false"]);
      case "jsonb":
        return random.pick([`'{"memo": "canary-note-0001", "n": 1}'::jsonb`, `'[1, "x"]'::jsonb`, `'null'::jsonb`]);
      case "time":
        return `timestamptz '2024-0${random.between(1, 9)}-11Z'`;
      case "texts":
        return random.pick([`ARRAY['a', 'canary-0001@secret.example']`, `'{tag1,all}'::text[]`]);
    }
  }

  #text(scope: Scope, depth: number): string {
    const text = (): string => this.of("text", scope, depth);
    const int = (): string => this.of("int", scope, depth);
    const row = this.#row(scope);
    return this.#random.weighted<string>([
      [
        3,
        () =>
          `${this.#random.pick(["upper", "lower", "md5", "reverse", "initcap", "quote_literal", "btrim"])}(${text()})`,
      ],
      [3, () => `${text()} || ${text()}`],
      [2, () => `substr(${text()}, ${this.#random.between(1, 4)}, ${this.#random.between(0, 9)})`],
      [1, () => `substring(${text()} from 2 for 3)`],
      [2, () => `${this.#random.pick(["left", "right"])}(${text()}, ${this.#random.between(-3, 8)})`],
      [1, () => `replace(${text()}, ${this.literal("a")}, ${text()})`],
      [1, () => `translate(${text()}, 'abc', 'xyz')`],
      [1, () => `split_part(${text()}, '@', ${this.#random.between(1, 2)})`],
      [2, () => `${this.#random.pick(["coalesce", "nullif", "concat"])}(${text()}, ${text()})`],
      [1, () => `${this.#random.pick(["greatest", "least"])}(${text()}, ${text()})`],
      [3, () => `CASE WHEN ${this.condition(scope, depth)} THEN ${text()} ELSE ${text()} END`],
      [1, () => `CASE ${text()} WHEN ${text()} THEN 'y' ELSE ${text()} END`],
      [1, () => `(${int()})::text`],
      [1, () => `CAST(${this.of("numeric", scope, depth)} AS text)`],
      [2, () => `(${this.of("jsonb", scope, depth)}) ->> ${this.#random.pick(["'memo'", "'email'", "'vip'", "0"])}`],
      [1, () => `(${this.of("jsonb", scope, depth)}) #>> '{dims,w}'`],
      [1, () => `(${this.of("jsonb", scope, depth)})::text`],
      [row === undefined ? 0 : 2, () => `${row}::text`],
      [1, () => `array_to_string(${this.of("texts", scope, depth)}, ',')`],
      [1, () => `(${this.of("texts", scope, depth)})[${this.#random.between(1, 2)}]`],
      [1, () => `regexp_replace(${text()}, '[0-9]', '#', 'g')`],
      [1, () => `encode(convert_to(${text()}, 'UTF8'), ${this.#random.pick(["'hex'", "'base64'"])})`],
      [1, () => `format('%s/%s', ${text()}, ${int()})`],
      [1, () => `lpad(${text()}, 30, '.')`],
      [1, () => `(${text()} COLLATE "C")`],
      [1, () => `xmlelement(name v, ${text()})::text`],
      [1, () => `(${text()})::${this.#random.pick(["varchar(5)", "bpchar", "name", "char(3)"])}::text`],
      [2, () => `(${this.#subqueries.scalar("text", scope, depth)})`],
    ]);
  }

  #int(scope: Scope, depth: number): string {
    const text = (): string => this.of("text", scope, depth);
    const int = (): string => this.of("int", scope, depth);
    return this.#random.weighted<string>([
      [4, () => `${int()} ${this.#random.pick(["+", "-", "*"])} ${int()}`],
      [3, () => `length(${text()})`],
      [2, () => `ascii(${text()})`],
      [2, () => `strpos(${text()}, ${this.literal("1")})`],
      [1, () => `position('@' in ${text()})`],
      [2, () => `CASE WHEN ${this.condition(scope, depth)} THEN ${int()} ELSE ${int()} END`],
      [1, () => `coalesce(${int()}, ${int()})`],
      [1, () => `array_length(${this.of("texts", scope, depth)}, 1)`],
      [1, () => `${int()} % 7`],
      [2, () => `(${this.#subqueries.scalar("int", scope, depth)})`],
      [1, () => `hashtext(${text()}) % 100`],
      // These mostly fail, and tell what they were given.
      [0.5, () => `(${text()})::int`],
      [0.2, () => `${int()} / ${int()}`],
      [
        0.2,
        () =>
          `length((${text()})::${this.#random.pick(["inet", "uuid", "date", "jsonb", "bytea", "xml", "regclass"])}::text)`,
      ],
    ]);
  }

  #numeric(scope: Scope, depth: number): string {
    const numeric = (): string => this.of("numeric", scope, depth);
    return this.#random.weighted<string>([
      [3, () => `${numeric()} ${this.#random.pick(["+", "-", "*"])} ${numeric()}`],
      [2, () => `round(${numeric()}, 1)`],
      [2, () => `(${this.of("int", scope, depth)})::numeric`],
      [1, () => `abs(${numeric()})`],
      [1, () => `app.add_tax(${numeric()})`],
      [1, () => `app.order_total(${this.of("int", scope, 0)})`],
      [1, () => `(${this.#subqueries.scalar("numeric", scope, depth)})`],
      [0.3, () => `(${this.of("text", scope, depth)})::numeric`],
      [0.2, () => `to_number(${this.of("text", scope, depth)}, '999')`],
    ]);
  }

  condition(scope: Scope, depth: number): string {
    const kind = this.#random.pick<Kind>(["int", "int", "text", "text", "text", "numeric", "time"]);
    const inner = Math.max(0, depth - 1);
    const value = (): string => this.of(kind, scope, inner);
    const text = (): string => this.of("text", scope, inner);
    const row = this.#row(scope);
    return this.#random.weighted<string>([
      [6, () => `${value()} ${this.#random.pick(["=", "<>", "<", ">=", ">", "IS DISTINCT FROM"])} ${value()}`],
      [
        3,
        () =>
          `${text()} ${this.#random.pick(["LIKE", "NOT LIKE", "ILIKE"])} ${this.literal(this.#random.pick(PATTERNS))}`,
      ],
      [1, () => `${text()} ${this.#random.pick(["~", "!~", "~*"])} '[0-9]{3}'`],
      [2, () => `${value()} ${this.#not()}IN (${value()}, ${value()})`],
      [1, () => `${value()} ${this.#not()}BETWEEN ${value()} AND ${value()}`],
      [2, () => `${value()} IS ${this.#random.pick(["", "NOT "])}NULL`],
      [
        depth > 0 ? 2 : 0,
        () => `(${this.condition(scope, inner)}) ${this.#random.pick(["AND", "OR"])} (${this.condition(scope, inner)})`,
      ],
      [depth > 0 ? 1 : 0, () => `NOT (${this.condition(scope, inner)})`],
      [depth > 0 ? 2 : 0, () => `EXISTS (${this.#subqueries.column("int", scope, inner)})`],
      [
        depth > 0 ? 1 : 0,
        () =>
          `${value()} ${this.#random.pick(["IN", "= ANY", "NOT IN"])} (${this.#subqueries.column(kind, scope, inner)})`,
      ],
      [1, () => `${text()} = ANY (${this.of("texts", scope, inner)})`],
      [0.5, () => `${text()} >= ALL (${this.of("texts", scope, inner)})`],
      [0.5, () => `${text()} ${this.#not()}SIMILAR TO 'canary%|%1_'`],
      [0.5, () => `(${this.condition(scope, inner)}) IS ${this.#random.pick(["UNKNOWN", "NOT TRUE"])}`],
      [0.5, () => `num_nulls(${text()}, ${value()}) ${this.#random.pick(["=", "<"])} 1`],
      [0.5, () => `ROW(${text()}, ${value()}) IS DISTINCT FROM ROW(${text()}, ${value()})`],
      [
        0.3,
        () =>
          `(${this.of("time", scope, inner)}, interval '9 days') OVERLAPS (${this.of("time", scope, inner)}, interval '1 day')`,
      ],
      [1, () => `(${this.of("jsonb", scope, inner)}) ? 'memo'`],
      [1, () => `(${this.of("jsonb", scope, inner)}) @> '{"vip": true}'`],
      [
        1,
        () =>
          `(${this.of("int", scope, 0)}, ${text()}) ${this.#random.pick(["=", "<", ">="])} (${this.of("int", scope, 0)}, ${text()})`,
      ],
      [row === undefined ? 0 : 1, () => `${row}::text LIKE ${this.literal(this.#random.pick(PATTERNS))}`],
      [row === undefined ? 0 : 0.5, () => `${row} IS NOT NULL`],
    ]);
  }

  #jsonb(scope: Scope, depth: number): string {
    const row = this.#row(scope);
    return this.#random.weighted<string>([
      [row === undefined ? 0 : 3, () => `to_jsonb(${row})`],
      [row === undefined ? 0 : 1, () => `row_to_json(${row})::jsonb`],
      [2, () => `to_jsonb(${this.of("text", scope, depth)})`],
      [2, () => `jsonb_build_object('k', ${this.of("text", scope, depth)}, 'n', ${this.of("int", scope, depth)})`],
      [1, () => `jsonb_build_array(${this.of("text", scope, depth)})`],
      [2, () => `(${this.of("jsonb", scope, depth)}) -> ${this.#random.pick(["'memo'", "'email'", "0"])}`],
      [1, () => `jsonb_strip_nulls(${this.of("jsonb", scope, depth)})`],
      [1, () => `jsonb_path_query_first(${this.of("jsonb", scope, depth)}, '$.*')`],
      [1, () => `jsonb_set(${this.of("jsonb", scope, depth)}, '{x}', '1')`],
      [1, () => `(${this.#subqueries.scalar("jsonb", scope, depth)})`],
      [0.3, () => `(${this.of("text", scope, depth)})::jsonb`],
    ]);
  }

  #time(scope: Scope, depth: number): string {
    return this.#random.weighted<string>([
      [2, () => `${this.of("time", scope, depth)} + interval '1 day'`],
      [1, () => `date_trunc('month', ${this.of("time", scope, depth)})`],
      [0.5, () => `((${this.of("time", scope, depth)}) AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE /* */ 'UTC'`],
      [1, () => `(${this.#subqueries.scalar("time", scope, depth)})`],
      [0.2, () => `(${this.of("text", scope, depth)})::timestamptz`],
    ]);
  }

  #texts(scope: Scope, depth: number): string {
    return this.#random.weighted<string>([
      [2, () => `string_to_array(${this.of("text", scope, depth)}, '@')`],
      [2, () => `ARRAY[${this.of("text", scope, depth)}, ${this.of("text", scope, depth)}]`],
      [2, () => `ARRAY(${this.#subqueries.column("text", scope, depth)})`],
      [1, () => `regexp_split_to_array(${this.of("text", scope, depth)}, '-')`],
      [1, () => `${this.of("texts", scope, depth)} || ${this.of("text", scope, depth)}`],
    ]);
  }

  /** A whole row of the scope; undefined: there is none. */
  #row(scope: Scope): string | undefined {
    const rows = scope.filter(({ isRow, schema }) => isRow && schema === null);
    return rows.length === 0 ? undefined : this.#random.pick(rows).alias;
  }
}
