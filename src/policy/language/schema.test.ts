/** The JSON Schema for editors: every kind, and the adapters' words in it. */
import { describe, expect, test } from "bun:test";
import { OTHER, TINY } from "../../../test/policy-sets.ts";
import { KINDS, policyJsonSchema } from "./schema.ts";

/** Every value under a key of this name, anywhere. */
function valuesOf(key: string, within: unknown): readonly unknown[] {
  if (typeof within !== "object" || within === null) return [];
  const found: unknown[] = [];
  for (const [name, value] of Object.entries(within)) {
    if (name === key) found.push(value);
    found.push(...valuesOf(key, value));
  }
  return found;
}

describe("the JSON Schema", () => {
  const schema = policyJsonSchema([TINY, OTHER]);

  test("has every kind of file", () => {
    expect(new Set(valuesOf("kind", schema).flatMap((value) => valuesOf("const", value)))).toEqual(new Set(KINDS));
  });

  test("completes the adapters' keys and values", () => {
    const tiny = valuesOf("tiny", schema);
    expect(tiny.length).toBeGreaterThan(0);
    for (const each of tiny) {
      expect(each).toMatchObject({ type: "object", additionalProperties: false });
      const [properties] = valuesOf("properties", each);
      expect(Object.keys(properties ?? {})).toEqual(Object.keys(TINY.keys));
      expect(valuesOf("enum", each)).toEqual([["get", "put", "drop", "run"]]);
    }
    expect(valuesOf("paths", schema).length).toBeGreaterThan(0);
  });

  test("allows no key that is not in the language", () => {
    for (const kind of valuesOf("anyOf", schema).concat(valuesOf("oneOf", schema))) {
      for (const file of Array.isArray(kind) ? kind : []) {
        if (valuesOf("apiVersion", file).length > 0) expect(file).toMatchObject({ additionalProperties: false });
      }
    }
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  });
});
