/**
 * The statements that read a target's catalog. The database is hostile: every name carries pg_catalog, operators are
 * spelled OPERATOR(pg_catalog...), and no syntax is used that looks an operator up by its bare symbol (IN, BETWEEN, LIKE).
 *
 * Changes are found by `xmin`, the transaction that wrote a row: a committed change of an object, whatever it is,
 * leaves a row with another xmin. `base` is a transaction id below which everything was finished when the picture was
 * taken, so a row that is no `recent` one is as it was, and removals show in the count of rows.
 */
import { CATALOG_PAGE_ROWS } from "./catalog-source.ts";

const OID = "::pg_catalog.oid";
const TEXT = "::pg_catalog.text";

/** Object ids below this come from initdb (FirstNormalObjectId). */
export const FIRST_USER_OID = 16_384;

export const COMMIT = "COMMIT";

/** Fixed for a connection: version, encoding, role, search_path. Compiling or spreading these queries only costs. */
export const SETTINGS = `SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.getdatabaseencoding(),
  CURRENT_USER${TEXT}, pg_catalog.current_setting('search_path'),
  pg_catalog.set_config('jit', 'off', false), pg_catalog.set_config('max_parallel_workers_per_gather', '0', false)`;

/** Sessions' temporary objects belong to no picture, and values too long for their rows are no relations of anybody. */
export const HIDDEN_SCHEMAS = `ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n
  WHERE pg_catalog.starts_with(n.nspname${TEXT}, 'pg_temp_') OR pg_catalog.starts_with(n.nspname${TEXT}, 'pg_toast'))`;

const VISIBLE_SCHEMA = `NOT pg_catalog.starts_with(c.nspname${TEXT}, 'pg_temp_')
  AND NOT pg_catalog.starts_with(c.nspname${TEXT}, 'pg_toast_temp_')`;

/** The groups that are compared and loaded one by one. */
export const GROUPS = [
  "schemas",
  "relations",
  "columns",
  "functions",
  "operators",
  "types",
  "conversions",
  "definitions",
] as const;
export type Group = (typeof GROUPS)[number];

type Table = { readonly from: string; readonly oid: string; readonly where: string };

const KEYED = {
  relations: {
    from: "pg_catalog.pg_class c",
    oid: "c.oid",
    where: `c.relkind OPERATOR(pg_catalog.<>) 't' AND NOT (c.relnamespace OPERATOR(pg_catalog.=) ANY (${HIDDEN_SCHEMAS}))`,
  },
  functions: {
    from: "pg_catalog.pg_proc c",
    oid: "c.oid",
    where: `NOT (c.pronamespace OPERATOR(pg_catalog.=) ANY (${HIDDEN_SCHEMAS}))`,
  },
  operators: {
    from: "pg_catalog.pg_operator c",
    oid: "c.oid",
    where: `(c.oid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}
      OR c.oprnamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace${OID})
      AND NOT (c.oprnamespace OPERATOR(pg_catalog.=) ANY (${HIDDEN_SCHEMAS}))`,
  },
  types: {
    from: "pg_catalog.pg_type c",
    oid: "c.oid",
    where: `NOT (c.typnamespace OPERATOR(pg_catalog.=) ANY (${HIDDEN_SCHEMAS}))`,
  },
} as const satisfies Record<string, Table>;
export type KeyedGroup = keyof typeof KEYED;

/** Sessions' temporary relations; those of pg_toast have no definitions. */
const TEMPORARY = `ARRAY(SELECT t.oid FROM pg_catalog.pg_class t WHERE t.relpersistence OPERATOR(pg_catalog.=) 't')`;

function ofRelations(column: string): string {
  return `NOT (${column} OPERATOR(pg_catalog.=) ANY (${TEMPORARY}))`;
}

