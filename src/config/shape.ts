/** Looks into valibot schemas: which schema stands at a path, and which keys it knows. */
import type * as v from "valibot";
import type { Path, Value } from "./source.ts";

/** The schema that a value at `path` is checked against; null when the path leads nowhere. */
export function schemaAt(root: v.GenericSchema, path: Path): v.GenericSchema | null {
  let schema: v.GenericSchema | null = unwrap(root);
  for (const step of path) {
    if (schema === null) return null;
    schema = childOf(schema, step);
  }
  return schema;
}

/** True for a map whose keys the author chooses. */
export function isMapSchema(schema: v.GenericSchema | null): boolean {
  return schema?.type === "record";
}

/** The paths where a list stands and a map is wanted, which the schema library does not mind: to it a list is an object. */
export function listsForMaps(root: v.GenericSchema, value: Value, path: Path = []): Path[] {
  if (value === null || typeof value !== "object") return [];
  if (!Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, child]) => listsForMaps(root, child, [...path, key]));
  }
  const schema = schemaAt(root, path);
  if (isMapSchema(schema) || (schema !== null && entriesOf(schema) !== null)) return [path];
  return value.flatMap((item, index) => listsForMaps(root, item, [...path, index]));
}

/** The keys that a schema knows; empty when it is no object with fixed keys. */
export function keysOf(schema: v.GenericSchema | null): readonly string[] {
  const shape = schema === null ? null : entriesOf(schema);
  return shape === null ? [] : Object.keys(shape);
}

function childOf(schema: v.GenericSchema, step: string | number): v.GenericSchema | null {
  const entries = entriesOf(schema);
  if (entries !== null) {
    const child = Object.hasOwn(entries, step) ? entries[String(step)] : undefined;
    return isSchema(child) ? unwrap(child) : null;
  }
  if (schema.type === "record" && "value" in schema && isSchema(schema.value)) return unwrap(schema.value);
  if (schema.type === "array" && "item" in schema && isSchema(schema.item)) return unwrap(schema.item);
  return null;
}

function entriesOf(schema: v.GenericSchema): Record<string, unknown> | null {
  if (!("entries" in schema) || typeof schema.entries !== "object" || schema.entries === null) return null;
  return { ...schema.entries };
}

/** Takes off `optional` and the like, and picks the object out of a union. */
function unwrap(schema: v.GenericSchema): v.GenericSchema {
  if ("wrapped" in schema && isSchema(schema.wrapped)) return unwrap(schema.wrapped);
  if (schema.type === "union" && "options" in schema && Array.isArray(schema.options)) {
    for (const option of schema.options) {
      if (isSchema(option) && entriesOf(unwrap(option)) !== null) return unwrap(option);
    }
  }
  return schema;
}

function isSchema(value: unknown): value is v.GenericSchema {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "schema" && "type" in value;
}
