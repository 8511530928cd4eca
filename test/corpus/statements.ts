/** Random statements over the masking corpus's schema, the same for the same seed: for tests that need many. */

/** A small generator of pseudo-random numbers (mulberry32). */
function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TABLES: Readonly<Record<string, readonly string[]>> = {
  "app.customers": ["id", "full_name", "email", "ssn", "card_number", "balance", "notes", "created_at"],
  "app.customers_vip": [
    "id",
    "full_name",
    "email",
    "ssn",
    "card_number",
    "balance",
    "notes",
    "created_at",
    "vip_level",
  ],
  "app.products": ["id", "name", "price", "tags", "attrs"],
  "app.orders": ["id", "customer_id", "product_id", "amount", "status", "note", "placed_at"],
  "app.contacts": ["id", "customer_id", "alt_email", "alt_local"],
  "app.events": ["id", "customer_id", "email", "kind", "payload", "occurred_at"],
  "app.categories": ["id", "parent_id", "name"],
};

const VIEWS: Readonly<Record<string, readonly string[]>> = {
  "app.customer_directory": ["id", "full_name", "contact"],
  "app.customer_public": ["id", "full_name", "created_at"],
  "app.order_summary": ["customer_id", "n", "total"],
};

const WRITABLE: Readonly<Record<string, { readonly text: readonly string[]; readonly key: string }>> = {
  "app.customers": { text: ["full_name", "email", "ssn", "card_number"], key: "id" },
  "app.orders": { text: ["note"], key: "id" },
  "app.products": { text: ["name"], key: "id" },
  "app.categories": { text: ["name"], key: "id" },
};

/** What an expression may refer to: `null` columns are not known by name. */
type Source = { readonly name: string; readonly columns: readonly string[]; readonly isRow: boolean };
type Scope = { readonly sources: readonly Source[]; readonly outer: Scope | null };

const NO_SCOPE: Scope = { sources: [], outer: null };
const DEPTH_MAX = 3;

export class StatementGenerator {
  readonly #random: () => number;
  #names = 0;
  #ctes: Source[] = [];

  constructor(seed: number) {
    this.#random = randomSource(seed);
  }

  /** A query or a modification. Most are right; some the server will refuse for types or ambiguity. */
  statement(): string {
    this.#names = 0;
    this.#ctes = [];
    const kind = this.#random();
    if (kind < 0.68) return this.#with(() => this.#query(0, NO_SCOPE, 1 + this.#below(3)));
    if (kind < 0.78) return this.#with(() => this.#update());
    if (kind < 0.86) return this.#with(() => this.#delete());
    if (kind < 0.95) return this.#with(() => this.#insert());
    return this.#with(() => this.#merge());
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error("there is nothing to pick from");
    return item;
  }

  #fresh(prefix: string): string {
    // Sometimes a name that is a column's or a table's too.
    if (this.#chance(0.1)) return this.#pick(["email", "orders", "customers", "name", "id"]);
    return `${prefix}${++this.#names}`;
  }