/** What says what relations and types do and hold beyond their names; nobody looks into it but for changes. */
const DEFINITIONS: readonly Table[] = [
  { from: "pg_catalog.pg_rewrite c", oid: "c.oid", where: ofRelations("c.ev_class") },
  { from: "pg_catalog.pg_inherits c", oid: "c.inhrelid", where: ofRelations("c.inhrelid") },
  { from: "pg_catalog.pg_attrdef c", oid: "c.oid", where: ofRelations("c.adrelid") },
  { from: "pg_catalog.pg_trigger c", oid: "c.oid", where: ofRelations("c.tgrelid") },
  {
    from: "pg_catalog.pg_constraint c",
    oid: "c.oid",
    where: `c.conrelid OPERATOR(pg_catalog.>) 0${OID} AND ${ofRelations("c.conrelid")}`,
  },
  { from: "pg_catalog.pg_policy c", oid: "c.oid", where: "true" },
  { from: "pg_catalog.pg_enum c", oid: "c.oid", where: "true" },
  {
    from: "pg_catalog.pg_collation c",
    oid: "c.oid",
    where: `c.oid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}`,
  },
];

const DOMAIN_CONSTRAINTS: Table = {
  from: "pg_catalog.pg_constraint c",
  oid: "c.oid",
  where: `c.contypid OPERATOR(pg_catalog.>) 0${OID}`,
};

const TABLES: readonly (Table & { readonly group: Group })[] = [
  { group: "schemas", from: "pg_catalog.pg_namespace c", oid: "c.oid", where: VISIBLE_SCHEMA },
  { group: "relations", ...KEYED.relations },
  // Renaming a column touches this table alone.
  {
    group: "columns",
    from: "pg_catalog.pg_attribute c",
    oid: "c.attrelid",
    where: "c.attnum OPERATOR(pg_catalog.>) 0",
  },
  { group: "functions", ...KEYED.functions },
  { group: "operators", ...KEYED.operators },
  { group: "types", ...KEYED.types },
  { group: "conversions", from: "pg_catalog.pg_cast c", oid: "c.oid", where: "true" },
  { group: "conversions", from: "pg_catalog.pg_range c", oid: "c.rngtypid", where: "true" },
  { group: "conversions", ...DOMAIN_CONSTRAINTS },
  ...DEFINITIONS.map((table) => ({ group: "definitions" as const, ...table })),
];

/** True of rows that were written since `base` (also of rows whose transaction is two thousand millions back, which does no harm). */
function recent(row: string, base: string): string {
  const age = `pg_catalog.age(${row}.xmin)`;
  return `(${age} OPERATOR(pg_catalog.>=) 0 AND ${age} OPERATOR(pg_catalog.<=) (SELECT pg_catalog.age(${base})))`;
}

/** Count of all rows and a sum over the recent ones: for the old base, and for the one that the snapshot allows. */
function fingerprint(table: Table, bases: readonly string[]): string {
  const hash = `pg_catalog.hashint8extended(c.xmin${TEXT}::pg_catalog.int8, ${table.oid}::pg_catalog.int8)`;
  const sums = bases.map((base) => `pg_catalog.sum(${hash}) FILTER (WHERE ${recent("c", base)})`);
  const columns = sums.map((sum) => `pg_catalog.concat_ws(':', pg_catalog.count(*), ${sum})`);
  return `(SELECT pg_catalog.array_to_string(ARRAY[${columns.join(", ")}], ' ') FROM ${table.from} WHERE ${table.where})`;
}

const SNAPSHOT = `pg_catalog.pg_current_snapshot()`;
const NEXT_BASE = `pg_catalog.pg_snapshot_xmin(${SNAPSHOT})::pg_catalog.xid`;

/** Privileges come from roles' memberships too, which leave no trace in pg_namespace. */
const USABLE = `(SELECT pg_catalog.sum(pg_catalog.hashoidextended(c.oid, 0)) FROM pg_catalog.pg_namespace c
  WHERE ${VISIBLE_SCHEMA} AND pg_catalog.has_schema_privilege(c.oid, 'USAGE'))`;

