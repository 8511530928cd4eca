/** Tests of the target section: its defaults, and what it refuses. */
import { describe, expect, test } from "bun:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { functionNameOf } from "./masking-settings.ts";
import { endpointOf, postgresTarget } from "./settings.ts";

const { section, settings } = postgresTarget;

const GIVEN = { host: "db1.example.com", database: "orders", user: "weir" };
const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const parse = (more: Record<string, unknown>) => v.parse(section, { ...GIVEN, ...more });
const problems = (more: Record<string, unknown>): string[] => {
  const result = v.safeParse(section, { ...GIVEN, ...more });
  return (result.issues ?? []).map((issue) => `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
};

test("what is left out gets its default", () => {
  expect(parse({})).toEqual({
    host: "db1.example.com",
    port: 5432,
    database: "orders",
    databases: [],
    user: "weir",
    password: null,
    tls: "verify-full",
    ca: null,
    cert: null,
    key: null,
    masking: null,
  });
});

describe("masking, beside the section", () => {
  const both = (masking: Record<string, unknown>) => v.safeParse(settings, { postgres: GIVEN, masking });

  test("becomes part of the settings, with its defaults", () => {
    expect(both({ mode: "guarded", user: "weir_governed" }).output).toMatchObject({
      user: "weir",
      masking: {
        mode: "guarded",
        user: "weir_governed",
        password: null,
        searchPath: ["public"],
        safeFunctions: [],
        listenChannels: [],
      },
    });
    expect(both({ mode: "inline" }).output).toMatchObject({ masking: { mode: "inline", user: null } });
  });

  test.each([
    [{}, 'Invalid key: Expected "mode"'],
    [{ mode: "guarded" }, "guarded mode needs a user"],
    [{ mode: "guarded", user: "weir" }, "masking.user: governed sessions need a login of their own"],
    [{ mode: "guarded", user: "weir_masks" }, "owns the masking views"],
    [{ mode: "guarded", user: "pg_x" }, "keeps names that begin with pg_"],
    [{ mode: "guarded", user: "x".repeat(64) }, "at most 63 bytes"],
    [{ mode: "inline", user: "u" }, "inline mode uses the target's own login"],
    [{ mode: "inline", password: "p" }, "inline mode uses the target's own login"],
    [{ mode: "inline", searchPath: ["$user"] }, "$user would be another one"],
    [{ mode: "inline", searchPath: ["pg_temp"] }, "temporary objects are searched last"],
    [{ mode: "inline", safeFunctions: ["add_tax(numeric)"] }, "expected a function with its schema"],
    [{ mode: "inline", safeFunctions: ["app.add_tax"] }, "expected a function with its schema"],
    [{ mode: "inline", safeFunctions: ['app."Add(numeric)'] }, "expected a function with its schema"],
    [{ mode: "inline", listenChannels: [""] }, "must not be empty"],
  ])("%p is refused", (masking, message) => {
    const lines = (both(masking).issues ?? []).map((issue) => `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
    expect(lines.join("; ")).toContain(message);
  });

  test.each([
    ["app.add_tax(numeric)", { schema: "app", name: "add_tax" }],
    ["App.Total_1$()", { schema: "app", name: "total_1$" }],
    ['"Sales ""A""".")x("(pg_catalog.int4, text[])', { schema: 'Sales "A"', name: ")x(" }],
    ["app.1st()", null],
    ["a.b.c()", null],
    ['"".f()', null],
  ])("%s names a function as the server reads it", (text, expected) => {
    expect(functionNameOf(text)).toEqual(expected);
  });
});

describe("tls, when left out", () => {
  test.each([
    ["db1.example.com", {}, "verify-full"],
    ["10.0.0.1", {}, "verify-full"],
    ["localhost.example.com", {}, "verify-full"],
    ["127.example.com", {}, "verify-full"],
    ["localhost", {}, "disable"],
    ["127.0.0.1", {}, "disable"],
    ["127.3.2.1", {}, "disable"],
    ["::1", {}, "disable"],
    ["/run/postgresql", {}, "disable"],
    ["localhost", { ca: PEM }, "verify-full"],
    ["127.0.0.1", { cert: PEM, key: PEM }, "verify-full"],
  ])("%s %p is %s", (host, more, tls) => {
    expect(parse({ host, ...more }).tls).toBe(tls as "disable");
  });
});

test("a host that begins with / is a socket's folder", () => {
  expect(endpointOf(parse({ host: "/run/postgresql", port: 5433 }))).toEqual({ path: "/run/postgresql/.s.PGSQL.5433" });
  expect(endpointOf(parse({ host: "::1" }))).toEqual({ host: "::1", port: 5432 });
});

describe("refused", () => {
  test.each([
    [{ extra: 1 }, "extra"],
    [{ host: "" }, "host: must not be empty"],
    [{ host: "db1:5432" }, "the port stands under `port`"],
    [{ host: "postgres://db1" }, "expected a host name"],
    [{ port: 0 }, "port: a port is at least 1"],
    [{ port: 70_000 }, "port: a port is at most 65535"],
    [{ port: "5432" }, "port:"],
    [{ user: "x".repeat(64) }, "user: PostgreSQL's names have at most 63 bytes"],
    [{ database: "ä".repeat(32) }, "database: PostgreSQL's names have at most 63 bytes"],
    [{ password: "a\0b" }, "password: must not contain a NUL"],
    [{ tls: "prefer" }, "tls:"],
    [{ ca: "/etc/ca.pem" }, "to read it from a file write { file: PATH }"],
    [{ cert: PEM }, "cert and key need each other"],
    [{ key: PEM }, "cert and key need each other"],
    [{ databases: ["a", "*"] }, "databases is a list of names"],
    [{ host: "/run", tls: "require" }, "no TLS over a Unix socket"],
    [{ host: "/run", ca: PEM }, "no effect with tls: disable"],
    [{ tls: "disable", ca: PEM }, "no effect with tls: disable"],
  ])("%p", (more, message) => {
    expect(problems(more).join("; ")).toContain(message);
  });
});

test("editors get a JSON Schema of it", () => {
  const schema = toJsonSchema(section, { typeMode: "input", errorMode: "ignore" });
  expect(schema).toMatchObject({ type: "object", required: ["host", "database", "user"], additionalProperties: false });
  expect(Object.keys(schema.properties ?? {})).toContain("databases");
});
