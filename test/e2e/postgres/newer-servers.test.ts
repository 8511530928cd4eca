/** What PostgreSQL 17 and 18 can do that 15 cannot, held against masks in both modes: test/server-versions.test.ts runs it on them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import { type Gateway, PERMIT_ALL, startGateway } from "../../gateway.ts";
import { type PostgresServer, serverMajor, startPostgres } from "../../servers/postgres.ts";
import { endInTime } from "../../end-in-time.ts";

setDefaultTimeout(240_000);

const MODES = ["guarded", "inline"] as const;

const SECRET = /canary|yranac/iu;
const PII = `apiVersion: weir.dev/v1
kind: Guards
rules:
  - id: pii
    action: { postgres: { columns: [public.people.login] } }
    oblige: { mask: [{ with: redact }] }
`;

/** `virtual` is worked out when it is read, from what is masked. */
const schemaFor = (major: number): string => `
  CREATE ROLE agent LOGIN;
  CREATE TABLE people (
    id int PRIMARY KEY, login text, n int DEFAULT 0,
    stored text GENERATED ALWAYS AS (upper(login)) STORED
    ${major >= 18 ? ", virtual text GENERATED ALWAYS AS (upper(login)) VIRTUAL, plainly text GENERATED ALWAYS AS (login)" : ""}
  );
  INSERT INTO people (id, login) VALUES (1, 'canary-1@x'), (2, 'canary-2@x');
  CREATE VIEW shown AS SELECT id, ${major >= 18 ? "virtual" : "stored"} AS shown FROM people;
  GRANT SELECT, INSERT, UPDATE, DELETE ON people, shown TO agent`;

const MASKED = Symbol("shows masks");
const REFUSED = Symbol("is refused");
/** What a statement comes to: in inline mode masked relations are not changed at all. */
type Case = { readonly since: number; readonly sql: string; readonly guarded: symbol; readonly inline: symbol };

const reads = (since: number, sql: string, answer = MASKED): Case => ({ since, sql, guarded: answer, inline: answer });
const changes = (since: number, sql: string, guarded: symbol): Case => ({ since, sql, guarded, inline: REFUSED });

