/** Masks through a real gateway in both modes: what a client sees, what it may not do, and what happens when things change. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client, DatabaseError } from "pg";
import { encodeParse, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { corpusSchema } from "../../corpus/masking.ts";
import { type Gateway, PERMIT_ALL, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { WireClient } from "./wire-client.ts";

setDefaultTimeout(240_000);

const utf8 = new TextEncoder();

const MODES = ["guarded", "inline"] as const;
const SAFE = { searchPath: ["app", "public"], safeFunctions: ["app.order_total(int)"], listenChannels: ["jobs"] };
const PII = `apiVersion: weir.dev/v1
kind: Guards
rules:
  - id: pii
    action: { postgres: { columns: [app.accounts.login, app.customers.email, app.customers.ssn, app.customers.notes, app.events.email] } }
    except: [{ subject: { groups: [dpo] }, reason: They look after it. }]
    oblige:
      mask:
        - { with: redact }
        - { columns: [app.customers.ssn], with: partial, keepLast: 2 }
        - { columns: [app.events.email], with: hash }
`;

/** Whether a row may change tells what stands in its masked column. */
const ACCOUNTS = `SET ROLE app_owner;
  CREATE TABLE app.accounts (id int PRIMARY KEY, tenant int, is_staff bool, login text, seen int,
    UNIQUE (tenant, login), CHECK (NOT is_staff OR login LIKE '%@corp'));
  INSERT INTO app.accounts VALUES (1, 1, false, 'canary@corp', 0);
  CREATE FUNCTION app.is_login(text) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM app.accounts WHERE login = $1)';
  CREATE DOMAIN app.unused_login AS text CHECK (NOT app.is_login(VALUE));
  CREATE VIEW app.account_list AS SELECT id, is_staff, seen FROM app.accounts;
  RESET ROLE;
  GRANT SELECT, UPDATE ON app.accounts, app.account_list TO gw_agent`;

let server: PostgresServer;
let gateway: Gateway;

