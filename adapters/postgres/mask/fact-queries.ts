/**
 * The statements that read what masks need of a catalog. As in catalog-queries.ts the database is hostile: names carry
 * pg_catalog, operators are spelled OPERATOR(pg_catalog...), and search_path is empty, so that what the server writes
 * (definitions, types) names everything outside pg_catalog with its schema.
 */
import { FIRST_USER_OID, HIDDEN_SCHEMAS } from "../catalog-queries.ts";

const OID = "::pg_catalog.oid";
const TEXT = "::pg_catalog.text";
const CLASS = `'pg_catalog.pg_class'::pg_catalog.regclass${OID}`;
const TEXT_TYPE = `'pg_catalog.text'::pg_catalog.regtype${OID}`;

/** How many relations one query may return. */
export const FACTS_PAGE_ROWS = 1000;
/** How many definitions: while they are written the tables in them are locked against changes. */
export const DEFINITIONS_PAGE_ROWS = 200;

function isOne(column: string, letters: string): string {
  return `${column} OPERATOR(pg_catalog.=) ANY ('{${letters.split("").join(",")}}'::pg_catalog."char"[])`;
}

function isVisible(alias: string): string {
  return `NOT (${alias}.relnamespace OPERATOR(pg_catalog.=) ANY (${HIDDEN_SCHEMAS}))`;
}

const IS_VIEW_RULE = `r.rulename OPERATOR(pg_catalog.=) '_RETURN'`;

/** What a query can read: tables of every kind, views, sequences. */
const READABLE = `${isOne("c.relkind", "rpfvmS")} AND ${isVisible("c")}`;

/**
 * oid, schema, name, kind, row security, security_invoker, columns as JSON: name, attnum, type, typmod, collation.
 */
export function relationsQuery(after: number): string {
  return `SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity,
    EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
      WHERE o.option_name OPERATOR(pg_catalog.=) 'security_invoker' AND o.option_value::pg_catalog.bool),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.attnum, a.atttypid, a.atttypmod,
        a.attcollation) ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute a
      WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE ${READABLE} AND c.oid OPERATOR(pg_catalog.>) ${after}${OID} ORDER BY c.oid LIMIT ${FACTS_PAGE_ROWS}`;
}

/** oid, typmod, as SQL spells it: every type that a column has. */
export const COLUMN_TYPES = `SELECT u.atttypid, u.atttypmod, pg_catalog.format_type(u.atttypid, u.atttypmod)
  FROM (SELECT DISTINCT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped) u`;

/**
 * oid, schema, name, kind, category, type under the domain, NOT NULL, is it made of elements, first label of an enum, its
 * input and output functions, is there a cast with a function between it and text. Types of rows are left out: nothing
 * looks into them.
 */
export const TYPES = `SELECT t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typbasetype, t.typnotnull,
    EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray OPERATOR(pg_catalog.=) t.oid),
    CASE WHEN t.typtype OPERATOR(pg_catalog.=) 'e' THEN (SELECT e.enumlabel FROM pg_catalog.pg_enum e
      WHERE e.enumtypid OPERATOR(pg_catalog.=) t.oid ORDER BY e.enumsortorder LIMIT 1) END,
    (SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) t.typinput${OID}),
    (SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) t.typoutput${OID}),
    EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.castmethod OPERATOR(pg_catalog.=) 'f'
      AND ((k.castsource OPERATOR(pg_catalog.=) t.oid AND k.casttarget OPERATOR(pg_catalog.=) ${TEXT_TYPE})
        OR (k.casttarget OPERATOR(pg_catalog.=) t.oid AND k.castsource OPERATOR(pg_catalog.=) ${TEXT_TYPE})))
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
  WHERE t.typtype OPERATOR(pg_catalog.<>) 'c' AND (t.typelem OPERATOR(pg_catalog.=) 0${OID}
    OR t.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE a.attnum OPERATOR(pg_catalog.>) 0))
    OR t.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.typbasetype FROM pg_catalog.pg_type d
      WHERE d.typtype OPERATOR(pg_catalog.=) 'd')))`;

/** domain, its CHECK as SQL. */
export const DOMAIN_CHECKS = `SELECT k.contypid, pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k
  WHERE k.contypid OPERATOR(pg_catalog.>) 0${OID} AND k.contype OPERATOR(pg_catalog.=) 'c'`;

/** oid, schema, name. */
export const COLLATIONS = `SELECT l.oid, n.nspname, l.collname FROM pg_catalog.pg_collation l
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) l.collnamespace
  WHERE l.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT DISTINCT a.attcollation FROM pg_catalog.pg_attribute a
    WHERE a.attcollation OPERATOR(pg_catalog.>) 0${OID}))`;

/** child, parent; a partition that is being detached is one still. */
export const INHERITANCE = `SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i`;

/** relation, attnum, expression as SQL: generated columns. */
export const GENERATED = `SELECT d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid
    AND a.attnum OPERATOR(pg_catalog.=) d.adnum
  WHERE a.attgenerated OPERATOR(pg_catalog.<>) ''`;

/** relation, the rule as SQL: those that people made, but for what makes a view. */
export const RULES = `SELECT r.ev_class, pg_catalog.pg_get_ruledef(r.oid) FROM pg_catalog.pg_rewrite r
  WHERE r.rulename OPERATOR(pg_catalog.<>) '_RETURN' AND r.oid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}`;

/** relation, attnum: the columns that decide in which partition a row lies; an expression depends on its own. */
export const PARTITION_KEYS = `SELECT d.objid, d.objsubid FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid OPERATOR(pg_catalog.=) d.objid
  WHERE d.classid OPERATOR(pg_catalog.=) ${CLASS} AND d.refclassid OPERATOR(pg_catalog.=) ${CLASS}
    AND d.refobjid OPERATOR(pg_catalog.=) d.objid AND d.objsubid OPERATOR(pg_catalog.>) 0
    AND d.refobjsubid OPERATOR(pg_catalog.=) 0`;

