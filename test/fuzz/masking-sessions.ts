/** Random sessions of a client that reads and writes around masked columns: what it sends, unit by unit. */
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../adapters/postgres/protocol/frontend.ts";
import { bind } from "../e2e/postgres/messages.ts";
import { Changes } from "./masking-changes.ts";
import type { FixedCase } from "./masking-finds.ts";
import { Queries } from "./masking-queries.ts";
import { Random } from "./masking-random.ts";
import { MASKED_RELATIONS } from "./masking-schema.ts";

/** What is sent in one write; the answer is complete with so many ReadyForQuery. */
export type Unit = {
  readonly words: string;
  readonly bytes: Uint8Array;
  readonly readies: number;
  readonly statements: number;
  /** Masked relations stand in it. */
  readonly isTouching: boolean;
  /** A masked column is compared with a parameter in it, as policy may allow. */
  readonly isComparing: boolean;
  /** It may change what other sessions see. */
  readonly isWriting: boolean;
  /** The second connection of the session. */
  readonly isAside: boolean;
};

export type Session = { readonly number: number; readonly units: readonly Unit[] };

const UNITS_MIN = 20;
const UNITS_MAX = 60;

/**
 * The session with this number of the run with this seed: always the same. `compares`: its statements compare masked
 * columns with parameters.
 */
export function sessionOf(seed: number, number: number, compares = false): Session {
  // Neighbouring numbers must not give neighbouring choices.
  const random = new Random(Math.imul(seed ^ (number * 0x9e3779b9), 0x85ebca6b));
  return { number, units: new Writer(random, compares).session() };
}

/** Simple queries, one after the other, as a session. */
export function caseOf({ statements }: FixedCase, number: number): Session {
  const units = statements.map((sql) => ({
    words: `Query ${sql}`,
    bytes: encodeQuery(sql),
    readies: 1,
    statements: 1,
    isTouching: true,
    isComparing: false,
    isWriting: true,
    isAside: false,
  }));
  return { number, units };
}

/** Texts that governed sessions mostly may not run, and odd ones. */
const OTHERS = [
  "CREATE TEMP TABLE t AS SELECT email FROM app.customers",
  "CREATE TEMP TABLE customers (id int, email text)",
  "SELECT * FROM pg_stats WHERE tablename = 'customers'",
  "SELECT query_to_xml('SELECT email FROM app.customers', true, false, '')",
  "SELECT app.get_email(1)",
  "SELECT app.label(c) FROM app.customers c",
  "SELECT c.label FROM app.customers c",
  "SELECT 1::app.contact_card",
  "SELECT id FROM app.customers WHERE 'canary-0001@secret.example' OPERATOR(app.=~=) id",
  "SELECT app.collect(email) FROM app.customers",
  "SELECT set_config('application_name', email, false) FROM app.customers WHERE id = 1",
  "SELECT setval('app.orders_id_seq', length(email)) FROM app.customers WHERE id = 1",
  "SELECT pg_advisory_xact_lock(length(email)) FROM app.customers",
  "DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM app.customers LIMIT 1); END $$",
  "CALL app.announce(1)",
  "TRUNCATE app.contacts",
  "LOCK TABLE app.customers",
  "ANALYZE app.customers",
  "SELECT relname, relpages, reltuples FROM pg_class WHERE relname = 'customers'",
  "SELECT attname, attnum FROM pg_attribute WHERE attrelid = 'app.customers'::regclass ORDER BY 2",
  "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'customers' ORDER BY 1",
  "SELECT pg_get_viewdef('app.customer_directory'::regclass)",
  "SELECT * FROM app.find_customers('P%')",
  "SELECT ctid, tableoid::regclass, email FROM app.customers",
  "SELECT c.ctid, c.email FROM app.customers c WHERE c.ctid = '(0,3)'",
  "SELECT ctid, * FROM app.customers WHERE email LIKE 'canary%'",
  "SELECT c.*, c.tableoid::regclass, o.id FROM app.customers c JOIN app.orders o ON o.note = c.email OR o.id = c.id",
  "SELECT length(email), octet_length(c::text), pg_column_size(email), pg_column_size(c) FROM app.customers c",
  "SELECT nonsense FROM app.customers",
  "SELECT email FROM app.customers WHERE",
  "SELECT * FROM app.customers c, LATERAL (SELECT c.*) x",
  "SELECT email FROM app.customers TABLESAMPLE BERNOULLI (50) REPEATABLE (7)",
  "SELECT a.* FROM pg_attribute a WHERE a.attrelid = 'app.customers'::regclass ORDER BY a.attnum",
  "SELECT p.proname, p.prosrc, p FROM pg_proc p WHERE p.proname IN ('get_email', 'label') ORDER BY 1",
  "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'app' ORDER BY 1, 2",
  "SELECT n.nspname, n.xmin IS NULL FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg%' ORDER BY 1",
  "SELECT set_config('TimeZone', 'Asia/Tokyo', true) FROM app.customers WHERE email LIKE 'canary-0001%'",
  "SELECT set_config('DateStyle', 'German', email LIKE 'canary%') FROM app.customers",
  "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname LIKE 'cust%' ORDER BY 1",
  "COPY pg_proc TO STDOUT",
  "SHOW search_path",
  "SELECT current_user = session_user, current_setting('search_path')",
] as const;