/** What ALTER ROLE and ALTER DATABASE say of search_path, in the server's order of precedence; null: the server's own configuration decides. */
const DEFAULT_SEARCH_PATH = `(SELECT pg_catalog.substr(entry, 13) FROM pg_catalog.pg_db_role_setting s
  CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS entry
  WHERE pg_catalog.starts_with(entry, 'search_path=')
    AND (s.setdatabase OPERATOR(pg_catalog.=) 0${OID} OR s.setdatabase OPERATOR(pg_catalog.=)
      (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))
    AND (s.setrole OPERATOR(pg_catalog.=) 0${OID} OR s.setrole OPERATOR(pg_catalog.=)
      (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER))
  ORDER BY s.setrole OPERATOR(pg_catalog.=) 0${OID}, s.setdatabase OPERATOR(pg_catalog.=) 0${OID} LIMIT 1)`;

/** What the state query answers, decoded. */
export type State = {
  /** Equal snapshots see equal rows. */
  readonly snapshot: string;
  /** The base for the next comparison, if a picture is taken from this snapshot. */
  readonly nextBase: string;
  readonly defaultSearchPath: string | null;
  /** Per group, compared as text. Null: the snapshot is the known one, and nothing was counted. */
  readonly fingerprints: ReadonlyMap<Group, Fingerprints> | null;
};

export type Fingerprints = {
  /** Relative to the old base. */
  readonly old: string;
  /** Relative to `nextBase`. */
  readonly next: string;
  /** All rows of the group. */
  readonly count: number;
};

/**
 * Begins a transaction that sees one snapshot throughout, and asks whether anything is not as it was. When the snapshot
 * is `knownSnapshot` nothing is read; else it takes some 15 ms for 5,000 tables.
 */
export function stateQuery(base: string, knownSnapshot: string): string {
  const bases = [`'${base}'::pg_catalog.xid`, NEXT_BASE];
  const known = `${SNAPSHOT}${TEXT} OPERATOR(pg_catalog.=) '${knownSnapshot}'`;
  const lazily = (expression: string): string => `CASE WHEN ${known} THEN NULL ELSE ${expression} END`;
  const columns = [
    `${SNAPSHOT}${TEXT}`,
    `${NEXT_BASE}${TEXT}`,
    lazily(DEFAULT_SEARCH_PATH),
    lazily(USABLE),
    ...TABLES.map((table) => lazily(fingerprint(table, bases))),
  ];
  return `BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SELECT ${columns.join(",\n  ")}`;
}

/** Decodes the state query's only row; null when it is none. */
export function decodeState(row: readonly (string | null)[] | undefined): State | null {
  if (row === undefined || row.length !== 4 + TABLES.length) return null;
  const [snapshot, nextBase, defaultSearchPath = null, usable = null] = row;
  // These two go into the next statement.
  if (!consistsOf(snapshot, "0123456789:,") || !consistsOf(nextBase, "0123456789")) return null;
  const head = { snapshot, nextBase, defaultSearchPath };
  if (row[4] === null) return { ...head, fingerprints: null };
  const fingerprints = new Map<Group, Fingerprints>();
  for (const [index, table] of TABLES.entries()) {
    const value = row[4 + index];
    if (typeof value !== "string") return null;
    const [old = "", next = ""] = value.split(" ");
    const before = fingerprints.get(table.group) ?? { old: "", next: "", count: 0 };
    const extra = table.group === "schemas" ? `,${usable ?? ""}` : "";
    fingerprints.set(table.group, {
      old: `${before.old},${old}${extra}`,
      next: `${before.next},${next}${extra}`,
      count: before.count + Number(old.split(":")[0]),
    });
  }
  return { ...head, fingerprints };
}

function consistsOf(value: string | null | undefined, alphabet: string): value is string {
  if (typeof value !== "string" || value === "") return false;
  for (const character of value) if (!alphabet.includes(character)) return false;
  return true;
}

