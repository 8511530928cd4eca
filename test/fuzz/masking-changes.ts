/** Random statements that change data: rows of open relations made from masked ones, and of masked relations as far as that is allowed. */
import type { Scope, Source } from "./masking-expressions.ts";
import type { Queries } from "./masking-queries.ts";
import type { Random } from "./masking-random.ts";
import { MASKED_RELATIONS, OPEN_RELATIONS, type Relation } from "./masking-schema.ts";

/** Values that are no secrets of anybody. */
const WRITTEN = ["fresh@x.example", "other@x.example", "***", "1-2-3"] as const;

export class Changes {
  readonly #random: Random;
  readonly #queries: Queries;
  #ids = 1000;

  constructor(random: Random, queries: Queries) {
    this.#random = random;
    this.#queries = queries;
  }

  change(): string {
    return this.#random.weighted<string>([
      [3, () => this.#updateOrders()],
      [2, () => this.#insertOrders()],
      [2, () => this.#upsertProducts()],
      [2, () => this.#deleteOpen()],
      [2, () => this.#merge()],
      [4, () => this.#updateMasked()],
      [2, () => this.#insertMasked()],
      [2, () => this.#deleteMasked()],
      [2, () => this.#within()],
    ]);
  }

  #updateOrders(): string {
    const scope = this.#target("orders", "o");
    const { expressions } = this.#queries;
    const [from, more] = this.#using();
    const where = this.#random.chance(0.7)
      ? ` WHERE o.id ${this.#random.pick(["=", "<"])} ${this.#random.between(1, 9)}`
      : "";
    const joined = more.length === 0 ? where : `${where === "" ? " WHERE" : `${where} AND`} u.id = o.customer_id`;
    const set = `note = ${expressions.of("text", [...scope, ...more], 2)}`;
    return `UPDATE app.orders o SET ${set}${from === "" ? "" : ` FROM ${from}`}${joined}${this.#returning([...scope, ...more])}`;
  }

  #using(): readonly [string, Scope] {
    if (this.#random.chance(0.5)) return ["", []];
    this.#queries.isTouching = true;
    return ["app.customers u", this.#target("customers", "u")];
  }

  #insertOrders(): string {
    const { expressions } = this.#queries;
    const columns = "(customer_id, amount, note, placed_at)";
    if (this.#random.chance(0.5)) {
      const text = expressions.of("text", [], 2);
      return `INSERT INTO app.orders ${columns} VALUES (${this.#random.between(1, 22)}, 1.5, ${text}, '2024-01-01Z')${this.#returning(this.#target("orders", "orders"))}`;
    }
    this.#queries.isTouching = true;
    const scope = this.#target("customers", "c");
    return `INSERT INTO app.orders ${columns} SELECT c.id, 2, ${expressions.of("text", scope, 2)}, c.created_at FROM app.customers c WHERE c.id < ${this.#random.between(1, 6)}${this.#returning(this.#target("orders", "orders"))}`;
  }

  #upsertProducts(): string {
    const { expressions } = this.#queries;
    const scope = this.#target("products", "p");
    const name = expressions.of("text", scope, 1);
    return `INSERT INTO app.products AS p (id, name, price) VALUES (${this.#random.between(1, 15)}, 'made', 3) ON CONFLICT (id) DO ${this.#random.pick(["NOTHING", `UPDATE SET name = ${name}`, "UPDATE SET name = EXCLUDED.name || p.name"])}${this.#returning(scope)}`;
  }

  #deleteOpen(): string {
    const scope = this.#target("orders", "o");
    const { expressions } = this.#queries;
    if (this.#random.chance(0.5)) {
      return `DELETE FROM app.orders o WHERE ${expressions.condition(scope, 2)}${this.#returning(scope)}`;
    }
    this.#queries.isTouching = true;
    const both = [...scope, ...this.#target("customers", "c")];
    return `DELETE FROM app.orders o USING app.customers c WHERE c.id = o.customer_id AND ${expressions.condition(both, 1)}${this.#returning(both)}`;
  }

  #merge(): string {
    this.#queries.isTouching = true;
    const { expressions } = this.#queries;
    const both = [...this.#target("products", "p"), ...this.#target("customers", "c")];
    const matched = this.#random.pick([`UPDATE SET name = ${expressions.of("text", both, 2)}`, "DO NOTHING"]);
    const missing = this.#random.pick(["DO NOTHING", "INSERT (id, name, price) VALUES (c.id, c.email, 1)"]);
    const when = this.#random.chance(0.3) ? ` AND ${expressions.condition(both, 0)}` : "";
    return `MERGE INTO app.products p USING app.customers c ON p.id = c.id WHEN MATCHED${when} THEN ${matched} WHEN NOT MATCHED THEN ${missing}`;
  }

  #updateMasked(): string {
    this.#queries.isTouching = true;
    const { expressions } = this.#queries;
    const relation = this.#random.pick(["customers", "customers", "contacts", "events"]);
    const scope = this.#target(relation, "m");
    const open: Readonly<Record<string, readonly string[]>> = {
      customers: [
        "balance = m.balance + 1",
        "full_name = 'n'",
        "balance = -99999999",
        "id = m.id + 1",
        "created_at = m.created_at",
      ],
      contacts: ["customer_id = 2", "id = m.id + 10", "customer_id = 999"],
      events: ["kind = 'x'", "payload = '{}'", "occurred_at = '2031-01-01Z'"],
    };
    const set = this.#random.weighted<string>([
      [6, () => this.#random.pick(open[relation] ?? [])],
      [1, () => `${relation === "contacts" ? "alt_email" : "email"} = '${this.#random.pick(WRITTEN)}'`],
      [
        1,
        () =>
          `${relation === "customers" ? "full_name" : "id"} = ${expressions.of(relation === "customers" ? "text" : "int", scope, 1)}`,
      ],
    ]);
    const where = this.#random.chance(0.75) ? `m.id = ${this.#random.between(1, 21)}` : expressions.condition(scope, 1);
    return `UPDATE app.${relation} m SET ${set} WHERE ${where}${this.#returning(scope)}`;
  }

  #insertMasked(): string {
    this.#queries.isTouching = true;
    const id = ++this.#ids;
    const value = this.#random.pick(WRITTEN);
    const returning = (name: string): string => this.#returning(this.#target(name, name));
    return this.#random.weighted<string>([
      [
        3,
        () =>
          `INSERT INTO app.customers (id, full_name, email, ssn, card_number, created_at) VALUES (${this.#random.chance(0.7) ? id : 3}, 'New', '${id}${value}', '1', '2', '2024-01-01Z')${returning("customers")}`,
      ],
      [
        1,
        () =>
          `INSERT INTO app.contacts (id, customer_id, alt_email) VALUES (${id}, ${this.#random.between(1, 25)}, '${value}')${returning("contacts")}`,
      ],
      [
        1,
        () =>
          `INSERT INTO app.events VALUES (${id}, 1, 'e', 'k', '{}', '${this.#random.pick(["2024-03-01Z", "2030-01-01Z"])}')${returning("events")}`,
      ],
    ]);
  }

