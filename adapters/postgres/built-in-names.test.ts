/**
 * The names kept for a major are those of a fresh server. WEIR_POSTGRES_BIN names the server's programs, instead of those
 * that are installed; WEIR_WRITE_BUILT_IN_NAMES=1 writes the file of its major, from the oldest major on.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { BUILT_IN_MAJORS, builtInNames, nearestBuiltInMajor } from "./built-in-names.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { PictureContents } from "./catalog-picture.ts";
import type { Relation } from "./catalog.ts";
import { BUILT_IN_SCHEMAS, bySchema, namesIn, shortenTypes } from "./known-names.ts";
import type { KnownNames, KnownRelation, NamesBySchema } from "./known-names.ts";

setDefaultTimeout(240_000);

const LINE_CHARS_MAX = 118;

let server: PostgresServer;
let contents: PictureContents;

beforeAll(async () => {
  const binDir = process.env["WEIR_POSTGRES_BIN"];
  server = await startPostgres(binDir === undefined ? {} : { binDir });
  const source = await connectCatalog(server, { database: "template1" });
  contents = (await new CatalogLoader(source).load()).contents;
  source.close();
  if (process.env["WEIR_WRITE_BUILT_IN_NAMES"] === "1") writeKept();
});
afterAll(() => server.stop());

/** What a text says: each kind's names by schema, and the lines of relations with columns. */
type Said = {
  readonly relations: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, ReadonlySet<string>>;
};

const LISTS = ["index", "function", "type", "absent-type"] as const;

function saidOf(relations: Iterable<Relation>, functions: NamesBySchema, types: NamesBySchema): Said {
  const lines = new Map<string, string>();
  const lists = new Map<string, ReadonlySet<string>>();
  const all = [...relations];
  for (const schema of [...BUILT_IN_SCHEMAS].toSorted()) {
    const own = all.filter((relation) => relation.schema === schema);
    const known = new Map(own.map(({ name, kind }): [string, KnownRelation] => [name, { kind, columns: [] }]));
    for (const { name, kind, columns } of own) {
      if (kind !== "index") lines.set(`${schema} ${name}`, [kind, `${schema}.${name}`, ...columns].join(" "));
    }
    const short = shortenTypes(namesIn(types, schema), known);
    lists.set(`index ${schema}`, new Set(own.filter(({ kind }) => kind === "index").map(({ name }) => name)));
    lists.set(`function ${schema}`, namesIn(functions, schema));
    lists.set(`type ${schema}`, new Set(short.own));
    lists.set(`absent-type ${schema}`, new Set(short.absent));
  }
  return { relations: lines, lists };
}

function saidByKept(names: KnownNames): Said {
  const relations = [...names.relations].flatMap(([schema, members]) =>
    Array.from(members, ([name, { kind, columns }]) => ({
      oid: 0,
      schema,
      name,
      kind,
      columns: columns.map(([column]) => column),
    })),
  );
  return saidOf(relations, names.functions, names.types);
}

/** The text that is kept for a server, as built-in-names.ts reads it after those of the majors before it. */
function builtInText(fresh: Said, before: Said | null): string {
  const lines: string[] = [];
  const list = (head: string, names: Iterable<string>): void => {
    let line = head;
    for (const name of [...names].toSorted()) {
      if (line.length + name.length >= LINE_CHARS_MAX) {
        lines.push(line);
        line = head;
      }
      line += ` ${name}`;
    }
    if (line !== head) lines.push(line);
  };
  const without = (names: ReadonlySet<string> | undefined, others: ReadonlySet<string> | undefined): string[] =>
    [...(names ?? [])].filter((name) => others?.has(name) !== true);
  for (const schema of [...BUILT_IN_SCHEMAS].toSorted()) {
    const ofSchema = (said: Said | null): [string, string][] =>
      [...(said?.relations ?? [])]
        .filter(([key]) => key.startsWith(`${schema} `))
        .toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [key, line] of ofSchema(fresh)) if (before?.relations.get(key) !== line) lines.push(line);
    const gone = ofSchema(before).filter(([key]) => !fresh.relations.has(key));
    const goneIndexes = without(before?.lists.get(`index ${schema}`), fresh.lists.get(`index ${schema}`));
    list(`no relation ${schema}`, [...gone.map(([key]) => key.slice(schema.length + 1)), ...goneIndexes]);
    for (const kind of LISTS) {
      const head = `${kind} ${schema}`;
      list(head, without(fresh.lists.get(head), before?.lists.get(head)));
      if (kind !== "index") list(`no ${head}`, without(before?.lists.get(head), fresh.lists.get(head)));
    }
  }
  return `${lines.join("\n")}\n`;
}

function previousOf(major: number): Said | null {
  const names = builtInNames(BUILT_IN_MAJORS[BUILT_IN_MAJORS.indexOf(major) - 1] ?? 0);
  return names === undefined ? null : saidByKept(names);
}

const fileOf = (major: number): string => join(import.meta.dir, `built-in-names/${major}.txt`);

function writeKept(): void {
  const fresh = saidOf(contents.relations, bySchema(contents.functions), bySchema(contents.types));
  writeFileSync(fileOf(server.major), builtInText(fresh, previousOf(server.major)));
}

test("hold neither spaces nor dots, and are of kinds that the text has words for", () => {
  for (const { schema, name, kind, columns } of contents.relations) {
    if (!BUILT_IN_SCHEMAS.has(schema)) continue;
    expect(["table", "view", "index"]).toContain(kind);
    for (const each of [name, ...columns]) expect(each).not.toMatch(/[ .\n]/u);
  }
});

/** How many names of functions a minor release may bring or take; 15.20 brought one. */
const FUNCTIONS_BY_MINOR_MAX = 5;

test.each(BUILT_IN_MAJORS)("of %i are read back as they were written", (major) => {
  const kept = builtInNames(major);
  if (kept === undefined) throw new Error(`nothing is kept for ${major}`);
  expect(readFileSync(fileOf(major), "utf8")).toBe(builtInText(saidByKept(kept), previousOf(major)));
});

test("are those of a fresh server, but for functions that a minor release brought or took", () => {
  // A server of a major that is not kept is read by the nearest one, and a target's file tells the differences.
  const isKept = BUILT_IN_MAJORS.includes(server.major);
  if (!isKept) return expect(BUILT_IN_MAJORS).toContain(nearestBuiltInMajor(server.major));
  const kept = builtInNames(server.major);
  const types = bySchema(contents.types);
  const functions = bySchema(contents.functions);
  for (const schema of ["pg_catalog", "information_schema"]) {
    const relations = contents.relations.filter((relation) => relation.schema === schema);
    expect([...(kept?.relations.get(schema)?.keys() ?? [])].toSorted()).toEqual(
      relations.map(({ name }) => name).toSorted(),
    );
    for (const { name, kind, columns } of relations) {
      const found = kept?.relations.get(schema)?.get(name);
      expect(found?.kind).toBe(kind);
      expect(found?.columns.map(([column]) => column)).toEqual([...columns]);
    }
    expect([...(kept?.types.get(schema) ?? [])].toSorted()).toEqual([...namesIn(types, schema)].toSorted());
    const others = new Set(kept?.functions.get(schema)).symmetricDifference(namesIn(functions, schema));
    expect([others.size <= FUNCTIONS_BY_MINOR_MAX, ...others]).toEqual([true, ...others]);
  }
});