/** oid, name, may the connection's role use it. */
export const SCHEMAS = `SELECT c.oid, c.nspname, pg_catalog.has_schema_privilege(c.oid, 'USAGE')
  FROM pg_catalog.pg_namespace c WHERE ${VISIBLE_SCHEMA}`;

const KIND_HAS_NO_COLUMNS = `c.relkind OPERATOR(pg_catalog.=) 'i' OR c.relkind OPERATOR(pg_catalog.=) 'I'`;

const COLUMNS: Record<KeyedGroup, string> = {
  // oid, schema, name, kind, names of columns, their types as far as these are no built-in ones, what else columns and the relation are.
  relations: `c.oid, c.relnamespace, c.relname, c.relkind, a.names, a.types,
    pg_catalog.concat_ws(' ', a.details, c.relrowsecurity, c.reloptions)`,
  // oid, schema, name, what it is and does, as a hash.
  functions: `c.oid, c.pronamespace, c.proname,
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.json_build_array(c.prokind, c.prosecdef,
      c.prolang, c.provolatile, c.prorettype, c.proretset, c.provariadic, c.proargtypes, c.proallargtypes,
      c.proargmodes, c.proargdefaults, c.prosupport${OID}, c.proconfig, c.prosrc, c.probin, c.prosqlbody)${TEXT},
      pg_catalog.getdatabaseencoding())), 'base64')`,
  // oid, schema, symbol, function.
  operators: `c.oid, c.oprnamespace, c.oprname, c.oprcode${OID}`,
  // oid, schema, name, kind, what else it is, relation of the row type, type of the elements, type under the domain, functions.
  types: `c.oid, c.typnamespace, c.typname, c.typtype,
    pg_catalog.concat_ws(' ', c.typnotnull, c.typtypmod, c.typcollation, c.typcategory), c.typrelid, c.typelem, c.typbasetype,
    c.typinput${OID}, c.typoutput${OID}, c.typreceive${OID}, c.typsend${OID}, c.typmodin${OID}, c.typmodout${OID}`,
};

const RELATION_COLUMNS = `LEFT JOIN LATERAL (
  SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) AS names,
    pg_catalog.json_agg(a.atttypid ORDER BY a.attnum)
      FILTER (WHERE a.atttypid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}) AS types,
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.string_agg(
      pg_catalog.concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, a.attnum,
        CASE WHEN a.attgenerated OPERATOR(pg_catalog.<>) '' THEN a.attnotnull END), ',' ORDER BY a.attnum),
      'SQL_ASCII')), 'base64') AS details
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    AND NOT (${KIND_HAS_NO_COLUMNS})) a ON true`;

/**
 * A page of a group's objects, those with an oid above `after`, in order of oid.
 * `base` null: all of them; else those that were written since. A relation counts as written when one of its columns was.
 */
export function pageQuery(group: KeyedGroup, base: string | null, after: number): string {
  const table = KEYED[group];
  const join = group === "relations" ? RELATION_COLUMNS : "";
  const conditions: string[] = [table.where, `c.oid OPERATOR(pg_catalog.>) ${after}${OID}`];
  if (base !== null) {
    const written = recent("c", `'${base}'::pg_catalog.xid`);
    const columns = `c.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT b.attrelid FROM pg_catalog.pg_attribute b
      WHERE b.attnum OPERATOR(pg_catalog.>) 0 AND ${recent("b", `'${base}'::pg_catalog.xid`)}))`;
    conditions.push(group === "relations" ? `(${written} OR ${columns})` : written);
  }
  return `SELECT ${COLUMNS[group]} FROM ${table.from} ${join} WHERE ${conditions.join(" AND ")}
    ORDER BY c.oid LIMIT ${CATALOG_PAGE_ROWS}`;
}

/** A page of the oids that a group has, to find those that are gone. */
export function oidsQuery(group: KeyedGroup, after: number): string {
  const table = KEYED[group];
  return `SELECT c.oid FROM ${table.from} WHERE ${table.where} AND c.oid OPERATOR(pg_catalog.>) ${after}${OID}
    ORDER BY c.oid LIMIT ${OIDS_PAGE_ROWS}`;
}
export const OIDS_PAGE_ROWS = CATALOG_PAGE_ROWS * 10;