  #deleteMasked(): string {
    this.#queries.isTouching = true;
    const relation = this.#random.pick(["customers_vip", "contacts", "events", "customers"]);
    const scope = this.#target(relation, "m");
    const where = this.#random.chance(0.7)
      ? `m.id = ${this.#random.between(1, 103)}`
      : this.#queries.expressions.condition(scope, 1);
    return `DELETE FROM app.${relation} m WHERE ${where}${this.#returning(scope)}`;
  }

  #within(): string {
    const kinds = this.#random.pick([
      this.#updateOrders(),
      this.#deleteOpen(),
      this.#updateMasked(),
      this.#insertOrders(),
    ]);
    const text = kinds.includes("RETURNING") ? kinds : `${kinds} RETURNING 1 AS c1`;
    return `WITH d AS (${text}) SELECT * FROM d`;
  }

  #returning(scope: Scope): string {
    if (this.#random.chance(0.35)) return "";
    const { expressions } = this.#queries;
    const [first] = scope;
    const items = this.#random.many(1, 3, () =>
      this.#random.weighted<string>([
        [2, () => "*"],
        [first === undefined ? 0 : 1, () => `${first?.alias ?? ""}.*`],
        [4, () => column(this.#random, scope)],
        [2, () => expressions.of(this.#random.pick(["text", "int"]), scope, 1)],
      ]),
    );
    return ` RETURNING ${items.join(", ")}`;
  }

  #target(name: string, alias: string): readonly [Source] {
    const { columns } = relationNamed(name);
    return [{ alias, columns, isRow: true, schema: null }];
  }
}

function column(random: Random, scope: Scope): string {
  const source = random.pick(scope);
  return `${source.alias}.${random.pick(source.columns).name}`;
}

function relationNamed(name: string): Relation {
  const found = [...MASKED_RELATIONS, ...OPEN_RELATIONS].find((relation) => relation.name === name);
  if (found === undefined) throw new Error(`there is no relation ${name}`);
  return found;
}
