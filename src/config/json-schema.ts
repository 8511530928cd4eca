/** The JSON Schema of weir.yaml, for editors: the same tree as the one that checks it, with references allowed everywhere. */
import { toJsonSchema } from "@valibot/to-json-schema";
import { configSchema } from "./schema.ts";
import type { TargetSchemas } from "./schema.ts";

type Json = string | number | boolean | null | readonly Json[] | JsonMap;
type JsonMap = { readonly [key: string]: Json };

const REFERENCE: Json = {
  description: "The value of an environment variable, or the contents of a file.",
  anyOf: [
    { type: "object", properties: { env: { type: "string" } }, required: ["env"], additionalProperties: false },
    { type: "object", properties: { file: { type: "string" } }, required: ["file"], additionalProperties: false },
  ],
};

/** Draft 7, as editors read it. */
export function configJsonSchema(adapters: TargetSchemas): Json {
  // Checks that have no counterpart in JSON Schema are left out of it: weir check makes them.
  const schema: unknown = JSON.parse(
    JSON.stringify(toJsonSchema(configSchema(adapters), { typeMode: "input", errorMode: "ignore" })),
  );
  if (!isMap(schema)) throw new Error("the JSON Schema of the configuration is not an object");
  const body = withReferences(schema);
  return { ...(isMap(body) ? body : {}), title: "weir.yaml", definitions: { reference: REFERENCE } };
}

/** Lets a reference stand wherever a single value may; names of keys are no values. */
function withReferences(schema: Json): Json {
  if (!isMap(schema)) return schema;
  const result: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties" && isMap(value)) {
      result[key] = Object.fromEntries(Object.entries(value).map(([name, child]) => [name, withReferences(child)]));
    } else if (key === "items" || key === "additionalProperties") {
      result[key] = withReferences(value);
    } else if ((key === "anyOf" || key === "oneOf") && isList(value)) {
      result[key] = value.map(withReferences);
    } else {
      result[key] = value;
    }
  }
  const { default: preset, ...rest } = result;
  if (!isSingleValue(schema)) return result;
  return { anyOf: [rest, { $ref: "#/definitions/reference" }], ...(preset === undefined ? {} : { default: preset }) };
}

function isSingleValue(schema: JsonMap): boolean {
  const typeName = typeof schema["type"] === "string" ? schema["type"] : "";
  return ["string", "number", "integer", "boolean"].includes(typeName) || "enum" in schema || "const" in schema;
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
