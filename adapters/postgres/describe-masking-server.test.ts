/** Tests what masks make of known attacks and of ordinary work, over the catalog of a real server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { corpusReading } from "../../test/corpus/catalog.ts";
import { attacks, benignEntries, corpusSchema, newerAttacks, type CorpusEntry } from "../../test/corpus/masking.ts";
import { corpusPlan } from "../../test/corpus/plan.ts";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import { Analyser } from "./analyser.ts";
import type { Analysis } from "./analysis.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { Catalog } from "./catalog.ts";
import type { MaskingPlan, MaskMode } from "./mask/plan.ts";
import { isFields, parse } from "./parser.ts";
import type { Fields } from "./parser.ts";

// On a busy machine; a server is started.
setDefaultTimeout(240_000);

let catalog: Catalog;
let stop: (() => Promise<void>) | null = null;
const analyser = new Analyser();

beforeAll(async () => {
  const server = await startPostgres();
  stop = () => server.stop();
  server.psql("create database corpus");
  server.psql(corpusSchema(), "corpus");
  const source = await connectCatalog(server, { database: "corpus" });
  catalog = await new CatalogLoader(source).load();
  source.close();
});

afterAll(async () => {
  await stop?.();
});

/** The analyses of an entry's texts, one after the other as one session would send them. */
async function analyseEntry(entry: CorpusEntry, mode: MaskMode, serverMajor = 15): Promise<Analysis[]> {
  const prepared = new Map<string, Analysis>();
  const cursors = new Map<string, Analysis>();
  const reading = corpusReading(catalog, {
    serverMajor,
    database: "corpus",
    plan: corpusPlan(catalog, { mode }),
    preparedStatement: (name) => prepared.get(name),
    cursor: (name) => cursors.get(name),
  });
  const analyses: Analysis[] = [];
  for (const { name, sql } of entry.texts) {
    const analysis = await analyser.analyse(new TextEncoder().encode(sql), reading);
    analyses.push(analysis);
    if (name !== "") prepared.set(name, analysis);
    for (const { prepares, declaresCursor } of analysis.statements) {
      if (prepares) prepared.set(prepares.name, prepares.analysis);
      if (declaresCursor) cursors.set(declaresCursor.name, declaresCursor.analysis);
    }
  }
  return analyses;
}

test("every attack is refused, or reads masked relations through their substitutes alone", async () => {
  const plan = corpusPlan(catalog, { mode: "inline" });
  const all = [
    ...attacks().map((entry) => ({ entry, major: 15 })),
    ...newerAttacks().map((entry) => ({ entry, major: 18 })),
  ];
  expect(all.length).toBeGreaterThan(200);
  const left: string[] = [];
  let refused = 0;
  for (const { entry, major } of all) {
    for (const { text, masking } of await analyseEntry(entry, "inline", major)) {
      if (masking === null) throw new Error("the session is governed");
      if (masking.refusal) {
        refused++;
        continue;
      }
      const sent = masking.rewritten ? new TextDecoder().decode(masking.rewritten.bytes) : text;
      const parsed = parse(sent, major);
      if (parsed.kind !== "statements") throw new Error(`not accepted: ${sent}`);
      for (const { kind, node } of parsed.statements)
        left.push(...rawSources({ [kind]: node }, plan).map((name) => `${entry.id} ${name}`));
    }
  }
  expect(left).toEqual([]);
  expect(refused).toBeGreaterThan(80);
});

/** Names of masked relations that are read but in a substitute: names without a schema mean app's, as the path says. */
function rawSources(value: unknown, plan: MaskingPlan): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => rawSources(item, plan));
  if (!isFields(value) || isSubstitute(value, plan)) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    if (name === "RangeVar" && isFields(field)) return maskedName(field, plan);
    // COPY and modifications hold their relation without a wrapper.
    const own = name === "relation" && isFields(field) ? maskedName(field, plan) : [];
    return own.concat(rawSources(field, plan));
  });
}

function maskedName(range: Fields, plan: MaskingPlan): string[] {
  const schema = typeof range["schemaname"] === "string" ? range["schemaname"] : "app";
  const name = String(range["relname"]);
  return plan.relation(schema, name) ? [`${schema}.${name}`] : [];
}

/** What a FROM list of one relation reads, as it is or by a sample that reads nothing else. */
function rangeOf(from: unknown): unknown {
  if (!isFields(from)) return null;
  const sample = from["RangeTableSample"];
  if (!isFields(sample) || JSON.stringify(sample).includes("SelectStmt")) return from["RangeVar"];
  return isFields(sample["relation"]) ? sample["relation"]["RangeVar"] : null;
}

/** A query that shows constants for every masked column of the one relation that it reads. */
function isSubstitute(value: Fields, plan: MaskingPlan): boolean {
  const select = value["SelectStmt"];
  if (!isFields(select) || !Array.isArray(select["fromClause"]) || select["fromClause"].length !== 1) return false;
  const [from]: unknown[] = select["fromClause"];
  const range = rangeOf(from);
  if (!isFields(range)) return false;
  const relation = plan.relation(String(range["schemaname"]), String(range["relname"]));
  const targets: unknown = select["targetList"];
  if (!relation || !Array.isArray(targets)) return false;
  const masked = relation.columns.filter(({ mask }) => mask !== null);
  return targets.every((target: unknown) => {
    const text = JSON.stringify(target);
    // A column of the relation is named in a ColumnRef; a label is not.
    return !text.includes("ColumnRef") || !masked.some(({ name }) => text.includes(`"sval":"${name}"`));
  });
}

/** What each mode refuses of ordinary work, and why. */
const REFUSED: Readonly<Record<MaskMode, readonly string[]>> = {
  guarded: [],
  inline: ['B197 "app.customers" has masked columns, and inline masking does not let such relations be changed'],
};

test.each(["guarded", "inline"] as const)("ordinary work goes on in %s mode", async (mode) => {
  const refused: string[] = [];
  const hidden: string[] = [];
  for (const entry of benignEntries()) {
    for (const { syntaxError, masking } of await analyseEntry(entry, mode)) {
      if (masking === null) throw new Error("the session is governed");
      if (masking.refusal && syntaxError === null) refused.push(`${entry.id} ${masking.refusal.message}`);
      if (masking.hidesDetail) hidden.push(entry.id);
    }
  }
  expect(refused).toEqual([...REFUSED[mode]]);
  expect(hidden).not.toContain("B240");
  expect(hidden).not.toContain("B241");
});