beforeAll(async () => {
  server = await startPostgres();
  server.psql("CREATE DATABASE corpus");
  server.psql(corpusSchema(), "corpus");
  server.psql(ACCOUNTS, "corpus");
  const postgres = { host: server.host, port: server.port, database: "corpus", user: "gw_agent" };
  gateway = await startGateway({
    postgres: server,
    targets: {
      guarded: { postgres, masking: { mode: "guarded", user: "weir_governed", ...SAFE } },
      inline: { postgres, masking: { mode: "inline", ...SAFE } },
    },
    policyFiles: {
      ...PERMIT_ALL,
      "vocabulary.yaml": "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { dpo: dpo }\n",
      "guards/pii.yaml": PII,
    },
  });
  await prepare();
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

async function prepare(): Promise<void> {
  const prepared = await gateway.weir("targets", "prepare", "guarded", "--apply", "--user", "postgres");
  expect(prepared).toMatchObject({ status: 0 });
}

async function connected(target: string, groups: readonly string[] = []): Promise<Client> {
  const client = new Client({
    connectionString: await gateway.url(
      target,
      groups.length > 0 ? "dora" : "bot",
      groups.length > 0 ? "human" : "agent",
      groups,
    ),
  });
  await client.connect();
  return client;
}

async function within<T>(target: string, work: (client: Client) => Promise<T>, groups?: readonly string[]): Promise<T> {
  const client = await connected(target, groups);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function refusalOf(work: Promise<unknown>): Promise<DatabaseError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof DatabaseError) return error;
  throw new Error(`expected a refusal, got ${String(error)}`);
}

for (const mode of MODES) {
  describe(mode, () => {
    test("columns show their masks, in lists, whole rows, views and texts", async () => {
      await within(mode, async (client) => {
        const { rows } = await client.query("SELECT id, email, ssn, balance FROM customers ORDER BY id LIMIT 1");
        expect(rows).toEqual([{ id: 1, email: "***", ssn: "***01", balance: "10.50" }]);
        const whole = await client.query("SELECT c.*, row_to_json(c)::text AS j FROM app.customers c WHERE id = 2");
        expect(JSON.stringify(whole.rows)).not.toContain("canary");
        expect((await client.query("SELECT contact FROM customer_directory WHERE id = 1")).rows).toEqual([
          { contact: "***" },
        ]);
        const { rows: matched } = await client.query("SELECT id FROM customers WHERE email = $1", [
          "canary-0001@secret.example",
        ]);
        expect(matched).toEqual([]);
      });
    });

    test("what is masked by a hash stays comparable where there is a key", async () => {
      await within(mode, async (client) => {
        const { rows } = await client.query<{ email: string }>("SELECT email FROM events ORDER BY id LIMIT 2");
        const emails = rows.map(({ email }) => email);
        if (mode === "inline") expect(emails).toEqual(["***", "***"]);
        else {
          expect(new Set(emails).size).toBe(2);
          expect(emails.join(" ")).not.toContain("canary");
        }
      });
    });

    test("a change that may fail by what stands in a masked column wants a permit of its own", async () => {
      await within(mode, async (client) => {
        for (const sql of [
          "UPDATE app.accounts SET is_staff = true WHERE id = 1",
          "UPDATE app.accounts SET tenant = 2",
          "UPDATE app.account_list SET is_staff = true WHERE id = 1",
          "INSERT INTO app.accounts VALUES (1) ON CONFLICT (id) DO UPDATE SET tenant = 2",
        ]) {
          expect(await refusalOf(client.query(sql))).toMatchObject({ code: "42501" });
        }
        expect(await client.query("UPDATE app.account_list SET seen = 1 WHERE id = 1")).toMatchObject({ rowCount: 1 });
      });
    });

    test("a parameter has no type whose own functions are not known to be safe", async () => {
      const oid = Number(server.psql("SELECT 'app.unused_login'::regtype::oid", "corpus"));
      const known = Number(server.psql("SELECT 'app.order_status'::regtype::oid", "corpus"));
      const url = new URL(await gateway.url(mode, "bot", "agent"));
      const client = await WireClient.logIn(
        { host: url.hostname, port: Number(url.port) },
        {
          user: decodeURIComponent(url.username),
          password: decodeURIComponent(url.password),
          database: decodeURIComponent(url.pathname.slice(1)),
        },
      );
      for (const [type, isRefused] of [
        [oid, true],
        [4_000_000_000, true],
        [known, false],
        [25, false],
      ] as const) {
        const answer = await client.ask(encodeParse("", utf8.encode("SELECT $1"), [type]), encodeSync());
        expect(answer.map((message) => message.type).join("")).toBe(isRefused ? "EZ" : "1Z");
        if (isRefused) expect(answer[0]?.body.toString()).toContain("42501");
      }
      await client.terminate();
    });

    test("an error tells of the mask, and at the place where the client wrote it", async () => {
      await within(mode, async (client) => {
        const sql = "SELECT id, email::int FROM customers";
        const error = await refusalOf(client.query(sql));
        expect(error.message).toContain('"***"');
        const misfit = await refusalOf(client.query("SELECT email, id + true FROM customers"));
        expect(misfit.code).toBe("42883");
        expect(misfit.position).toBe("18");
      });
    });

    test("what is not masked is as it was", async () => {
      await within(mode, async (client) => {
        expect((await client.query("SELECT name FROM products WHERE id = 1")).rows).toEqual([{ name: "Product 1" }]);
        expect((await client.query("SELECT app.order_total(3) > 0 AS t")).rows).toEqual([{ t: true }]);
        expect((await client.query("SHOW search_path")).rows).toEqual([{ search_path: '"app", "public", "pg_temp"' }]);
      });
    });

    for (const [sql, words] of [
      ["SELECT app.get_email(1)", "app.get_email is not known to be safe"],
      ["CREATE TABLE scratch.copy AS SELECT * FROM app.customers", "does not run while columns are masked"],
      ["DO $$BEGIN PERFORM 1; END$$", "does not run while columns are masked"],
      ["SET search_path = scratch", 'the setting "search_path" is not changed'],
      ["SELECT * FROM pg_stats", "is not read or changed while columns are masked"],
      ["SELEC 1", "syntax error"],
      ["SELECT * FROM weir_masks.hash_key", "is the gateway's own"],
    ] as const) {
      test(`refused: ${sql}`, async () => {
        await within(mode, async (client) => {
          const error = await refusalOf(client.query(sql));
          expect(error.message).toContain(words);
          // The session goes on.
          expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
        });
      });
    }

    test("a refusal inside a transaction fails it", async () => {
      await within(mode, async (client) => {
        await client.query("BEGIN");
        await refusalOf(client.query("SELECT app.get_email(1)"));
        expect((await refusalOf(client.query("SELECT 1"))).code).toBe("25P02");
        await client.query("ROLLBACK");
      });
    });

    test("whoever is excepted sees what is there", async () => {
      await within(
        mode,
        async (client) => {
          const { rows } = await client.query("SELECT email FROM app.customers WHERE id = 1");
          expect(rows).toEqual([{ email: "canary-0001@secret.example" }]);
        },
        ["dpo"],
      );
    });

    test("a client cannot choose what is pinned", async () => {
      const url = new URL(await gateway.url(mode, "bot", "agent"));
      url.searchParams.set("options", "-c search_path=scratch");
      const client = new Client({ connectionString: url.href });
      const error = await refusalOf(client.connect());
      expect(error.message).toContain('"search_path"');
    });
  });
}

test("in guarded mode rows can be changed, without reading or writing what is masked", async () => {
  await within("guarded", async (client) => {
    await client.query("BEGIN");
    const { rows } = await client.query(
      "UPDATE customers SET full_name = 'Zed' WHERE id = 1 RETURNING id, email, full_name",
    );
    expect(rows).toEqual([{ id: 1, email: "***", full_name: "Zed" }]);
    await client.query("ROLLBACK");
    const reading = await refusalOf(client.query("DELETE FROM customers WHERE email LIKE 'canary%'"));
    expect(reading.message).toContain('"app.customers.email" is masked');
    const writing = await refusalOf(client.query("UPDATE customers SET email = 'x' WHERE id = 1"));
    expect(writing.message).toContain("app.customers.email");
    expect(writing.code).toBe("42501");
  });
});

test("in guarded mode listings leave the gateway's own schema out", async () => {
  await within("guarded", async (client) => {
    const listed =
      "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v'";
    const { rows } = await client.query<{ nspname: string }>(listed);
    const schemas = new Set(rows.map(({ nspname }) => nspname));
    expect(schemas.has("app")).toBe(true);
    expect(schemas.has("weir_masks")).toBe(false);
    expect((await client.query("SELECT oid FROM pg_namespace WHERE nspname = 'weir_masks'")).rows).toEqual([]);
  });
});

test("in guarded mode a column that is newer than the masking view is left out until it is prepared", async () => {
  server.psql("ALTER TABLE app.customers ADD COLUMN nick text DEFAULT 'canary-nick'", "corpus");
  try {
    await within("guarded", async (client) => {
      const { rows, fields } = await client.query("SELECT * FROM customers WHERE id = 1");
      expect(fields.map(({ name }) => name)).toContain("email");
      expect(JSON.stringify(rows)).not.toContain("canary");
      const named = await refusalOf(client.query("SELECT email, nick FROM customers"));
      expect(named.code).toBe("42703");
      expect((await refusalOf(client.query("SELECT id, nick FROM customers"))).code).toBe("42501");
    });
  } finally {
    server.psql("ALTER TABLE app.customers DROP COLUMN nick", "corpus");
  }
});

test("in guarded mode a mask that is newer than the masking view shows its constant", async () => {
  const shown = (): Promise<unknown> =>
    within("guarded", async (client) => (await client.query("SELECT ssn FROM customers WHERE id = 1")).rows);
  expect(await shown()).toEqual([{ ssn: "***01" }]);
  gateway.writePolicy("guards/pii.yaml", PII.replace("keepLast: 2", "keepLast: 1, keepFirst: 1"));
  // A session from before would be ended; who comes now comes under the new masks.
  await gateway.policyTaken();
  try {
    expect(await shown()).toEqual([{ ssn: "***" }]);
  } finally {
    gateway.writePolicy("guards/pii.yaml", PII);
    await gateway.policyTaken();
  }
});

test("in guarded mode nothing is served while the database is not as it was prepared", async () => {
  server.psql("GRANT SELECT ON app.customers TO weir_governed", "corpus");
  try {
    // Whoever comes now comes with the catalog of now.
    await within("guarded", async (client) => {
      const { rows } = await client.query("SELECT name FROM products WHERE id = 1");
      expect(rows).toEqual([{ name: "Product 1" }]);
      const error = await refusalOf(client.query("SELECT id FROM customers"));
      expect(error.message).toContain('"app.customers" cannot be used');
    });
    const told = "the target guarded, database corpus: nothing that is masked is served: app.customers";
    await gateway.said(told);
  } finally {
    await prepare();
  }
});
