/** The parts of the script that look at the database while they run: roles, what was given before, what everybody may do. */
import { MASKS_ROLE, MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteQualified, quoteText } from "../quote.ts";

/** Marks roles as the gateway's own. What it did not make it does not drop. */
const MADE = "weir: made for masking";
const ADOPTED = "weir: used for masking";

/** Tables in MASKS_SCHEMA beside the views. */
export const KEY_TABLE = "hash_key";
export const MEMORY_TABLE = "taken_from_public";

/** What is noted beside a view: digests of the query it was made from, and of what the server made of it. */
export function sealOf(sourceDigest: string, definitionDigest: string): string {
  return `weir: ${sourceDigest} ${definitionDigest}`;
}

/** One preparation at a time, in all databases: roles are theirs together. */
const LOCK = 7_719_540_042;

/** A DO block that nothing in `body` can end. */
export function block(body: string): string {
  let tag = "$weir$";
  for (let attempt = 1; body.includes(tag); attempt++) tag = `$weir${attempt}$`;
  return `DO ${tag}\n${body.trim()}\n${tag};`;
}

/** Begins the transaction; stops in another database than `database`. */
export function begin(database: string): string {
  return `BEGIN;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
SET LOCAL quote_all_identifiers = off;
${block(`
BEGIN
  IF current_database() <> ${quoteText(database)} THEN
    RAISE EXCEPTION 'this script is for the database %, and this is %', ${quoteText(database)}, current_database();
  END IF;
  PERFORM pg_advisory_xact_lock(${LOCK});
END`)}`;
}

/** Makes both roles, or makes sure that they are the gateway's own, and gives them the attributes they must have. */
export function makeRoles(user: string): string {
  return block(`
DECLARE
  wanted record;
  there record;
  remark text;
  change text;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES (${quoteText(MASKS_ROLE)}, false), (${quoteText(user)}, true)) AS w (name, may_log_in) LOOP
    SELECT * INTO there FROM pg_roles WHERE rolname = wanted.name;
    IF NOT FOUND THEN
      EXECUTE format('CREATE ROLE %I NOINHERIT', wanted.name);
      EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.name, ${quoteText(MADE)});
      SELECT * INTO there FROM pg_roles WHERE rolname = wanted.name;
    ELSE
      remark := coalesce(shobj_description(there.oid, 'pg_authid'), '');
      IF remark NOT IN (${quoteText(MADE)}, ${quoteText(ADOPTED)}) THEN
        -- Somebody else's role would lose its rights here.
        IF there.rolsuper OR there.rolcreaterole OR there.rolcreatedb OR there.rolreplication OR there.rolbypassrls
          OR EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = there.oid)
          OR EXISTS (SELECT FROM pg_auth_members WHERE member = there.oid) THEN
          RAISE EXCEPTION 'the role "%" is there, and has rights of its own', wanted.name
            USING HINT = 'Name another as masking.user, or drop this one.';
        END IF;
        EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.name, ${quoteText(ADOPTED)});
      END IF;
    END IF;
    -- Only what differs: some attributes may only be named by a superuser, even to say no.
    change := concat_ws(' ',
      CASE WHEN there.rolsuper THEN 'NOSUPERUSER' END,
      CASE WHEN there.rolcreatedb THEN 'NOCREATEDB' END,
      CASE WHEN there.rolcreaterole THEN 'NOCREATEROLE' END,
      CASE WHEN there.rolreplication THEN 'NOREPLICATION' END,
      CASE WHEN there.rolbypassrls THEN 'NOBYPASSRLS' END,
      CASE WHEN there.rolinherit THEN 'NOINHERIT' END,
      CASE WHEN there.rolcanlogin <> wanted.may_log_in
        THEN CASE WHEN wanted.may_log_in THEN 'LOGIN' ELSE 'NOLOGIN' END END);
    IF change <> '' THEN
      EXECUTE format('ALTER ROLE %I %s', wanted.name, change);
    END IF;
  END LOOP;
END`);
}

/** A superuser may give objects to the views' owner; anybody else must belong to it, and does until giveBackRole(). */
export function takeRole(): string {
  return block(`
BEGIN
  IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = '${MASKS_ROLE}' AND NOT pg_has_role(r.oid, 'USAGE')) THEN
    EXECUTE format('GRANT ${MASKS_ROLE} TO %I', current_user);
    PERFORM set_config('weir.is_guest', 'yes', true);
  END IF;
END`);
}