  /** Sometimes a name that tables have too. */
  #alias(name: string): string {
    return this.#chance(0.2) ? this.#pick(["email", "id", "customer_id", "full_name"]) : name;
  }

  #with(body: () => string): string {
    const parts: string[] = [];
    const count = this.#chance(0.3) ? 1 + this.#below(2) : 0;
    for (let index = 0; index < count; index++) {
      const width = 1 + this.#below(3);
      const query = this.#query(1, NO_SCOPE, width);
      const name = this.#chance(0.2) ? this.#pick(["customers", "orders", "w"]) : this.#fresh("w");
      const isListed = this.#chance(0.6);
      const columns = Array.from({ length: width }, (_, at) => (isListed ? `c${at}` : `x${at}`));
      if (this.#ctes.some((cte) => cte.name === name)) continue;
      parts.push(
        `${name}${isListed ? ` (${columns.join(", ")})` : ""} AS ${this.#pick(["", "MATERIALIZED "])}(${query})`,
      );
      this.#ctes.push({ name, columns, isRow: true });
    }
    const main = body();
    return parts.length > 0 ? `WITH ${parts.join(", ")} ${main}` : main;
  }

  #query(depth: number, outer: Scope, width: number): string {
    if (depth < DEPTH_MAX && this.#chance(0.1)) {
      const operation = this.#pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
      const order = this.#chance(0.3) ? " ORDER BY 1" : "";
      return `(${this.#select(depth + 1, outer, width)}) ${operation} (${this.#select(depth + 1, outer, width)})${order}`;
    }
    return this.#select(depth, outer, width);
  }

  #select(depth: number, outer: Scope, width: number): string {
    const { text: from, sources } = this.#fromList(depth, outer);
    const scope: Scope = { sources, outer };
    const targets = Array.from({ length: width }, (_, index) => {
      if (depth === 0 && this.#chance(0.15)) {
        const source = this.#pick(sources);
        return this.#pick(["*", `${source.name}.*`, source.isRow ? source.name : "*", "count(*) OVER ()"]);
      }
      return `${this.#expression(depth, scope)} AS ${this.#chance(0.1) ? "email" : `x${index}`}`;
    });
    let text = `SELECT ${targets.join(", ")} FROM ${from}`;
    if (this.#chance(0.6)) text += ` WHERE ${this.#condition(depth, scope)}`;
    if (this.#chance(0.3))
      text += ` ORDER BY ${this.#pick(["1", this.#expression(depth, scope), this.#column(scope)])}`;
    if (this.#chance(0.3)) text += ` LIMIT ${this.#below(5)}`;
    if (depth === 0 && this.#chance(0.05))
      text += ` FOR ${this.#pick(["UPDATE", "SHARE", "NO KEY UPDATE", "KEY SHARE"])}`;
    return text;
  }

  #fromList(depth: number, outer: Scope): { text: string; sources: Source[] } {
    const sources: Source[] = [];
    const items: string[] = [];
    const count = 1 + (this.#chance(0.3) ? 1 : 0);
    for (let index = 0; index < count; index++) {
      const item = this.#fromItem(depth, outer, sources);
      items.push(item.text);
      sources.push(...item.sources);
    }
    return { text: items.join(", "), sources };
  }

  #fromItem(depth: number, outer: Scope, before: readonly Source[]): { text: string; sources: Source[] } {
    const kind = this.#random();
    if (kind < 0.3 && depth < DEPTH_MAX) return this.#join(depth, outer, before);
    if (kind < 0.4 && depth < DEPTH_MAX) {
      const isLateral = this.#chance(0.5);
      const inner: Scope = isLateral ? { sources: before, outer } : outer;
      const width = 1 + this.#below(2);
      const name = this.#fresh("s");
      const listed = Array.from({ length: this.#below(width + 1) }, (_, at) => this.#alias(`s${at}`));
      const rest = Array.from({ length: width - listed.length }, (_, at) => `x${listed.length + at}`);
      // Now and then the columns of a join, which are merged and moved.
      const isStar = this.#chance(0.25);
      const query = isStar
        ? "SELECT * FROM orders JOIN contacts USING (customer_id)"
        : this.#query(depth + 1, inner, width);
      const list = listed.length > 0 ? ` (${listed.join(", ")})` : "";
      const text = `${isLateral ? "LATERAL " : ""}(${query}) AS ${name}${list}`;
      return {
        text,
        sources: [{ name, columns: [...listed, ...(isStar ? ["amount", "alt_email"] : rest)], isRow: true }],
      };
    }
    if (kind < 0.45) {
      const name = this.#fresh("g");
      return { text: `generate_series(1, 2) AS ${name}`, sources: [{ name, columns: [name], isRow: false }] };
    }
    if (kind < 0.5) {
      const name = this.#fresh("f");
      const scope: Scope = { sources: before, outer };
      const value = this.#expression(DEPTH_MAX, scope);
      const text = `string_to_table(${value}, '-') WITH ORDINALITY AS ${name} (part, place)`;
      return { text, sources: [{ name, columns: ["part", "place"], isRow: true }] };
    }
    if (kind < 0.55) {
      const name = this.#fresh("v");
      return {
        text: `(VALUES ('a', 'b'), ('c', 'd')) AS ${name} (va, vb)`,
        sources: [{ name, columns: ["va", "vb"], isRow: true }],
      };
    }
    if (kind < 0.65 && this.#ctes.length > 0) {
      const cte = this.#pick(this.#ctes);
      const name = this.#chance(0.5) ? cte.name : this.#fresh("c");
      return { text: name === cte.name ? name : `${cte.name} AS ${name}`, sources: [{ ...cte, name }] };
    }
    return this.#relation();
  }

  #relation(): { text: string; sources: Source[] } {
    const [table, columns] = this.#pick(Object.entries(this.#chance(0.15) ? VIEWS : TABLES));
    const bare = table.slice("app.".length);
    const spelled = this.#chance(0.5) && !this.#ctes.some((cte) => cte.name === bare) ? bare : table;
    const only = this.#chance(0.1) ? "ONLY " : "";
    if (this.#chance(0.4)) return { text: `${only}${spelled}`, sources: [{ name: bare, columns, isRow: true }] };
    const name = this.#fresh("t");
    if (this.#chance(0.25)) {
      const listed = columns.slice(0, 1 + this.#below(columns.length)).map((_, index) => `l${index}`);
      const shown = [...listed, ...columns.slice(listed.length)];
      return {
        text: `${only}${spelled} AS ${name} (${listed.join(", ")})`,
        sources: [{ name, columns: shown, isRow: true }],
      };
    }
    return { text: `${only}${spelled} AS ${name}`, sources: [{ name, columns, isRow: true }] };
  }

  #join(depth: number, outer: Scope, before: readonly Source[]): { text: string; sources: Source[] } {
    const left = this.#fromItem(depth + 1, outer, before);
    const right = this.#fromItem(depth + 1, outer, [...before, ...left.sources]);
    const kind = this.#pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    const both = [...left.sources, ...right.sources];
    const common = (left.sources[0]?.columns ?? []).filter((column) => right.sources[0]?.columns.includes(column));
    let text: string;
    const how = this.#random();
    if (how < 0.15) text = `${left.text} NATURAL ${kind} ${right.text}`;
    else if (how < 0.4 && common.length > 0) {
      const using = this.#pick(common);
      const alias = this.#chance(0.2) ? ` AS u${++this.#names}` : "";
      text = `${left.text} ${kind} ${right.text} USING (${using})${alias}`;
    } else if (how < 0.5) text = `${left.text} CROSS JOIN ${right.text}`;
    else text = `${left.text} ${kind} ${right.text} ON ${this.#condition(depth + 1, { sources: both, outer })}`;
    if (this.#chance(0.1)) {
      const name = this.#fresh("j");
      if (this.#chance(0.4)) {
        const listed = [this.#alias("j0"), this.#alias("j1")];
        return {
          text: `(${text}) AS ${name} (${listed.join(", ")})`,
          sources: [{ name, columns: listed, isRow: true }],
        };
      }
      return {
        text: `(${text}) AS ${name}`,
        sources: [{ name, columns: both.flatMap((source) => source.columns), isRow: true }],
      };
    }
    return { text: this.#chance(0.3) ? `(${text})` : text, sources: both };
  }

  #column(scope: Scope): string {
    let from: Scope = scope;
    while (from.outer && (from.sources.length === 0 || this.#chance(0.25))) from = from.outer;
    if (from.sources.length === 0) return "'none'";
    const source = this.#pick(from.sources);
    const column = this.#pick(source.columns);
    return this.#chance(0.6) ? `${source.name}.${column}` : column;
  }

  /** Always of type text. */
  #expression(depth: number, scope: Scope): string {
    const kind = this.#random();
    if (kind < 0.55 || depth >= DEPTH_MAX) return `${this.#column(scope)}::text`;
    const inner = (): string => this.#expression(depth + 1, scope);
    const rows = scope.sources.filter((source) => source.isRow);
    if (kind < 0.6) return `lower(${inner()})`;
    if (kind < 0.65) return `(${inner()} || ${inner()})`;
    if (kind < 0.7) return `CASE WHEN ${this.#condition(depth + 1, scope)} THEN ${inner()} ELSE ${inner()} END`;
    if (kind < 0.78)
      return `(${this.#query(depth + 1, scope, 1)} LIMIT 1)`.replace(/ LIMIT \d+ LIMIT 1\)$/, " LIMIT 1)");
    if (kind < 0.81) return `coalesce(${inner()}, ${inner()})`;
    if (rows.length === 0) return inner();
    const row = this.#pick(rows);
    if (kind < 0.86) return `${row.name}::text`;
    if (kind < 0.9) return `row_to_json(${row.name})::text`;
    if (kind < 0.94) return `(${row.name}).${this.#pick(row.columns)}::text`;
    if (kind < 0.97) return `${this.#pick(row.columns)}(${row.name})::text`;
    return `(ROW(${row.name}.*))::text`;
  }

  #condition(depth: number, scope: Scope): string {
    const kind = this.#random();
    const left = this.#expression(depth + 1, scope);
    if (kind < 0.4) return `${left} = ${this.#expression(depth + 1, scope)}`;
    if (kind < 0.6) return `${left} LIKE 'a%'`;
    if (kind < 0.7) return `${left} IN ('a', ${this.#expression(depth + 1, scope)})`;
    if (kind < 0.78) return `${left} IS NOT NULL`;
    if (kind < 0.84) return `(${left} > 'a' OR ${this.#condition(depth + 1, scope)})`;
    if (kind < 0.9) return `${left} BETWEEN 'a' AND ${this.#expression(depth + 1, scope)}`;
    if (depth < DEPTH_MAX) return `EXISTS (${this.#query(depth + 1, scope, 1)})`;
    return "true";
  }

  #returning(scope: Scope): string {
    if (this.#chance(0.5)) return "";
    return ` RETURNING ${this.#pick(["*", this.#expression(1, scope), this.#expression(2, scope)])}`;
  }

  #target(): {
    table: string;
    name: string;
    spelled: string;
    columns: readonly string[];
    text: readonly string[];
    key: string;
  } {
    const [table, { text, key }] = this.#pick(Object.entries(WRITABLE));
    const isAliased = this.#chance(0.5);
    const name = isAliased ? `d${++this.#names}` : table.slice("app.".length);
    const columns = TABLES[table] ?? [];
    return { table, name, spelled: isAliased ? `${table} AS ${name}` : table, columns, text, key };
  }

  #update(): string {
    const target = this.#target();
    const own: Source = { name: target.name, columns: target.columns, isRow: true };
    const from = this.#chance(0.4) ? this.#fromItem(2, NO_SCOPE, []) : null;
    const scope: Scope = { sources: [own, ...(from?.sources ?? [])], outer: null };
    const column = this.#pick(target.text);
    const value = this.#expression(1, scope);
    const set = this.#chance(0.2) ? `(${column}) = (SELECT ${value})` : `${column} = ${value}`;
    const where = this.#chance(0.7) ? ` WHERE ${this.#condition(1, scope)}` : "";
    return `UPDATE ${target.spelled} SET ${set}${from ? ` FROM ${from.text}` : ""}${where}${this.#returning(scope)}`;
  }

  #delete(): string {
    const target = this.#target();
    const own: Source = { name: target.name, columns: target.columns, isRow: true };
    const using = this.#chance(0.4) ? this.#fromItem(2, NO_SCOPE, []) : null;
    const scope: Scope = { sources: [own, ...(using?.sources ?? [])], outer: null };
    const where = ` WHERE ${this.#condition(1, scope)}`;
    return `DELETE FROM ${target.spelled}${using ? ` USING ${using.text}` : ""}${where}${this.#returning(scope)}`;
  }

  #insert(): string {
    const target = this.#target();
    const own: Source = { name: target.name, columns: target.columns, isRow: true };
    const excluded: Source = { name: "excluded", columns: target.columns, isRow: true };
    const column = this.#pick(target.text);
    const id = 1000 + this.#below(1000);
    const source = this.#chance(0.5)
      ? `VALUES (${id}, 'x')`
      : `SELECT ${id}, ${this.#expression(1, NO_SCOPE)} FROM app.products`;
    let conflict = "";
    if (this.#chance(0.5)) {
      const scope: Scope = { sources: [own, excluded], outer: null };
      const where = this.#chance(0.5) ? ` WHERE ${this.#condition(2, scope)}` : "";
      conflict = this.#chance(0.3)
        ? " ON CONFLICT DO NOTHING"
        : ` ON CONFLICT (${target.key}) DO UPDATE SET ${column} = ${this.#expression(2, scope)}${where}`;
    }
    const returning = this.#returning({ sources: [own], outer: null });
    return `INSERT INTO ${target.spelled} (${target.key}, ${column}) ${source}${conflict}${returning}`;
  }

  #merge(): string {
    const target = this.#target();
    const own: Source = { name: target.name, columns: target.columns, isRow: true };
    const source = this.#relation();
    const scope: Scope = { sources: [own, ...source.sources], outer: null };
    const only: Scope = { sources: source.sources, outer: null };
    const column = this.#pick(target.text);
    const clauses = [
      `WHEN MATCHED AND ${this.#condition(2, scope)} THEN UPDATE SET ${column} = ${this.#expression(2, scope)}`,
      `WHEN MATCHED THEN ${this.#pick(["DELETE", "DO NOTHING"])}`,
      `WHEN NOT MATCHED THEN INSERT (${target.key}, ${column}) VALUES (7000, ${this.#expression(2, only)})`,
    ].filter(() => this.#chance(0.7));
    if (clauses.length === 0) clauses.push("WHEN MATCHED THEN DO NOTHING");
    return `MERGE INTO ${target.spelled} USING ${source.text} ON ${this.#condition(2, scope)} ${clauses.join(" ")}`;
  }
}
