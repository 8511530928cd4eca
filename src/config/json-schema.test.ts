/** The JSON Schema of weir.yaml: the same keys as the checker's, references everywhere a value may stand. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { configJsonSchema } from "./json-schema.ts";

const section = v.strictObject({ host: v.string(), port: v.optional(v.number(), 5432) });
const masking = v.strictObject({ user: v.string() });
const settings = v.strictObject({ postgres: section, masking: v.optional(masking) });
const schema: unknown = configJsonSchema({ postgres: { section, masking, settings } });
const reference = { $ref: "#/definitions/reference" };

test("holds the adapters' sections, with references for their values", () => {
  expect(schema).toMatchObject({
    properties: {
      targets: {
        additionalProperties: {
          properties: {
            postgres: {
              properties: {
                host: { anyOf: [{ type: "string" }, reference] },
                port: { anyOf: [{ type: "number" }, reference], default: 5432 },
              },
              required: ["host"],
              additionalProperties: false,
            },
            masking: {
              properties: { user: { anyOf: [{ type: "string" }, reference] } },
              required: ["user"],
              additionalProperties: false,
            },
          },
        },
      },
    },
  });
});

test("lets labels be called anything, and offers the words of choices", () => {
  expect(schema).toMatchObject({
    properties: {
      targets: {
        additionalProperties: {
          properties: { labels: { additionalProperties: { anyOf: [{ type: "string" }, reference] } } },
        },
      },
      audit: {
        properties: {
          durability: { anyOf: [{ enum: ["strict", "release", "relaxed"] }, reference], default: "strict" },
        },
      },
      listen: { properties: { postgres: { properties: { tls: { default: "auto" } } } } },
    },
  });
});

test("is plain JSON", () => {
  expect(JSON.parse(JSON.stringify(schema)) as unknown).toEqual(schema);
});