/** Undoes takeRole(). */
export function giveBackRole(): string {
  return block(`
BEGIN
  IF current_setting('weir.is_guest', true) = 'yes' AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = '${MASKS_ROLE}') THEN
    EXECUTE format('REVOKE ${MASKS_ROLE} FROM %I', current_user);
  END IF;
END`);
}

/**
 * Takes everything back that an earlier run gave in this database: to everybody what was theirs, from both roles all
 * they have. What follows builds upon nothing, so that the end does not depend on how it was before; only views that are
 * exactly `wanted` stay, because thousands of them are more than one transaction can drop and make (its locks run out).
 */
export function reset(user: string, wanted: readonly NamedView[]): string {
  return block(`
DECLARE
  item record;
  receiver text;
  columns text[];
  own text;
  roles oid[] := ARRAY(SELECT oid FROM pg_roles WHERE rolname IN (${quoteText(MASKS_ROLE)}, ${quoteText(user)}));
BEGIN
  -- What was everybody's.
  IF to_regclass('${MASKS_SCHEMA}.${MEMORY_TABLE}') IS NOT NULL THEN
    FOR item IN SELECT * FROM ${MASKS_SCHEMA}.${MEMORY_TABLE} LOOP
      BEGIN
        EXECUTE format('GRANT %s ON %s TO PUBLIC', item.privilege, item.object);
        FOR receiver IN SELECT r.rolname FROM pg_roles r WHERE r.rolname = ANY (item.given_to) LOOP
          -- With the right to a table go those to its columns, which were the role's own.
          columns := ARRAY(SELECT format('GRANT %s (%I) ON %s TO %I', x.privilege_type, a.attname, item.object, receiver)
              || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
            FROM pg_attribute a, aclexplode(a.attacl) x WHERE starts_with(item.object, 'TABLE ')
              AND a.attrelid = to_regclass(substr(item.object, length('TABLE ') + 1))
              AND x.privilege_type = item.privilege AND x.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = receiver));
          EXECUTE format('REVOKE %s ON %s FROM %I', item.privilege, item.object, receiver);
          FOREACH own IN ARRAY columns LOOP
            EXECUTE own;
          END LOOP;
        END LOOP;
      EXCEPTION WHEN undefined_object OR undefined_table OR undefined_column OR undefined_function OR invalid_schema_name THEN
        -- It is gone.
      END;
    END LOOP;
    DELETE FROM ${MASKS_SCHEMA}.${MEMORY_TABLE};
  END IF;
  -- What the login owns it could read and alter, whatever its rights.
  FOR item IN SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS name FROM pg_shdepend d
    JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
    WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
      AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = ${quoteText(user)}) LOOP
    RAISE EXCEPTION '% is owned by "%", which must own nothing', item.name, ${quoteText(user)}
      USING HINT = 'Give it to another role, or drop it.';
  END LOOP;
  -- What both have in this database.
  FOR item IN
    SELECT r.rolname AS role, d.classid, d.objid, d.objsubid,
      CASE d.classid
        WHEN 'pg_class'::regclass THEN (SELECT format('%s %I.%I',
          CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = d.objid)
        WHEN 'pg_proc'::regclass THEN (SELECT format('ROUTINE %I.%I(%s)', n.nspname, p.proname,
          pg_get_function_identity_arguments(p.oid))
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = d.objid)
        WHEN 'pg_namespace'::regclass THEN (SELECT format('SCHEMA %I', nspname) FROM pg_namespace WHERE oid = d.objid)
        WHEN 'pg_database'::regclass THEN (SELECT format('DATABASE %I', datname) FROM pg_database WHERE oid = d.objid)
        WHEN 'pg_type'::regclass THEN (SELECT format('TYPE %I.%I', n.nspname, t.typname)
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = d.objid)
        WHEN 'pg_language'::regclass THEN (SELECT format('LANGUAGE %I', lanname) FROM pg_language WHERE oid = d.objid)
        WHEN 'pg_foreign_data_wrapper'::regclass THEN
          (SELECT format('FOREIGN DATA WRAPPER %I', fdwname) FROM pg_foreign_data_wrapper WHERE oid = d.objid)
        WHEN 'pg_foreign_server'::regclass THEN
          (SELECT format('FOREIGN SERVER %I', srvname) FROM pg_foreign_server WHERE oid = d.objid)
        WHEN 'pg_largeobject_metadata'::regclass THEN format('LARGE OBJECT %s', d.objid)
      END AS object,
      CASE WHEN d.classid = 'pg_class'::regclass AND d.objsubid <> 0 THEN
        (SELECT format('(%I)', a.attname) FROM pg_attribute a WHERE a.attrelid = d.objid AND a.attnum = d.objsubid)
        ELSE '' END AS of_column
    FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (roles) AND d.deptype = 'a'
      AND ((d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
        OR d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
  LOOP
    IF item.object IS NOT NULL THEN
      EXECUTE format('REVOKE ALL %s ON %s FROM %I CASCADE', item.of_column, item.object, item.role);
    END IF;
  END LOOP;
  -- Rights of a role that it could make its own.
  FOR item IN SELECT g.rolname AS granted, m.rolname AS member, b.rolname AS grantor FROM pg_auth_members a
    JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member JOIN pg_roles b ON b.oid = a.grantor
    WHERE m.oid = ANY (roles) LOOP
    IF current_setting('server_version_num')::int >= 160000 THEN
      EXECUTE format('REVOKE %I FROM %I GRANTED BY %I CASCADE', item.granted, item.member, item.grantor);
    ELSE
      EXECUTE format('REVOKE %I FROM %I CASCADE', item.granted, item.member);
    END IF;
  END LOOP;
  -- The functions that show rows of the views.
  FOR item IN SELECT p.oid::regprocedure::text AS name FROM pg_proc p
    WHERE p.pronamespace = to_regnamespace('${MASKS_SCHEMA}')
      AND p.proowner = (SELECT oid FROM pg_roles WHERE rolname = '${MASKS_ROLE}') LOOP
    EXECUTE format('DROP ROUTINE %s', item.name);
  END LOOP;
  -- The views; what others have built upon one keeps it from being dropped.
  FOR item IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN (${sealRows(wanted)}) AS w (name, seal) ON w.name = c.relname
    WHERE n.nspname = '${MASKS_SCHEMA}' AND c.relkind = 'v' AND NOT coalesce(
      obj_description(c.oid, 'pg_class') = w.seal || ${DEFINITION_DIGEST} AND pg_get_userbyid(c.relowner) = '${MASKS_ROLE}'
      AND c.reloptions IS NULL AND NOT c.relhastriggers
      AND (SELECT count(*) FROM pg_rewrite r WHERE r.ev_class = c.oid) = 1, false) LOOP
    EXECUTE format('DROP VIEW ${MASKS_SCHEMA}.%I', item.relname);
  END LOOP;
END`);
}

