/** Startup parameters of governed sessions: what a client may choose passes, and the pins come last. */
import { expect, test } from "bun:test";
import { isRefusal } from "../../../src/core/decision.ts";
import { governedStartup } from "./startup-settings.ts";

test("what changes nothing about reading passes as it came, and the pins are last", () => {
  const answer = governedStartup(
    [
      ["application_name", "app"],
      ["DateStyle", "ISO"],
      ["client_encoding", "utf8"],
      ["options", "-c statement_timeout=5s --lock-timeout=1 -cextra_float_digits=3"],
    ],
    ["app", 'we"ird'],
  );
  expect(answer).toEqual([
    ["application_name", "app"],
    ["DateStyle", "ISO"],
    ["client_encoding", "utf8"],
    ["options", "-c statement_timeout=5s --lock-timeout=1 -cextra_float_digits=3"],
    ["client_encoding", "UTF8"],
    ["standard_conforming_strings", "on"],
    ["search_path", '"app", "we""ird", "pg_temp"'],
  ]);
});

test("without a search path of the configuration the server's default stays", () => {
  expect(governedStartup([], null)).toEqual([
    ["client_encoding", "UTF8"],
    ["standard_conforming_strings", "on"],
  ]);
});

for (const [name, value] of [
  ["search_path", "evil"],
  ["SEARCH_PATH", "evil"],
  ["role", "postgres"],
  ["session_authorization", "postgres"],
  ["standard_conforming_strings", "off"],
  ["client_encoding", "LATIN1"],
  ["client_encoding", "auto"],
  ["backslash_quote", "on"],
  ["log_statement", "all"],
  ["options", "-c search_path=evil"],
  ["options", "-csearch_path=evil"],
  ["options", "--search-path=evil"],
  ["options", "--search_path=evil"],
  ["options", "-c\tsearch_path=evil"],
  ["options", "\\-c search_path=evil"],
  ["options", "-c se\\arch_path=evil"],
  ["options", "-c statement_timeout=1 -c role=postgres"],
  ["options", "-c"],
  ["options", "-B 10"],
  ["options", "-c statement_timeout"],
] as const) {
  test(`refused: ${name} = ${JSON.stringify(value)}`, () => {
    const answer = governedStartup([[name, value]], null);
    expect(isRefusal(answer)).toBe(true);
  });
}

test("the refusal names the setting", () => {
  const answer = governedStartup([["options", "-c statement_timeout=1 -c role=postgres"]], null);
  expect(isRefusal(answer) ? answer.message : "").toContain('"role"');
});
