/** docs/configuration.md: every key that the schema of weir.yaml has stands on the page. */
import { expect, test } from "bun:test";
import { TARGET_SCHEMAS } from "../../adapters/index.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { readPage } from "./pages.ts";

const PAGE = readPage("docs/configuration.md");
/** Everything between backticks, as words. */
const NAMED = new Set([...PAGE.matchAll(/`([^`\n]+)`/gu)].flatMap(([, code = ""]) => code.split(/[^A-Za-z0-9]+/u)));
/** What the page names as a whole under "Not in this version". */
const LATER = ["identity.oidc", "identity.saml", "listen.http", "policies.git", "policies.ref"];

/** The paths of all keys below a part of a JSON Schema, without the names that authors choose. */
function keysOf(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  if (Array.isArray(schema)) return schema.flatMap((part) => keysOf(part, path));
  return Object.entries(schema).flatMap(([word, part]) => {
    if (word === "definitions") return [];
    if (word !== "properties") return keysOf(part, path);
    return Object.entries(part as object).flatMap(([key, below]) => {
      const at = path === "" ? key : `${path}.${key}`;
      return [at].concat(keysOf(below, at));
    });
  });
}

test("names every key", () => {
  const keys = [...new Set(keysOf(configJsonSchema(TARGET_SCHEMAS), ""))];
  expect(keys.length).toBeGreaterThan(100);
  const isLater = (key: string): boolean => LATER.some((part) => key === part || key.startsWith(`${part}.`));
  expect(keys.filter((key) => !isLater(key) && !NAMED.has(key.slice(key.lastIndexOf(".") + 1)))).toEqual([]);
});
