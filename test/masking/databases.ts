/** A server with the masking corpus' database, its twin (the same but for the secrets), and as many copies of both as wanted. */
import { Client, Pool } from "pg";
import { corpusSchema, corpusTwin, newerSchema, newerTwin } from "../corpus/masking.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { endInTime } from "../end-in-time.ts";

export type Side = "original" | "twin";

const TEMPLATE: Readonly<Record<Side, string>> = { original: "template_original", twin: "template_twin" };

/** What some attacks need: slots that decode, and the texts of other sessions. */
const SETTINGS = {
  wal_level: "logical",
  shared_preload_libraries: "pg_stat_statements",
  max_connections: 200,
  jit: false,
};

/** The tables of one database as they were. */
export type Kept = { restore(): Promise<void>; end(): Promise<void> };

export class CorpusServer {
  readonly postgres: PostgresServer;
  readonly #admin: Pool;
  #copies = 0;

  private constructor(postgres: PostgresServer, admin: Pool) {
    this.postgres = postgres;
    this.#admin = admin;
  }

  /**
   * `settings`: further lines of postgresql.conf. `prepare` is run on the original before anything is copied from it.
   * `isNewer`: with what servers newer than 15 have besides.
   */
  static async start(
    options: {
      readonly isNewer?: boolean;
      readonly settings?: Readonly<Record<string, string | number | boolean>>;
      readonly prepare?: (server: PostgresServer, database: string) => Promise<void>;
    } = {},
  ): Promise<CorpusServer> {
    const postgres = await startPostgres({ settings: { ...SETTINGS, ...options.settings } });
    const admin = new Pool({ connectionString: postgres.url(), max: 4 });
    admin.on("error", () => {}); // The next query tells.
    try {
      await admin.query(`CREATE DATABASE ${TEMPLATE.original}`);
      postgres.psql(corpusSchema(), TEMPLATE.original);
      if (options.isNewer === true) postgres.psql(newerSchema(), TEMPLATE.original);
      await options.prepare?.(postgres, TEMPLATE.original);
      const server = new CorpusServer(postgres, admin);
      // A physical copy: OIDs are the same on both sides.
      await server.#copy(TEMPLATE.original, TEMPLATE.twin);
      postgres.psql(corpusTwin(), TEMPLATE.twin);
      if (options.isNewer === true) postgres.psql(newerTwin(), TEMPLATE.twin);
      // Where rows lie on disk is no secret: both are laid out anew, and counted.
      for (const database of Object.values(TEMPLATE)) postgres.psql("VACUUM FULL; ANALYZE", database);
      return server;
    } catch (error) {
      await admin.end();
      await postgres.stop();
      throw error;
    }
  }

  /** Makes a fresh copy and resolves to its name. */
  async copy(side: Side): Promise<string> {
    // The names of both sides are equally long, so that what mentions them is too.
    const name = `${side.slice(0, 4)}_${`${++this.#copies}`.padStart(5, "0")}`;
    await this.#copy(TEMPLATE[side], name);
    return name;
  }

  async #copy(from: string, to: string): Promise<void> {
    // Whoever was connected to the template may still be on the way out.
    await this.#admin.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
      [from],
    );
    await this.#admin.query(`CREATE DATABASE ${to} TEMPLATE ${from}`);
    // Who may do what in a database, and with which settings, is not in it.
    await this.#admin.query(`
      BEGIN;
      SET LOCAL allow_system_table_mods = on;
      UPDATE pg_database SET datacl = (SELECT datacl FROM pg_database WHERE datname = '${from}') WHERE datname = '${to}';
      INSERT INTO pg_db_role_setting SELECT (SELECT oid FROM pg_database WHERE datname = '${to}'), setrole, setconfig FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = '${from}');
      COMMIT`);
  }

  /** Keeps what is in the tables of a copy, so that it can be put back without making the copy anew. */
  async keep(database: string): Promise<Kept> {
    const client = new Client({ connectionString: this.postgres.url(database) });
    client.on("error", () => {}); // The next query tells.
    await client.connect();
    const { rows } = await client.query<{ relation: string; kept: string; columns: string }>(`
      SELECT attrelid::regclass::text AS relation, 'kept_' || attrelid AS kept,
        string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' AND attnum > 0 AND attgenerated = '' AND NOT attisdropped
      GROUP BY attrelid ORDER BY attrelid`);
    const each = (sql: (row: (typeof rows)[number]) => string): string => rows.map(sql).join("; ");
    await client.query(
      each(({ relation, kept, columns }) => `CREATE TEMP TABLE ${kept} AS SELECT ${columns} FROM ONLY ${relation}`),
    );
    await client.query("SET session_replication_role = replica");
    const refill = [
      "BEGIN",
      `TRUNCATE ${rows.map(({ relation }) => relation).join(", ")}`,
      each(({ relation, kept, columns }) => `INSERT INTO ${relation} (${columns}) SELECT * FROM ${kept}`),
      "COMMIT",
    ].join("; ");
    // Else plans would be made from widths of columns, those of secrets too, instead of counted rows.
    const restore = [refill, `ANALYZE ${rows.map(({ relation }) => relation).join(", ")}`];
    return {
      restore: async () => {
        for (const sql of restore) await client.query(sql);
      },
      end: async () => endInTime("a connection", client.end()),
    };
  }

  async drop(database: string): Promise<void> {
    const { rows } = await this.#admin.query<{ name: string }>(
      "SELECT slot_name AS name FROM pg_replication_slots WHERE database = $1",
      [database],
    );
    for (const { name } of rows) await this.#admin.query("SELECT pg_drop_replication_slot($1)", [name]);
    await this.#admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
  }

  /** Runs statements as the superuser in a database; answers with the first column of the last one's first row as text. */
  async superuser(database: string, ...statements: readonly string[]): Promise<string> {
    const client = new Client({ connectionString: this.postgres.url(database) });
    await client.connect();
    try {
      let value = "";
      for (const sql of statements) {
        const { rows } = await client.query<(string | number)[]>({ text: sql, rowMode: "array" });
        const [first] = rows;
        value = `${first?.[0] ?? ""}`;
      }
      return value;
    } finally {
      await endInTime("a connection", client.end());
    }
  }

  /** Grows with whatever changes something in any database of the server, but also with what is rolled back. */
  async changes(): Promise<string> {
    const { rows } = await this.#admin.query<{ xmax: string }>(
      "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xmax",
    );
    return rows[0]?.xmax ?? "";
  }

  async stop(): Promise<void> {
    await endInTime("the superuser's connections", this.#admin.end());
    await this.postgres.stop();
  }
}
