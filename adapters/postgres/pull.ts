/** Reads a live target's catalog through the gateway's own sessions, for `policies/catalog/TARGET.json`. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { PulledCatalog } from "../../src/core/policy-tools.ts";
import type { Clock, Door } from "../../src/core/ports.ts";
import type { Target } from "../../src/core/target.ts";
import { messageOf } from "../../src/core/message-of.ts";
import type { PictureContents } from "./catalog-picture.ts";
import { READ_WRITE_KINDS } from "./catalog.ts";
import { encodeDetail, type DatabaseDetail, type SessionDefaults, type TargetDetail } from "./catalog-detail.ts";
import { CATALOG_PAGE_ROWS } from "./catalog-source.ts";
import { Databases, settingsOf, type TargetDatabase } from "./databases.ts";
import { joinIdentifier } from "./describe/identifier.ts";
import { BUILT_IN_SCHEMAS, bySchema, type KnownRelation } from "./known-names.ts";
import { HouseConnection, type TextRow } from "./query.ts";

/** With `databases: ["*"]`; more are to be named. */
const DATABASES_MAX = 64;

/** A session as a client gets it that says nothing of its own. */
const SESSION_PARAMETERS = [
  ["application_name", "weir"],
  ["client_encoding", "UTF8"],
] as const;

const OID = "::pg_catalog.oid";

/** The databases that somebody could be let into. */
const DATABASES = `SELECT d.datname FROM pg_catalog.pg_database d
  WHERE d.datallowconn AND NOT d.datistemplate AND pg_catalog.has_database_privilege(d.oid, 'CONNECT')
  ORDER BY d.oid LIMIT ${DATABASES_MAX + 1}`;

const SESSION = `SELECT pg_catalog.current_setting('search_path'), pg_catalog.getdatabaseencoding(),
  SESSION_USER::pg_catalog.text, pg_catalog.current_setting('server_version_num'),
  pg_catalog.current_setting('standard_conforming_strings')`;

/** Types are written with their schema then, whatever the session's path is. */
const NO_PATH = `SELECT pg_catalog.set_config('search_path', '', false)`;

/** All of them exist in every database, and no file needs to list them. */
const UNLISTED = [...BUILT_IN_SCHEMAS].map((schema) => `${schema}.**`);

type ColumnTypes = ReadonlyMap<number, ReadonlyMap<string, string>>;

/** The catalog of all databases that the target lists. Refuses when one of them cannot be read. */
export async function pull(door: Door, target: Target, clock: Clock): Promise<PulledCatalog | Refusal> {
  const settings = settingsOf(target);
  const databases = new Databases(door, clock, 0);
  try {
    const names = settings.databases.includes("*")
      ? await listDatabases(door, target, databases.get(target, settings.database))
      : [settings.database, ...settings.databases];
    const details = new Map<string, DatabaseDetail>();
    for (const name of new Set([settings.database, ...names])) {
      details.set(name, await pullDatabase(door, target, databases.get(target, name)));
    }
    return pulled({ database: settings.database, databases: details });
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    const message = messageOf(error);
    return refusal("target_unavailable", `the catalog of "${target.name}" cannot be read: ${message}`);
  } finally {
    databases.stop();
  }
}

/** What a refusal is carried in out of several calls. */
class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refused: Refusal) {
    super(refused.message);
    this.refusal = refused;
  }
}

async function listDatabases(door: Door, target: Target, database: TargetDatabase): Promise<readonly string[]> {
  return onSession(door, target, database, async (query) => {
    const names = (await query(DATABASES)).map(([name]) => name ?? "");
    if (names.length <= DATABASES_MAX) return names;
    throw new Refused(
      refusal("limit", `the target "${target.name}" has more than ${DATABASES_MAX} databases`, {
        hint: "List those that policies speak of under databases, in the target's section of weir.yaml.",
      }),
    );
  });
}

async function pullDatabase(door: Door, target: Target, database: TargetDatabase): Promise<DatabaseDetail> {
  const { contents } = await database.loadCatalog();
  return onSession(door, target, database, async (query) => {
    const session = readSession((await query(SESSION))[0] ?? []);
    await query(NO_PATH);
    return detailOf(contents, session, await readColumnTypes(query));
  });
}

type Query = (sql: string) => Promise<readonly TextRow[]>;