const MERGED = "MERGE INTO people p USING (VALUES (1)) v (i) ON p.id = v.i";
const ALL: readonly Case[] = [
  reads(16, "SELECT any_value(login) FROM people"),
  reads(16, "SELECT json_array(login), json_object('a': login), json_arrayagg(login) FROM people GROUP BY login"),
  reads(17, "SELECT * FROM json_table((SELECT jsonb_agg(p) FROM people p), '$[*]' COLUMNS (l text PATH '$.login'))"),
  reads(17, "SELECT json_value(to_jsonb(p), '$.login') FROM people p"),
  reads(17, "SELECT json_query(to_jsonb(p), '$.login' WITH WRAPPER)::text FROM people p"),
  reads(17, "SELECT json_serialize(json_scalar(login)) FROM people"),
  reads(17, "SELECT jsonb_path_query(to_jsonb(p), '$.login.string()')::text FROM people p"),
  reads(17, "EXPLAIN (VERBOSE) SELECT login FROM people", REFUSED),
  reads(17, "SELECT * FROM pg_stat_io", REFUSED),
  changes(17, `${MERGED} WHEN MATCHED THEN UPDATE SET n = p.n + 1 RETURNING merge_action(), p.*`, MASKED),
  changes(17, `${MERGED} WHEN MATCHED THEN UPDATE SET n = 0 RETURNING p.login`, MASKED),
  changes(17, `${MERGED} WHEN MATCHED THEN UPDATE SET n = 0 RETURNING *, merge_action()`, MASKED),
  changes(17, `${MERGED} WHEN MATCHED THEN UPDATE SET n = 0 RETURNING upper(p.login)`, REFUSED),
  changes(17, `${MERGED} WHEN MATCHED AND p.login LIKE 'c%' THEN UPDATE SET n = 0`, REFUSED),
  changes(17, `${MERGED} WHEN NOT MATCHED BY SOURCE AND p.login LIKE 'canary-2%' THEN DELETE`, REFUSED),
  changes(17, `WITH m AS (${MERGED} WHEN MATCHED THEN UPDATE SET n = 0 RETURNING p.login) SELECT * FROM m`, MASKED),
  reads(18, "SELECT * FROM people"),
  reads(18, "SELECT virtual, plainly FROM people"),
  reads(18, "SELECT shown FROM shown"),
  reads(18, "SELECT (p).virtual FROM people p"),
  reads(18, "SELECT row_to_json(p)::text FROM people p"),
  reads(18, "SELECT casefold(login), reverse(login::bytea)::text, crc32(login::bytea)::text FROM people"),
  reads(18, "SELECT array_sort(array_agg(plainly))::text FROM people"),
  reads(18, "EXPLAIN (ANALYZE, SERIALIZE) SELECT virtual FROM people WHERE virtual LIKE 'CANARY-1%'"),
  reads(18, "EXPLAIN (VERBOSE) SELECT virtual FROM people", REFUSED),
  reads(18, "SELECT * FROM pg_aios", REFUSED),
  reads(18, "SELECT * FROM pg_stat_get_backend_io(1)", REFUSED),
  changes(18, "UPDATE people SET n = n + 1 WHERE id = 1 RETURNING old.*, new.*", MASKED),
  changes(
    18,
    "UPDATE people SET n = n + 1 WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS w) o.login, w.virtual",
    MASKED,
  ),
  changes(18, "DELETE FROM people WHERE id = 3 RETURNING old.login", MASKED),
  changes(18, "UPDATE people SET n = 0 WHERE id = 1 RETURNING old, new", REFUSED),
  changes(18, "UPDATE people SET n = 0 WHERE id = 1 RETURNING row_to_json(old)", REFUSED),
  changes(18, "UPDATE people SET n = 0 WHERE id = 1 RETURNING upper(old.login)", REFUSED),
  changes(18, "UPDATE people SET n = 0 WHERE id = 1 RETURNING new.plainly || 'x'", REFUSED),
  changes(18, "UPDATE people SET n = length(virtual) WHERE id = 1", REFUSED),
  changes(18, "UPDATE people SET n = 1 WHERE plainly LIKE 'canary-2%'", REFUSED),
  changes(18, "WITH u AS (UPDATE people SET n = 1 WHERE id = 1 RETURNING old.*) SELECT * FROM u", MASKED),
  changes(
    18,
    "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 5 RETURNING old.login, new.plainly",
    MASKED,
  ),
];

const MAJOR = serverMajor();
const CASES = ALL.filter(({ since }) => since <= MAJOR);

let server: PostgresServer;
let gateway: Gateway;

beforeAll(async () => {
  if (CASES.length === 0) return;
  server = await startPostgres();
  server.psql(schemaFor(MAJOR));
  const postgres = { host: server.host, port: server.port, database: "postgres", user: "agent" };
  gateway = await startGateway({
    postgres: server,
    targets: {
      guarded: { postgres, masking: { mode: "guarded", user: "weir_governed" } },
      inline: { postgres, masking: { mode: "inline" } },
    },
    policyFiles: { ...PERMIT_ALL, "guards/pii.yaml": PII },
  });
  const prepared = await gateway.weir("targets", "prepare", "guarded", "--apply", "--user", "postgres");
  expect(prepared).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

// There is nothing to try on a server that can do none of it.
describe.skipIf(CASES.length === 0).each(MODES)("%s", (mode) => {
  let client: Client;
  beforeAll(async () => {
    client = new Client({ connectionString: await gateway.url(mode, "bot", "agent") });
    await client.connect();
  });
  afterAll(async () => endInTime("the connection", client?.end()));

  test.each(CASES.map((each, index) => [each.sql, index] as const))("%s", async (sql, index) => {
    // It is nothing that this server does not know.
    server.psql(`BEGIN; ${sql}; ROLLBACK`);
    for (const form of [{}, { name: `case ${index}` }]) {
      const answer = await client.query({ text: sql, rowMode: "array", ...form }).then(
        ({ rows }) => ({ kind: MASKED, said: JSON.stringify(rows) }),
        (error: unknown) => ({ kind: String(error).includes("(id ") ? REFUSED : null, said: String(error) }),
      );
      expect(answer.said).not.toMatch(SECRET);
      expect([sql, answer.kind]).toEqual([sql, CASES[index]?.[mode] ?? null]);
    }
  });
});
