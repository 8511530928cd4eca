/** Random queries over two small tables, made to be views: every clause, nested in every way. */

/** Numbers from 0 to below `limit`, the same for the same seed. */
export type Random = (limit: number) => number;

/** https://prng.di.unimi.it/splitmix32-like; good enough to choose clauses. */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % limit;
  };
}

/** `t.secret` and `u.hidden` are what differs between twins. Each column is an int or a text. */
const RANDOM_TABLES: Readonly<Record<string, Readonly<Record<string, Type>>>> = {
  t: { id: "int", grp: "int", name: "text", secret: "text" },
  u: { id: "int", tid: "int", note: "text", hidden: "int" },
};

type Type = "int" | "text";
type Column = { readonly sql: string; readonly name: string; readonly type: Type };
type Query = { readonly sql: string; readonly columns: readonly { readonly name: string; readonly type: Type }[] };

const DEPTH_MAX = 3;

/** One query; it may be one that the server refuses. */
export function randomQuery(random: Random): string {
  return new Generator(random).query([], DEPTH_MAX, []).sql;
}

class Generator {
  readonly #random: Random;
  #names = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.#random(items.length)] ?? items[0];
  }

  #chance(percent: number): boolean {
    return this.#random(100) < percent;
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  /** `outer` is in sight; `tables` are named queries. */
  query(outer: readonly Column[], depth: number, tables: readonly Query[]): Query {
    const which = this.#random(10);
    if (depth > 0 && which === 0) return this.#setOperation(outer, depth - 1, tables);
    if (depth > 0 && which === 1) return this.#with(outer, depth - 1, tables);
    return this.#select(outer, depth, tables, 1 + this.#random(4));
  }

  #setOperation(outer: readonly Column[], depth: number, tables: readonly Query[]): Query {
    const types = Array.from({ length: 1 + this.#random(3) }, (): Type => this.#pick(["int", "text"]));
    const left = this.#select(outer, depth, tables, types.length, types);
    const right = this.#select(outer, depth, tables, types.length, types);
    const operation = this.#pick(["union all", "union all", "union all", "union", "intersect", "except", "except all"]);
    const order = this.#chance(20) ? " order by 1" : "";
    return { sql: `(${left.sql}) ${operation} (${right.sql})${order}`, columns: left.columns };
  }

  #with(outer: readonly Column[], depth: number, tables: readonly Query[]): Query {
    const inner = this.query(outer, depth, tables);
    const name = this.#name("w");
    const named: Query = { sql: name, columns: inner.columns };
    const rest = this.#select(outer, depth, [...tables, named, named], 1 + this.#random(3));
    return { sql: `with ${name} as (${inner.sql}) ${rest.sql}`, columns: rest.columns };
  }

  #select(
    outer: readonly Column[],
    depth: number,
    tables: readonly Query[],
    width: number,
    types: readonly Type[] = [],
  ): Query {
    const from = this.#from(outer, depth, tables);
    const inSight = [...from.columns, ...from.columns, ...outer];
    const isGrouped = this.#chance(15);
    const groups = isGrouped ? [this.#column(inSight, this.#pick(["int", "text"]))] : [];
    const columns = Array.from({ length: width }, (_, index) => {
      const type = types[index] ?? this.#pick(["int", "text"]);
      const grouped = groups.find((group) => group.type === type);
      let sql = this.expression(type, inSight, depth);
      if (isGrouped) sql = grouped && this.#chance(50) ? grouped.sql : this.#aggregate(type, inSight, depth);
      else if (type === "int" && this.#chance(8)) sql = this.#window(inSight, depth);
      return { sql, name: this.#name("c"), type };
    });
    const list = columns.map(({ sql, name }) => `${sql} as ${name}`).join(", ");
    const distinct = this.#chance(8) ? "distinct " : "";
    const where = this.#chance(30) ? ` where ${this.#condition(inSight, depth)}` : "";
    const group = isGrouped ? ` group by ${groups.map(({ sql }) => sql).join(", ")}` : "";
    const having = isGrouped && this.#chance(20) ? ` having ${this.#aggregate("int", inSight, depth)} > 1` : "";
    const order = this.#chance(15) ? ` order by ${this.#order(columns, isGrouped ? [] : inSight)}` : "";
    const limit = this.#chance(10) ? ` limit ${1 + this.#random(3)}` : "";
    return { sql: `select ${distinct}${list} from ${from.sql}${where}${group}${having}${order}${limit}`, columns };
  }

  #order(outputs: readonly Column[], inSight: readonly Column[]): string {
    if (inSight.length === 0 || this.#chance(50)) return String(1 + this.#random(outputs.length));
    return this.#column(inSight, "text").sql;
  }

  #from(
    outer: readonly Column[],
    depth: number,
    tables: readonly Query[],
  ): { readonly sql: string; readonly columns: readonly Column[] } {
    const first = this.#source(outer, depth, tables, false);
    const { columns } = first;
    if (!this.#chance(40)) return first;
    const isLateral = this.#chance(40);
    const second = this.#source(isLateral ? [...columns, ...outer] : outer, depth, tables, isLateral);
    const both = [...columns, ...second.columns];
    if (this.#chance(40)) return { sql: `${first.sql}, ${second.sql}`, columns: both };
    const kind = this.#pick(["join", "left join", "full join", "cross join"]);
    // The server joins fully by equality only.
    const left = this.#column(columns, "int");
    const right = this.#column(second.columns, "int");
    const on = kind === "cross join" ? "" : ` on ${left.sql} = ${right.sql}`;
    if (kind === "join" && this.#chance(30)) {
      return { sql: `${first.sql} join ${second.sql} on ${this.#condition(both, 0)}`, columns: both };
    }
    return { sql: `${first.sql} ${kind} ${second.sql}${on}`, columns: both };
  }

  #source(
    inSight: readonly Column[],
    depth: number,
    tables: readonly Query[],
    isLateral: boolean,
  ): { readonly sql: string; readonly columns: readonly Column[] } {
    const alias = this.#name("s");
    const shown = (columns: Query["columns"]): Column[] =>
      columns.map(({ name, type }) => ({ sql: `${alias}.${name}`, name, type }));
    const which = this.#random(10);
    const named = tables[this.#random(tables.length + 1)];
    if (named !== undefined && which < 6) return { sql: `${named.sql} ${alias}`, columns: shown(named.columns) };
    if (depth > 0 && which < 3) {
      const inner = this.query(isLateral ? inSight : [], depth - 1, tables);
      if (this.#chance(20)) {
        const renamed = inner.columns.map(({ type }) => ({ name: this.#name("r"), type }));
        const list = renamed.map(({ name }) => name).join(", ");
        return { sql: `${isLateral ? "lateral " : ""}(${inner.sql}) ${alias}(${list})`, columns: shown(renamed) };
      }
      return { sql: `${isLateral ? "lateral " : ""}(${inner.sql}) ${alias}`, columns: shown(inner.columns) };
    }
    if (which === 3 && isLateral) {
      const call = this.#chance(50)
        ? `generate_series(1, ${this.#column(inSight, "int").sql} % 3)`
        : `string_to_table(${this.#column(inSight, "text").sql}, 'a')`;
      const type = call.startsWith("g") ? "int" : "text";
      return { sql: `${call} ${alias}(v)`, columns: shown([{ name: "v", type }]) };
    }
    const table = this.#pick(["t", "t", "u"]);
    const columns = Object.entries(RANDOM_TABLES[table] ?? {}).map(([name, type]) => ({ name, type }));
    return { sql: `${table} ${alias}`, columns: shown(columns) };
  }

  #column(inSight: readonly Column[], type: Type): Column {
    const fitting = inSight.filter((column) => column.type === type);
    const found = fitting[this.#random(Math.max(1, fitting.length))];
    return found ?? { sql: type === "int" ? "7" : "'a'", name: "?", type };
  }

  expression(type: Type, inSight: readonly Column[], depth: number): string {
    const which = this.#random(depth > 0 ? 12 : 8);
    const again = (other: Type): string => this.expression(other, inSight, depth - 1);
    if (which >= 6 && which < 8 && depth > 0) {
      return `case when ${this.#condition(inSight, depth - 1)} then ${again(type)} else ${again(type)} end`;
    }
    if (which >= 10) {
      const inner = this.#select(inSight, depth - 1, [], 1, [type]);
      return this.#chance(50) ? `(select max(x.m) from (${inner.sql}) x(m))` : `(${inner.sql} limit 1)`;
    }
    if (which === 9) return `coalesce(${again(type)}, ${again(type)})`;
    if (which === 8) return type === "int" ? `length(${again("text")})` : `(${again("int")})::text`;
    if (which === 5) return type === "int" ? String(this.#random(5)) : this.#pick(["'a'", "'b'", "''"]);
    const { sql } = this.#column(inSight, type);
    if (which === 4) return type === "int" ? `(${sql} + 1)` : `upper(${sql})`;
    return sql;
  }

  #condition(inSight: readonly Column[], depth: number): string {
    const which = this.#random(depth > 0 ? 7 : 4);
    const int = this.#column(inSight, "int").sql;
    const text = this.#column(inSight, "text").sql;
    if (which === 0) return `${text} is not null`;
    if (which === 1) return `${text} > 'b'`;
    if (which === 2 || which === 3) return `${int} > ${this.#random(4)}`;
    const inner = this.#select(inSight, depth - 1, [], 1, ["int"]).sql;
    if (which === 4) return `exists (${inner})`;
    return which === 5 ? `${int} in (${inner})` : `not (${int} = any (${inner}))`;
  }

  #aggregate(type: Type, inSight: readonly Column[], depth: number): string {
    const int = this.#column(inSight, "int").sql;
    const text = this.#column(inSight, "text").sql;
    if (type === "text") return this.#pick([`max(${text})`, `string_agg(${text}, ',' order by ${text})`, "'a'"]);
    const filter = this.#chance(30) ? ` filter (where ${this.#condition(inSight, depth > 0 ? 1 : 0)})` : "";
    return `${this.#pick(["count(*)", `count(${text})`, `sum(${int})`, `min(${int})`])}${filter}::int`;
  }

  #window(inSight: readonly Column[], depth: number): string {
    const order = this.#column(inSight, this.#pick(["int", "text"])).sql;
    const partition = this.#chance(40) ? `partition by ${this.#column(inSight, "int").sql} ` : "";
    const call = this.#pick([
      "row_number()",
      "count(*)",
      `sum(${this.expression("int", inSight, Math.min(depth, 1))})`,
    ]);
    return `(${call} over (${partition}order by ${order}))::int`;
  }
}
