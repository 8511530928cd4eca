/** What every client reads of the catalog works for whoever may read one table and nothing else. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { policyFiles } from "./policed.ts";
import { isOlderThanServer, runProgram } from "./programs.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: `CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL DEFAULT 'none' CHECK (name <> ''));
      CREATE TABLE line (item int REFERENCES item, n bigint GENERATED ALWAYS AS IDENTITY);
      CREATE VIEW names AS SELECT name FROM item;`,
    gateway: {
      policyFiles: policyFiles(
        "  - { id: item, subject: { any: true }, target: { any: true }, action: { postgres: { verbs: [select], relations: [public.item] } } }",
      ),
    },
  });
});

afterAll(async () => {
  await roads.stop();
});

test.each([
  "\\d",
  "\\d item",
  "\\d+ line",
  "\\dt+",
  "\\dv",
  "\\df",
  "\\di+",
  "\\dn",
  "\\du",
  "\\l",
  "\\dp",
  "\\dx",
  "\\dT",
  "\\sv names",
])("psql's %s", async (command) => {
  const [direct, ...others] = roads.all;
  const expected = await runProgram(direct, "psql", ["-X", "-c", command]);
  if (!isOlderThanServer("psql")) expect(expected).toMatchObject({ status: 0, stderr: "" });
  for (const road of others) expect(await runProgram(road, "psql", ["-X", "-c", command])).toEqual(expected);
});

test("and what it may not do is refused in psql's own way", async () => {
  for (const road of roads.all.slice(1)) {
    const refused = await runProgram(road, "psql", ["-X", "-c", "SELECT * FROM line"]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^ERROR: {2}no rule permits .*public\.line.* \(id \S+\)\n/u);
    const read = await runProgram(road, "psql", ["-X", "-A", "-t", "-c", "SELECT count(*) FROM item"]);
    expect(read).toMatchObject({ status: 0, stdout: "0\n" });
  }
});