/** The schema, the key of hashes, and the memory of what was everybody's. */
export function makeSchema(): string {
  return `${block(`
BEGIN
  IF EXISTS (SELECT FROM pg_namespace WHERE nspname = '${MASKS_SCHEMA}' AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = '${MASKS_ROLE}')) THEN
    RAISE EXCEPTION 'there is a schema ${MASKS_SCHEMA} that does not belong to the role ${MASKS_ROLE}'
      USING HINT = 'Rename it: the name is weir''s.';
  END IF;
END`)}
CREATE SCHEMA IF NOT EXISTS ${MASKS_SCHEMA} AUTHORIZATION ${MASKS_ROLE};

-- The key of hashes: made here, read by the views of ${MASKS_ROLE} alone, and never anywhere else.
CREATE TABLE IF NOT EXISTS ${MASKS_SCHEMA}.${KEY_TABLE} (
  k bytea NOT NULL CHECK (length(k) = 32),
  one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
ALTER TABLE ${MASKS_SCHEMA}.${KEY_TABLE} OWNER TO ${MASKS_ROLE};
INSERT INTO ${MASKS_SCHEMA}.${KEY_TABLE} (k) SELECT sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
  WHERE NOT EXISTS (SELECT FROM ${MASKS_SCHEMA}.${KEY_TABLE});

-- What was everybody's and is not any more; --remove gives it back.
CREATE TABLE IF NOT EXISTS ${MASKS_SCHEMA}.${MEMORY_TABLE} (
  privilege text NOT NULL,
  object text NOT NULL,
  given_to text[] NOT NULL
);
ALTER TABLE ${MASKS_SCHEMA}.${MEMORY_TABLE} OWNER TO ${MASKS_ROLE};`;
}

/** A right that nobody may have through PUBLIC, as an SQL literal list of tables. */
export type TakenTables = {
  /** Masked: SELECT is taken, of the whole and of its columns. */
  readonly masked: readonly number[];
  /** Closed: everything is taken. */
  readonly closed: readonly number[];
};

