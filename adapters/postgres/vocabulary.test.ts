/** Tests the words lent to policy: every verb has its class, and the README tells the same. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ACCESS_CLASSES } from "../../src/core/operation.ts";
import { ADMINISTERED_OBJECTS, DEFINED_OBJECTS, POSTGRES_VOCABULARY, VERB_CLASSES } from "./vocabulary.ts";

const README = readFileSync(join(import.meta.dir, "README.md"), "utf8");

function readmeRow(accessClass: string): string {
  const row = README.split("\n").find((line) => line.startsWith(`| \`${accessClass}\` |`));
  if (row === undefined) throw new Error(`the README has no row for ${accessClass}`);
  return row;
}

const OBJECTS = [...DEFINED_OBJECTS, ...ADMINISTERED_OBJECTS];

/** `create table` and its like, which the README tells by the object. */
function isOfObject(verb: string): boolean {
  return OBJECTS.some((object) => ["create", "alter", "drop"].some((action) => verb === `${action} ${object}`));
}

test("every verb has a class, and stands in its row of the README", () => {
  expect(VERB_CLASSES.size).toBeGreaterThan(150);
  expect(POSTGRES_VOCABULARY.keys["verbs"]?.values).toEqual([...VERB_CLASSES.keys()]);
  for (const [verb, accessClass] of VERB_CLASSES) {
    expect(ACCESS_CLASSES).toContain(accessClass);
    if (!isOfObject(verb)) expect(readmeRow(accessClass)).toContain(`\`${verb}\``);
  }
});

test("every kind of object stands in the README", () => {
  expect(DEFINED_OBJECTS.filter((object) => !readmeRow("define").includes(object))).toEqual([]);
  expect(ADMINISTERED_OBJECTS.filter((object) => !readmeRow("administer").includes(object))).toEqual([]);
});

test("a permit without functions covers none off the safe list", () => {
  expect(POSTGRES_VOCABULARY.keys["functions"]?.permitsMustName).toBe(true);
});

test("a permit for one database lets nobody into another", () => {
  const ofSession = Object.entries(POSTGRES_VOCABULARY.keys).filter(([, key]) => key.ofSession === true);
  expect(ofSession.map(([key]) => key)).toEqual(["databases"]);
});

test("names of rules have as many segments as the facts", () => {
  const { keys, sets } = POSTGRES_VOCABULARY;
  const segments = Object.entries(keys).map(([key, definition]) => [key, definition.segments?.names.join(".")]);
  expect(Object.fromEntries(segments.filter(([, names]) => names !== undefined))).toEqual({
    relations: "schema.name",
    columns: "schema.relation.column",
    compared: "schema.relation.column",
    functions: "schema.name",
  });
  expect(sets["catalog"]?.filter((name) => name.split(".").length < 2)).toEqual([]);
});

test("$catalog holds no values, secrets or other sessions' doings", () => {
  const catalog = new Set(POSTGRES_VOCABULARY.sets["catalog"]);
  for (const name of ["pg_class", "pg_attribute", "pg_type", "pg_namespace", "pg_settings", "pg_roles"]) {
    expect(catalog.has(`pg_catalog.${name}`)).toBe(true);
  }
  for (const name of [
    "pg_authid",
    "pg_shadow",
    "pg_statistic",
    "pg_stats",
    "pg_stats_ext",
    "pg_stat_activity",
    "pg_stat_statements",
    "pg_largeobject",
    "pg_prepared_statements",
    "pg_cursors",
    "pg_locks",
    "pg_hba_file_rules",
    "pg_file_settings",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_subscription",
  ]) {
    expect(catalog.has(`pg_catalog.${name}`)).toBe(false);
  }
  expect(catalog.has("information_schema.user_mapping_options")).toBe(false);
});