const SETTINGS = [
  "SET extra_float_digits = 0",
  "SET client_min_messages = debug1",
  "SET DateStyle = 'German'",
  "SET TIME ZONE 'UTC'",
  "SET application_name = 'fuzz'",
  "SET enable_hashjoin = off",
  "SET enable_seqscan = off",
  "SET work_mem = '64kB'",
  "SET search_path = scratch, app",
  "SET search_path TO app, public",
  "SET LOCAL search_path TO app, public",
  "SELECT set_config('search_path', 'app, public', false)",
  "SET standard_conforming_strings = off",
  "SET bytea_output = 'escape'",
  "RESET ALL",
  "SHOW TimeZone",
  "DISCARD PLANS",
] as const;

class Writer {
  readonly #random: Random;
  readonly #queries: Queries;
  readonly #changes: Changes;
  readonly #units: Unit[] = [];
  #isAside = false;

  constructor(random: Random, compares: boolean) {
    this.#random = random;
    this.#queries = new Queries(random, compares);
    this.#changes = new Changes(random, this.#queries);
  }

  session(): readonly Unit[] {
    const size = this.#random.between(UNITS_MIN, UNITS_MAX);
    while (this.#units.length < size) this.#next();
    return this.#units;
  }

  #next(): void {
    this.#random.weighted<void>([
      [60, () => this.#read()],
      [7, () => this.#transaction()],
      [1, () => this.#committed()],
      [4, () => this.#cursor()],
      [4, () => this.#preparedInSql()],
      [4, () => this.#preparedInProtocol()],
      [5, () => this.#copyOut()],
      [1, () => this.#copyIn()],
      [4, () => this.#explain()],
      [2, () => this.#simple(this.#random.pick(SETTINGS))],
      [3, () => this.#other()],
      [2, () => this.#severalInOne()],
      [2, () => this.#pipeline()],
      [1, () => this.#notifications()],
      [2, () => this.#aside()],
    ]);
  }

  #add(words: string, parts: readonly Uint8Array[], more: Partial<Unit> = {}): void {
    this.#units.push({
      words: this.#isAside ? `(aside) ${words}` : words,
      bytes: Buffer.concat(parts),
      readies: 1,
      statements: 1,
      isTouching: this.#queries.isTouching,
      isComparing: this.#queries.hasCompared,
      isWriting: false,
      isAside: this.#isAside,
      ...more,
    });
  }

  #simple(sql: string, more: Partial<Unit> = {}): void {
    this.#add(`Query ${sql}`, [encodeQuery(sql)], more);
  }

  /** A query as a simple or as an extended one. */
  #read(): void {
    const isExtended = this.#random.chance(0.5);
    const sql = this.#query(isExtended);
    if (isExtended) this.#extended(sql);
    else this.#simple(sql);
  }

  #query(parameters: boolean, depth = this.#random.between(1, 3)): string {
    this.#queries.start(parameters);
    const sql = this.#queries.query(depth);
    return this.#random.chance(0.05) ? `/* ${this.#random.pick(["x", "; --", "' "])} */ ${sql} -- end` : sql;
  }

  #extended(sql: string, more: Partial<Unit> = {}): void {
    const { words, parts } = this.#run(sql);
    this.#add(words, [...parts, encodeSync()], more);
  }

  /** Parse, Bind, Describe and Execute through the unnamed statement, in some format. */
  #run(sql: string): { words: string; parts: readonly Uint8Array[] } {
    const values = this.#queries.expressions.parameters ?? [];
    const resultFormats = this.#random.pick([[], [], [0], [1], [1]]);
    const described = this.#random.pick(["statement", "portal", "portal", null]);
    const parts = [encodeParse("", sql)];
    if (described === "statement") parts.push(encodeDescribe("statement", ""));
    parts.push(bind("", "", values, { resultFormats }));
    if (described === "portal") parts.push(encodeDescribe("portal", ""));
    parts.push(encodeExecute("", 0));
    return { words: `run [${resultFormats.join()}] ${sql} ${JSON.stringify(values)}`, parts };
  }

  #change(more: Partial<Unit> = {}): void {
    const isExtended = this.#random.chance(0.4);
    this.#queries.start(isExtended);
    const sql = this.#changes.change();
    if (isExtended) this.#extended(sql, more);
    else this.#simple(sql, more);
  }

  /** Changes that are mostly taken back. */
  #transaction(): void {
    this.#plain(this.#random.pick(["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"]));
    for (let left = this.#random.between(1, 4); left > 0; left--) {
      const isSaved = this.#random.chance(0.85);
      if (isSaved) this.#plain("SAVEPOINT s");
      this.#random.weighted<void>([
        [3, () => this.#change()],
        [1, () => this.#read()],
      ]);
      if (isSaved) this.#plain(this.#random.chance(0.85) ? "ROLLBACK TO s" : "RELEASE s");
      if (this.#random.chance(0.5)) this.#read();
    }
    if (this.#random.chance(0.2)) this.#plain("COMMIT", { isWriting: true });
    else this.#plain("ROLLBACK");
  }

  /** What reads and writes nothing is not counted as a statement. */
  #plain(sql: string, more: Partial<Unit> = {}): void {
    this.#queries.start(false);
    this.#simple(sql, { statements: 0, ...more });
  }

  #committed(): void {
    this.#change({ isWriting: true });
    this.#simple("SELECT id, note FROM app.orders ORDER BY id LIMIT 30");
  }

  #cursor(): void {
    const sql = this.#query(false, 2);
    const isHeld = this.#random.chance(0.3);
    const scroll = this.#random.pick(["", "SCROLL ", "BINARY "]);
    const { isTouching } = this.#queries;
    if (!isHeld) this.#plain("BEGIN");
    this.#simple(`DECLARE c ${scroll}CURSOR ${isHeld ? "WITH HOLD " : ""}FOR ${sql}`, { isTouching });
    for (let left = this.#random.between(1, 3); left > 0; left--) {
      const fetch = this.#random.pick([
        "FETCH 2 FROM c",
        "FETCH ALL FROM c",
        "MOVE 1 IN c",
        "FETCH PRIOR FROM c",
        "FETCH c",
        "FETCH FIRST FROM c",
      ]);
      if (this.#random.chance(0.5)) this.#simple(fetch, { isTouching });
      else {
        this.#queries.start(false);
        this.#extended(fetch, { isTouching });
      }
    }
    if (this.#random.chance(0.2))
      this.#simple("UPDATE app.customers SET balance = 1 WHERE CURRENT OF c RETURNING *", { isTouching: true });
    if (isHeld) this.#plain("CLOSE c");
    else this.#plain("ROLLBACK");
  }

  #preparedInSql(): void {
    const sql = this.#query(false, 2);
    const { isTouching } = this.#queries;
    this.#simple(`PREPARE p (text) AS ${sql}`, { isTouching });
    const execute = (): string =>
      this.#random.pick([
        "EXECUTE p ('x')",
        "EXECUTE p ('canary-0001@secret.example')",
        "EXPLAIN (COSTS OFF) EXECUTE p ('x')",
      ]);
    for (let left = this.#random.between(1, 2); left > 0; left--) this.#simple(execute(), { isTouching });
    this.#plain("DEALLOCATE p");
  }