/**
 * Takes from PUBLIC what the governed login must not have, and gives it to every other role that is there and would
 * lose it. `safe`: functions as GRANT names them.
 */
export function takeFromPublic(user: string, tables: TakenTables, safe: readonly string[]): string {
  const safeOids = safe.length === 0 ? "" : safe.map(quoteText).join(", ");
  return block(`
DECLARE
  item record;
  losers text[];
  loser text;
  masked oid[] := ${oids(tables.masked)};
  closed oid[] := ${oids(tables.closed)};
  safe text[] := ARRAY[${safeOids}]::text[];
BEGIN
  FOR item IN
    -- Whoever runs a SECURITY DEFINER function reads with its owner's rights.
    SELECT 'EXECUTE' AS privilege, format('ROUTINE %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS object,
      format('has_function_privilege(r.oid, %s::oid, ''EXECUTE'')', p.oid) AS test
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef
      AND format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) <> ALL (safe)
      AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0 AND privilege_type = 'EXECUTE')
    UNION ALL
    -- Copies, and objects that hide or hold them.
    SELECT 'CREATE', format('SCHEMA %I', n.nspname), format('has_schema_privilege(r.oid, %s::oid, ''CREATE'')', n.oid)
    FROM pg_namespace n, aclexplode(n.nspacl) WHERE grantee = 0 AND privilege_type = 'CREATE'
    UNION ALL
    SELECT privilege_type, format('DATABASE %I', d.datname), format('has_database_privilege(r.oid, %s::oid, %L)', d.oid, privilege_type)
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))
    WHERE d.datname = current_database() AND grantee = 0 AND privilege_type IN ('TEMPORARY', 'CREATE')
    UNION ALL
    -- Another way back into the database.
    SELECT 'USAGE', format('FOREIGN SERVER %I', s.srvname), format('has_server_privilege(r.oid, %s::oid, ''USAGE'')', s.oid)
    FROM pg_foreign_server s, aclexplode(s.srvacl) WHERE grantee = 0
    UNION ALL
    SELECT privilege_type, format('TABLE %I.%I', n.nspname, c.relname), format('has_table_privilege(r.oid, %s::oid, %L)', c.oid, privilege_type)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl)
    WHERE grantee = 0 AND ((c.oid = ANY (masked) AND privilege_type = 'SELECT') OR c.oid = ANY (closed))
    UNION ALL
    SELECT format('%s (%I)', privilege_type, a.attname), format('TABLE %I.%I', n.nspname, c.relname),
      format('has_column_privilege(r.oid, %s::oid, %s::int2, %L)', c.oid, a.attnum, privilege_type)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(a.attacl)
    WHERE grantee = 0 AND ((c.oid = ANY (masked) AND privilege_type = 'SELECT') OR c.oid = ANY (closed))
  LOOP
    EXECUTE format('REVOKE %s ON %s FROM PUBLIC', item.privilege, item.object);
    EXECUTE format('SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), ''{}'') FROM pg_roles r
      WHERE NOT r.rolsuper AND NOT starts_with(r.rolname, ''pg_'') AND r.rolname NOT IN (%L, %L) AND NOT %s',
      '${MASKS_ROLE}', ${quoteText(user)}, item.test) INTO losers;
    FOREACH loser IN ARRAY losers LOOP
      EXECUTE format('GRANT %s ON %s TO %I', item.privilege, item.object, loser);
    END LOOP;
    INSERT INTO ${MASKS_SCHEMA}.${MEMORY_TABLE} VALUES (item.privilege, item.object, losers);
  END LOOP;
END`);
}

function oids(list: readonly number[]): string {
  return `'{${list.join(",")}}'`;
}