/** Opens a session of the gateway's own, as a client gets it, and closes it after the work. */
async function onSession<T>(
  door: Door,
  target: Target,
  database: TargetDatabase,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const opened = await door.openHouse(target.name, `catalog of ${database.name}`);
  if (isRefusal(opened)) throw new Refused(opened);
  try {
    const answer = await database.logIn(opened, SESSION_PARAMETERS, 0, null);
    if (isRefusal(answer)) throw new Refused({ ...answer, message: `${answer.message}: ${answer.detail}` });
    const connection = new HouseConnection(answer.upstream, answer.login);
    try {
      return await work(async (sql) => connection.query(opened.permit, sql));
    } finally {
      connection.close(opened.permit);
    }
  } finally {
    door.close(opened.session, { status: "done" });
  }
}

function readSession([searchPath, encoding, role, version, strings]: TextRow): SessionDefaults {
  const serverMajor = Math.floor(Number(version) / 10_000);
  if (
    typeof searchPath !== "string" ||
    typeof encoding !== "string" ||
    typeof role !== "string" ||
    !(serverMajor > 0)
  ) {
    throw new Error("the target does not tell its search_path, encoding, role and version");
  }
  return { serverMajor, encoding, role, searchPath, standardConformingStrings: strings === "on" };
}

/** By the relation's number, the types of its columns. */
async function readColumnTypes(query: Query): Promise<ColumnTypes> {
  const types = new Map<number, ReadonlyMap<string, string>>();
  for (let after = 0; ;) {
    const rows = await query(columnTypesQuery(after));
    for (const [oid, names, written] of rows) {
      after = Number(oid);
      const columns = texts(names);
      types.set(after, new Map(texts(written).map((type, index) => [columns[index] ?? "", type])));
    }
    if (rows.length < CATALOG_PAGE_ROWS) return types;
  }
}

/** Spelled as catalog-queries.ts explains: the database is hostile. */
function columnTypesQuery(after: number): string {
  return `SELECT a.attrelid, pg_catalog.json_agg(a.attname ORDER BY a.attnum),
    pg_catalog.json_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid OPERATOR(pg_catalog.>) ${after}${OID} AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    AND a.attrelid OPERATOR(pg_catalog.>=) 16384${OID}
  GROUP BY a.attrelid ORDER BY a.attrelid LIMIT ${CATALOG_PAGE_ROWS}`;
}

function texts(json: string | null | undefined): readonly string[] {
  const value: unknown = JSON.parse(json ?? "[]");
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    throw new Error("the target's catalog answered with rows of another shape");
  }
  return value;
}

/** A picture as it is kept. */
export function detailOf(contents: PictureContents, session: SessionDefaults, types: ColumnTypes): DatabaseDetail {
  const relations = new Map<string, Map<string, KnownRelation>>();
  for (const { oid, schema, name, kind, columns } of contents.relations) {
    const members = relations.get(schema) ?? new Map<string, KnownRelation>();
    relations.set(
      schema,
      members.set(name, { kind, columns: columns.map((column) => [column, types.get(oid)?.get(column) ?? null]) }),
    );
  }
  return {
    session,
    schemas: contents.schemas,
    names: { relations, functions: bySchema(contents.functions), types: bySchema(contents.types) },
    operators: [...contents.operators].flatMap(([symbol, operators]) =>
      operators.map((operator) => ({ symbol, ...operator })),
    ),
    typeFunctions: contents.typeFunctions,
  };
}

/** The names that policy may use, of all databases together. */
function pulled(detail: TargetDetail): PulledCatalog {
  const relations: string[] = [];
  const columns: string[] = [];
  const functions: string[] = [];
  for (const { names } of detail.databases.values()) {
    for (const [schema, members] of names.relations) {
      if (BUILT_IN_SCHEMAS.has(schema)) continue;
      for (const [name, relation] of members) {
        if (!READ_WRITE_KINDS.has(relation.kind)) continue;
        relations.push(joinIdentifier(schema, name));
        for (const [column] of relation.columns) columns.push(joinIdentifier(schema, name, column));
      }
    }
    for (const [schema, members] of names.functions) {
      if (BUILT_IN_SCHEMAS.has(schema)) continue;
      for (const name of members) functions.push(joinIdentifier(schema, name));
    }
  }
  return {
    names: { databases: [...detail.databases.keys()], relations, columns, functions },
    unlisted: { relations: UNLISTED, columns: UNLISTED, functions: UNLISTED },
    detail: encodeDetail(detail),
  };
}
