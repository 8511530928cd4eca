/** pg_dump and pg_restore through the gateway: the same dump as without it, and a copy that is equal to the original. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOlderThanServer, runProgram } from "./programs.ts";
import { type Road, Roads, THROUGH_GATEWAY } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SCHEMA = `
  CREATE SCHEMA shop;
  CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
  CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
  CREATE TABLE shop.item (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL, mood shop.mood DEFAULT 'ok',
    stock shop.positive, tags text[], data jsonb, raw bytea, twice int GENERATED ALWAYS AS (stock * 2) STORED);
  INSERT INTO shop.item (name, stock, tags, data, raw)
    SELECT 'item ' || n, n, ARRAY['a', NULL, 'b,c'], jsonb_build_object('n', n, 'é', '"'), decode(md5(n::text), 'hex')
    FROM generate_series(1, 2000) AS n;
  CREATE TABLE shop.day (d date, v int) PARTITION BY RANGE (d);
  CREATE TABLE shop.day_1 PARTITION OF shop.day FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO shop.day SELECT date '2026-01-01' + n, n FROM generate_series(0, 99) AS n;
  CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.mood := 'happy'; RETURN NEW; END $$;
  CREATE TRIGGER touch BEFORE UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE VIEW shop.happy AS SELECT id, name FROM shop.item WHERE mood = 'happy';
  CREATE MATERIALIZED VIEW shop.total AS SELECT count(*) AS n FROM shop.item;
  CREATE INDEX ON shop.item USING gin (tags);
  CREATE RULE nothing AS ON DELETE TO shop.day DO INSTEAD NOTHING;
  ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY;
  CREATE POLICY all_of_it ON shop.item USING (true);
  SELECT lo_from_bytea(0, 'a large object');
  COMMENT ON COLUMN shop.item.data IS 'It''s a \\ backslash';`;

let roads: Roads;
let folder: string;

beforeAll(async () => {
  roads = await Roads.start({ sql: SCHEMA, gateway: { upstream: { databases: ["*"] } } });
  folder = mkdtempSync(join(tmpdir(), "weir-e2e-dump-"));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await roads.stop();
});

/** A plain dump. Newer versions put a random word into it, which is left out. */
async function dump(road: Road, database?: string): Promise<string> {
  const result = await runProgram(road, "pg_dump", ["--no-sync"], database === undefined ? {} : { database });
  expect(result).toMatchObject({ status: 0, stderr: "" });
  return result.stdout.replaceAll(/^\\(un)?restrict .*$/gmu, "");
}

// It does not dump what is newer than itself.
const testDump = test.skipIf(isOlderThanServer("pg_dump"));

testDump("a plain dump is the same, byte for byte", async () => {
  const [direct, ...others] = roads.all;
  const expected = await dump(direct);
  expect(expected).toContain("CREATE POLICY all_of_it");
  for (const road of others) expect(await dump(road)).toBe(expected);
});

testDump.each(THROUGH_GATEWAY)("custom format, restored through it (%s)", async (name) => {
  const [direct] = roads.all;
  const road = roads.named(name);
  const file = join(folder, name);
  const copy = name.replaceAll(" ", "_").toLowerCase();
  expect(await runProgram(road, "pg_dump", ["--no-sync", "-Fc", "-f", file])).toMatchObject({ status: 0, stderr: "" });
  roads.server.psql(`CREATE DATABASE ${copy}`);
  const into = `db.${copy}`;
  const restored = await runProgram(road, "pg_restore", ["--exit-on-error", "-d", into, file], { database: into });
  expect(restored).toMatchObject({ status: 0, stderr: "" });
  expect(await dump(direct, copy)).toBe(await dump(direct));
});

testDump("directory format, by parallel connections that share a snapshot", async () => {
  const [direct, road] = roads.all;
  const file = join(folder, "directory");
  const dumped = await runProgram(road, "pg_dump", ["--no-sync", "-Fd", "-j", "2", "-f", file]);
  expect(dumped).toMatchObject({ status: 0, stderr: "" });
  roads.server.psql("CREATE DATABASE copy_parallel");
  const into = "db.copy_parallel";
  const restored = await runProgram(road, "pg_restore", ["--exit-on-error", "-j", "2", "-d", into, file], {
    database: into,
  });
  expect(restored).toMatchObject({ status: 0, stderr: "" });
  expect(await dump(direct, "copy_parallel")).toBe(await dump(direct));
});