/** Takes from everybody else what default privileges may have given them on the gateway's own objects. */
export function closeSchema(user: string): string {
  return block(`
DECLARE
  item record;
BEGIN
  FOR item IN
    SELECT format('TABLE ${MASKS_SCHEMA}.%I', c.relname) AS object, grantee FROM pg_class c, aclexplode(c.relacl)
    WHERE c.relnamespace = '${MASKS_SCHEMA}'::regnamespace AND c.relkind IN ('r', 'v')
    UNION
    SELECT format('TABLE ${MASKS_SCHEMA}.%I', c.relname), grantee
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl)
    WHERE c.relnamespace = '${MASKS_SCHEMA}'::regnamespace AND c.relkind IN ('r', 'v')
    UNION
    SELECT 'SCHEMA ${MASKS_SCHEMA}', grantee FROM pg_namespace n, aclexplode(n.nspacl) WHERE n.nspname = '${MASKS_SCHEMA}'
  LOOP
    IF item.grantee = 0 THEN
      EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', item.object);
    ELSIF pg_get_userbyid(item.grantee) NOT IN ('${MASKS_ROLE}', ${quoteText(user)}) THEN
      EXECUTE format('REVOKE ALL ON %s FROM %I', item.object, pg_get_userbyid(item.grantee));
    END IF;
  END LOOP;
END`);
}

/** Makes a view that reset() has not left there. Nothing in its query is a variable here. */
export function makeView(name: string, sql: string): string {
  const view = quoteQualified(MASKS_SCHEMA, name);
  return block(`
BEGIN IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = '${MASKS_SCHEMA}'::regnamespace AND relname = ${quoteText(name)}) THEN
CREATE VIEW ${view} AS
${sql};
ALTER VIEW ${view} OWNER TO ${MASKS_ROLE};
END IF; END`);
}

/** Of the view `c`, as the self-check computes it. */
const DEFINITION_DIGEST = "encode(sha256(convert_to(pg_get_viewdef(c.oid), 'UTF8')), 'hex')";

type NamedView = { readonly name: string; readonly digest: string };

/** A query of views and the seals they must have, but for the digest of their definition. */
function sealRows(views: readonly NamedView[]): string {
  if (views.length === 0) return "SELECT NULL::text, NULL::text";
  return `VALUES\n${views
    .map(({ name, digest }) => `    (${quoteText(name)}, ${quoteText(sealOf(digest, ""))})`)
    .join(",\n")}`;
}

/** Writes beside each view what it was made from and what the server made of it: the self-check compares both. */
export function sealViews(views: readonly NamedView[]): string {
  if (views.length === 0) return "";
  return block(`
DECLARE
  item record;
BEGIN
  FOR item IN SELECT v.name, v.seal || ${DEFINITION_DIGEST} AS seal FROM (${sealRows(views)}
  ) AS v (name, seal) JOIN pg_class c ON c.relname = v.name AND c.relnamespace = '${MASKS_SCHEMA}'::regnamespace
    WHERE obj_description(c.oid, 'pg_class') IS NULL
  LOOP
    EXECUTE format('COMMENT ON VIEW ${MASKS_SCHEMA}.%I IS %L', item.name, item.seal);
  END LOOP;
END`);
}

/** Drops what is left after reset(), roles included; a sentence says what keeps it. */
export function dropAll(user: string): string {
  return block(`
DECLARE
  item record;
BEGIN
  FOR item IN SELECT pg_describe_object(d.classid, d.objid, 0) AS name, pg_describe_object(d.refclassid, d.refobjid, 0) AS on_what
    FROM pg_depend d WHERE d.deptype = 'n' AND d.refclassid = 'pg_namespace'::regclass
      AND d.refobjid = to_regnamespace('${MASKS_SCHEMA}')
      AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN
        (to_regclass('${MASKS_SCHEMA}.${KEY_TABLE}'), to_regclass('${MASKS_SCHEMA}.${MEMORY_TABLE}'))) LOOP
    RAISE EXCEPTION '% is in the schema ${MASKS_SCHEMA} and not weir''s', item.name USING HINT = 'Drop it or move it first.';
  END LOOP;
  DROP TABLE IF EXISTS ${MASKS_SCHEMA}.${KEY_TABLE}, ${MASKS_SCHEMA}.${MEMORY_TABLE};
  DROP SCHEMA IF EXISTS ${MASKS_SCHEMA};
  -- Roles are all databases' together: another one may still use them.
  FOR item IN SELECT r.oid, r.rolname FROM pg_roles r WHERE r.rolname IN ('${MASKS_ROLE}', ${quoteText(user)}) LOOP
    EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', item.rolname, current_database());
    IF shobj_description(item.oid, 'pg_authid') = ${quoteText(MADE)} AND NOT EXISTS (SELECT FROM pg_shdepend
      WHERE refclassid = 'pg_authid'::regclass AND refobjid = item.oid) THEN
      EXECUTE format('DROP ROLE %I', item.rolname);
    END IF;
  END LOOP;
END`);
}