/** A digest of all definitions, domains' constraints among them, one column for each table. */
export const DEFINITIONS_DIGEST = `SELECT ${[...DEFINITIONS, DOMAIN_CONSTRAINTS].map(contentDigest).join(",\n  ")}`;

function contentDigest({ from, oid, where }: Table): string {
  const hash = (text: string): string =>
    `pg_catalog.sha256(pg_catalog.convert_to(${text}, pg_catalog.getdatabaseencoding()))`;
  const rows = `pg_catalog.string_agg(pg_catalog.encode(${hash(`c${TEXT}`)}, 'base64'), ' ' ORDER BY ${oid})`;
  return `(SELECT pg_catalog.encode(${hash(`pg_catalog.concat(${rows})`)}, 'base64') FROM ${from} WHERE ${where})`;
}

/**
 * What a conversion to a type may call beyond the type's own functions, one per row:
 * type, what kind of link (f: that function, t: that type's conversions, o: that type's output), oid.
 */
export function conversionsQuery(limit: number): string {
  const user = (column: string): string => `${column} OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}`;
  const depends = (catalog: string): string => `pg_catalog.pg_constraint k JOIN pg_catalog.pg_depend d
    ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass${OID}
    AND d.objid OPERATOR(pg_catalog.=) k.oid
    AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.${catalog}'::pg_catalog.regclass${OID}`;
  const ofDomain = `k.contypid OPERATOR(pg_catalog.>) 0${OID}`;
  const parts = [
    // CREATE CAST ... WITH FUNCTION, and WITH INOUT.
    `SELECT c.casttarget, 'f', c.castfunc FROM pg_catalog.pg_cast c WHERE ${user("c.castfunc")}`,
    `SELECT c.casttarget, 'o', c.castsource FROM pg_catalog.pg_cast c
      WHERE c.castmethod OPERATOR(pg_catalog.=) 'i' AND ${user("c.castsource")}`,
    // CHECK of a domain: functions, operators, types.
    `SELECT k.contypid, 'f', d.refobjid FROM ${depends("pg_proc")} WHERE ${ofDomain}`,
    `SELECT k.contypid, 'f', o.oprcode${OID} FROM ${depends("pg_operator")}
      JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) d.refobjid WHERE ${ofDomain}`,
    `SELECT k.contypid, 't', d.refobjid FROM ${depends("pg_type")}
      WHERE ${ofDomain} AND d.refobjid OPERATOR(pg_catalog.<>) k.contypid`,
    // Ranges: subtype, canonical function, comparison; a multirange is made of its range.
    `SELECT r.rngtypid, 't', r.rngsubtype FROM pg_catalog.pg_range r WHERE ${user("r.rngtypid")}`,
    `SELECT r.rngmultitypid, 't', r.rngtypid FROM pg_catalog.pg_range r WHERE ${user("r.rngtypid")}`,
    `SELECT r.rngtypid, 'f', r.rngcanonical${OID} FROM pg_catalog.pg_range r WHERE ${user("r.rngcanonical" + OID)}`,
    `SELECT r.rngtypid, 'f', p.amproc${OID} FROM pg_catalog.pg_range r
      JOIN pg_catalog.pg_opclass q ON q.oid OPERATOR(pg_catalog.=) r.rngsubopc
      JOIN pg_catalog.pg_amproc p ON p.amprocfamily OPERATOR(pg_catalog.=) q.opcfamily
        AND p.amproclefttype OPERATOR(pg_catalog.=) q.opcintype AND p.amprocrighttype OPERATOR(pg_catalog.=) q.opcintype
      WHERE ${user("r.rngtypid")} AND ${user("p.amproc" + OID)}`,
  ];
  return `${parts.join("\n UNION ALL ")} LIMIT ${limit}`;
}