/** relation, attnums, referenced relation, attnums, each as a JSON array in the same order: foreign keys. */
export const FOREIGN_KEYS = `SELECT k.conrelid, pg_catalog.array_to_json(k.conkey), k.confrelid,
    pg_catalog.array_to_json(k.confkey)
  FROM pg_catalog.pg_constraint k WHERE ${isOne("k.contype", "f")}`;

/** relation, and as SQL what says which of its rows are shown, and which may be written: row level security, where it is on. */
export const POLICIES = `SELECT p.polrelid, pg_catalog.pg_get_expr(p.polqual, p.polrelid),
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
  FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.polrelid
  WHERE c.relrowsecurity`;

/**
 * relation, attnums as a JSON array: columns that the server looks at together when one of them is written, in CHECKs,
 * foreign keys, and unique and exclusion constraints and indexes with their expressions and conditions; and generated
 * columns that do not take every value (NOT NULL, a length, a domain). 0: any.
 */
export const CONSTRAINED = `SELECT k.conrelid, pg_catalog.array_to_json(k.conkey) FROM pg_catalog.pg_constraint k
    WHERE k.conrelid OPERATOR(pg_catalog.>) 0${OID} AND ${isOne("k.contype", "cf")} AND k.conkey IS NOT NULL
  UNION ALL SELECT k.confrelid, pg_catalog.array_to_json(k.confkey) FROM pg_catalog.pg_constraint k
    WHERE ${isOne("k.contype", "f")}
  UNION ALL SELECT i.indrelid, pg_catalog.array_to_json(ARRAY(
      SELECT u.attnum::pg_catalog.int4 FROM pg_catalog.unnest(i.indkey) AS u (attnum)
        WHERE u.attnum OPERATOR(pg_catalog.<>) 0
      UNION SELECT d.refobjsubid FROM pg_catalog.pg_depend d
        WHERE d.classid OPERATOR(pg_catalog.=) ${CLASS} AND d.objid OPERATOR(pg_catalog.=) i.indexrelid
          AND d.refclassid OPERATOR(pg_catalog.=) ${CLASS} AND d.refobjid OPERATOR(pg_catalog.=) i.indrelid
          AND d.refobjsubid OPERATOR(pg_catalog.>) 0))
    FROM pg_catalog.pg_index i WHERE (i.indisunique OR i.indisexclusion)
      AND i.indrelid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}
  UNION ALL SELECT a.attrelid, pg_catalog.json_build_array(a.attnum) FROM pg_catalog.pg_attribute a
    WHERE a.attgenerated OPERATOR(pg_catalog.<>) '' AND (a.attnotnull OR a.atttypmod OPERATOR(pg_catalog.>=) 0
      OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) a.atttypid
        AND t.typtype OPERATOR(pg_catalog.=) 'd'))`;

/** Views that people made, in pages by oid: oid, the query. */
export function definitionsQuery(after: number): string {
  return `SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c
    WHERE ${isOne("c.relkind", "vm")} AND ${isVisible("c")} AND NOT ${isBuiltIn("c")}
      AND c.oid OPERATOR(pg_catalog.>) ${after}${OID} ORDER BY c.oid LIMIT ${DEFINITIONS_PAGE_ROWS}`;
}

function isBuiltIn(alias: string): string {
  return `(${alias}.relnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace${OID}
    OR ${alias}.relnamespace OPERATOR(pg_catalog.=) 'information_schema'::pg_catalog.regnamespace${OID})`;
}

/**
 * What the rules of relations depend on, as the server recorded it (nothing pinned by initdb is), one per row: relation,
 * is it what makes it a view, what (r: a relation, f: a function, o: the function of an operator), oid, null; or what
 * (t: a type), its schema, its name.
 */
export const RULE_DEPENDENCIES = `SELECT c.oid, ${IS_VIEW_RULE}, 'r', d.refobjid${TEXT}, NULL ${dependenciesOn("pg_class")}
    AND d.refobjid OPERATOR(pg_catalog.<>) c.oid
  UNION SELECT c.oid, ${IS_VIEW_RULE}, 'f', d.refobjid${TEXT}, NULL ${dependenciesOn("pg_proc")}
  UNION SELECT c.oid, ${IS_VIEW_RULE}, 'o', (SELECT o.oprcode${OID} FROM pg_catalog.pg_operator o
    WHERE o.oid OPERATOR(pg_catalog.=) d.refobjid)${TEXT}, NULL ${dependenciesOn("pg_operator")}
  UNION SELECT c.oid, ${IS_VIEW_RULE}, 't', (SELECT n.nspname FROM pg_catalog.pg_namespace n
      WHERE n.oid OPERATOR(pg_catalog.=) t.typnamespace)${TEXT}, t.typname${TEXT}
    ${dependenciesOn("pg_type", "JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) d.refobjid")}`;

function dependenciesOn(catalog: string, join = ""): string {
  return `FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) c.oid
    JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) r.oid
      AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass${OID}
      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.${catalog}'::pg_catalog.regclass${OID} ${join}
    WHERE ${isVisible("c")} AND r.oid OPERATOR(pg_catalog.>=) ${FIRST_USER_OID}${OID}`;
}

/** Names of functions that return sets: their rows multiply those of a query. */
export const SET_FUNCTIONS = `SELECT DISTINCT p.proname${TEXT} FROM pg_catalog.pg_proc p WHERE p.proretset`;
