/** A database that is prepared for guarded masking, as tests need it: by the script itself, on a real server. */
import { CatalogKeeper } from "../../adapters/postgres/catalog-keeper.ts";
import { FactKeeper } from "../../adapters/postgres/mask/fact-keeper.ts";
import type { CheckLine } from "../../adapters/postgres/prepare/check-line.ts";
import { expectedIn, type Expected, type GuardedSettings } from "../../adapters/postgres/prepare/expected.ts";
import { readRights } from "../../adapters/postgres/prepare/rights.ts";
import { prepareScript, removeScript } from "../../adapters/postgres/prepare/script.ts";
import { selfCheck, whyNotServed } from "../../adapters/postgres/prepare/self-check.ts";
import type { PostgresServer } from "./postgres.ts";
import { connectCatalog } from "./catalog-source.ts";
import type { MaskTransform } from "../../src/core/obligation.ts";

export type GuardedOptions = {
  readonly database: string;
  /** The target's own login. */
  readonly ordinary: string;
  /** By `schema.relation.column`, as policy names them: what could be laid on the column. */
  readonly transforms: Readonly<Record<string, readonly MaskTransform[]>>;
  /** Those of them that policy lets be compared; left out: none. */
  readonly compared?: readonly string[];
  readonly settings: Partial<GuardedSettings> & { readonly user: string };
};

/** What the client of a login got: output and errors of psql. */
export type Answer = { readonly out: string; readonly error: string };

export class GuardedYard {
  readonly server: PostgresServer;
  readonly options: GuardedOptions;

  constructor(server: PostgresServer, options: GuardedOptions) {
    this.server = server;
    this.options = options;
  }

  /** The same with other options. */
  but(options: Partial<GuardedOptions>): GuardedYard {
    return new GuardedYard(this.server, { ...this.options, ...options });
  }

  async expected(): Promise<Expected> {
    const { database, ordinary: user, transforms, compared = [] } = this.options;
    const open = async () => connectCatalog(this.server, { database, user });
    const keeper = new CatalogKeeper({ open, clock: { now: () => Date.now() } });
    try {
      const facts = await new FactKeeper({ open, keeper }).get();
      const left = new Set(Object.keys(transforms));
      const expected = expectedIn(
        facts,
        await keeper.refresh(),
        database,
        {
          transforms: (accesses) =>
            accesses.map(({ facts: { columns } }) => {
              const name = Array.isArray(columns) ? String(columns[0]) : "";
              left.delete(name);
              return transforms[name] ?? [];
            }),
          comparisons: (accesses) =>
            accesses.map(({ facts: { columns } }) => Array.isArray(columns) && compared.includes(String(columns[0]))),
        },
        this.#settings,
      );
      if (left.size > 0) throw new Error(`no columns: ${[...left].join(", ")}`);
      return expected;
    } finally {
      keeper.stop();
    }
  }

  async script(): Promise<string> {
    return this.#asking(async (query) =>
      prepareScript(await this.expected(), await readRights(query, this.#settings.safeFunctions), null),
    );
  }

  async prepare(): Promise<void> {
    this.sql(await this.script());
  }

  remove(): void {
    this.sql(this.removeScript());
  }

  removeScript(): string {
    return removeScript({ user: this.options.settings.user, database: this.options.database });
  }

  async check(): Promise<readonly CheckLine[]> {
    return this.#asking(async (query) => selfCheck(query, await this.expected()));
  }

  /** What the failing lines are about, sorted. */
  async failing(): Promise<string[]> {
    return (await this.check())
      .filter(({ ok }) => !ok)
      .map(({ about }) => about)
      .toSorted();
  }

  async whyNotServed(): Promise<string | null> {
    return this.#asking(async (query) => whyNotServed(query, await this.expected()));
  }

  /** Runs SQL as superuser. */
  sql(text: string): string {
    return this.server.psql(text, this.options.database);
  }

  /** Runs one statement as a login, the governed one when none is named; errors as `SQLSTATE: message`. */
  as(text: string, user: string = this.options.settings.user): Answer {
    const { host, port } = this.server;
    const result = Bun.spawnSync(
      [
        "psql",
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "VERBOSITY=sqlstate",
        "-h",
        host,
        "-p",
        `${port}`,
        "-U",
        user,
        this.options.database,
      ],
      {
        stdin: Buffer.from(text),
        stdout: "pipe",
        stderr: "pipe",
        env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8" },
      },
    );
    return { out: result.stdout.toString().trimEnd(), error: result.stderr.toString().trimEnd() };
  }

  /** Everything about the schema that pg_dump knows, and what it leaves out: rights on the database, roles, memberships. */
  dump(): string {
    const { socketDir, port } = this.server;
    const dumped = Bun.spawnSync(
      ["pg_dump", "--schema-only", "-h", socketDir, "-p", `${port}`, "-U", "postgres", this.options.database],
      { stdout: "pipe", stderr: "pipe" },
    );
    if (dumped.exitCode !== 0) throw new Error(dumped.stderr.toString());
    // Newer versions write a random word against injections into what psql reads.
    const lines = dumped.stdout
      .toString()
      .split("\n")
      .filter((line) => !line.startsWith("\\restrict ") && !line.startsWith("\\unrestrict "));
    const more = this.sql(`
      SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcanlogin, shobj_description(r.oid, 'pg_authid') FROM pg_roles r ORDER BY 1;
      SELECT roleid::regrole, member::regrole FROM pg_auth_members ORDER BY 1, 2;
      SELECT grantee, privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))
        WHERE d.datname = current_database() ORDER BY 1, 2;
      SELECT s.* FROM pg_db_role_setting s ORDER BY 1, 2`);
    return [...lines, more].join("\n");
  }

  get #settings(): GuardedSettings {
    return {
      mode: "guarded",
      password: null,
      searchPath: ["public"],
      safeFunctions: [],
      listenChannels: [],
      ...this.options.settings,
    };
  }

  async #asking<T>(
    ask: (query: (sql: string) => Promise<readonly (readonly (string | null)[])[]>) => Promise<T>,
  ): Promise<T> {
    const { database, ordinary: user } = this.options;
    const source = await connectCatalog(this.server, { database, user });
    try {
      return await ask((sql) => source.query(sql));
    } finally {
      source.close();
    }
  }
}