  #preparedInProtocol(): void {
    const sql = this.#query(true, 2);
    const { isTouching } = this.#queries;
    const values = this.#queries.expressions.parameters ?? [];
    this.#add(`Parse "n" ${sql}`, [encodeParse("n", sql), encodeDescribe("statement", "n"), encodeSync()]);
    const rowsMax = this.#random.below(3);
    const format = this.#random.below(2);
    const parts = [
      bind("q", "n", values, { resultFormats: [format] }),
      encodeDescribe("portal", "q"),
      encodeExecute("q", rowsMax),
    ];
    if (rowsMax > 0) parts.push(encodeExecute("q", rowsMax));
    this.#add(`Bind "q" "n" [${format}] ${JSON.stringify(values)}, Execute "q" ${rowsMax}`, [...parts, encodeSync()], {
      isTouching,
    });
    if (this.#random.chance(0.3)) this.#simple("EXECUTE n", { isTouching });
    this.#add('Close "n"', [encodeClose("statement", "n"), encodeSync()], { statements: 0 });
  }

  #copyOut(): void {
    const options = this.#random.pick([
      "",
      " (FORMAT csv, HEADER)",
      " WITH (FORMAT binary)",
      " (FORMAT csv, FORCE_QUOTE *)",
    ]);
    if (this.#random.chance(0.5)) {
      const sql = this.#query(false, 2);
      return this.#simple(`COPY (${sql.replace(/ -- end$/u, "")}) TO STDOUT${options}`);
    }
    this.#queries.start(false);
    const relation = this.#random.chance(0.8) ? this.#random.pick(MASKED_RELATIONS) : this.#queries.relation();
    if (relation.hasTime) return this.#read();
    this.#queries.isTouching = relation.isMasked;
    const columns = this.#random.chance(0.5)
      ? ""
      : ` (${relation.columns
          .map(({ name }) => name)
          .slice(0, this.#random.between(1, 4))
          .join(", ")})`;
    this.#simple(`COPY ${this.#queries.relationName(relation)}${columns} TO STDOUT${options}`);
  }

  #copyIn(): void {
    this.#queries.start(false);
    const [sql, data] = this.#random.pick([
      ["COPY app.products (id, name, price) FROM STDIN", "801\tcopied\t2\n802\tcopied\t3\n"],
      ["COPY app.products (id, name, price) FROM STDIN", "1\tdouble\t2\n"],
      ["COPY app.orders (customer_id, amount, note, placed_at) FROM STDIN (FORMAT csv)", "1,2,x,2024-01-01Z\n"],
      ["COPY app.customers (id, full_name) FROM STDIN", "1\tx\n"],
      ["COPY app.contacts (id, customer_id, alt_email) FROM STDIN", "900\t1\tcopied@x.example\n901\t999\tx@x\n"],
    ]);
    this.#add(
      `Query ${sql}, CopyData ${JSON.stringify(data)}`,
      [encodeQuery(sql), encodeCopyData(Buffer.from(data)), encodeCopyDone()],
      {
        isTouching: sql.includes("customers") || sql.includes("contacts"),
        isWriting: true,
      },
    );
  }

  /** Without costs: they are made from the sizes of tables, and thus of what is in them. */
  #explain(): void {
    const options = this.#random.pick([
      "(COSTS OFF)",
      "(COSTS OFF)",
      "(COSTS OFF, VERBOSE)",
      "(ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)",
      "(ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)",
      "(FORMAT json, COSTS OFF)",
    ]);
    if (this.#random.chance(0.3)) {
      this.#queries.start(false);
      const sql = this.#changes.change();
      const isRun = options.includes("ANALYZE");
      return this.#simple(`EXPLAIN ${options} ${sql}`, { isWriting: isRun });
    }
    this.#simple(`EXPLAIN ${options} ${this.#query(false, 2)}`);
  }

  #other(): void {
    this.#queries.start(false);
    const sql = this.#random.pick(OTHERS);
    const more = { isTouching: sql.includes("customers"), isWriting: sql.startsWith("TRUNCATE") };
    if (this.#random.chance(0.5)) this.#simple(sql, more);
    else this.#extended(sql, more);
  }

  #severalInOne(): void {
    const parts = this.#random.many(2, 3, () => this.#query(false, 1));
    const isWriting = this.#random.chance(0.3);
    if (isWriting) {
      this.#queries.start(false);
      parts.push(this.#changes.change());
    }
    this.#queries.isTouching = true;
    // What ends in a comment would hide what follows.
    const sql = parts.map((part) => part.replace(/ -- end$/u, "")).join("; ");
    this.#simple(sql, { statements: parts.length, isWriting });
  }

  /** Several extended queries in one segment. */
  #pipeline(): void {
    const words: string[] = [];
    const parts: Uint8Array[] = [];
    const count = this.#random.between(2, 4);
    for (let index = 0; index < count; index++) {
      const run = this.#run(this.#query(true, 1));
      words.push(run.words);
      parts.push(...run.parts);
    }
    this.#add(words.join(", "), [...parts, encodeSync()], { statements: count, isTouching: true });
  }

  #notifications(): void {
    this.#plain(`LISTEN ${this.#random.pick(["jobs", "customer_changed"])}`);
    this.#plain(this.#random.pick(["NOTIFY jobs, 'done'", "NOTIFY customer_changed"]));
    if (this.#random.chance(0.5)) {
      this.#simple("UPDATE app.customers SET balance = balance WHERE id = 2", { isTouching: true, isWriting: true });
      this.#plain("SELECT 1");
    }
    this.#plain("UNLISTEN *");
  }

  /** The other connection reads, so that neither ever waits for the other. */
  #aside(): void {
    this.#isAside = true;
    for (let left = this.#random.between(1, 3); left > 0; left--) {
      const sql = this.#query(false).replaceAll(/ FOR (?:UPDATE|SHARE|NO KEY UPDATE)/gu, "");
      this.#simple(sql);
    }
    this.#isAside = false;
  }
}
