/** Puts the environment and the contents of files in the place of `{ env: NAME }` and `{ file: PATH }`. */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type * as v from "valibot";
import type { Problem } from "./problem.ts";
import { isMapSchema, schemaAt } from "./shape.ts";
import { emptyMap } from "./source.ts";
import type { Path, Source, Value } from "./source.ts";

export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that relative paths start from. */
  readonly folder: string;
};

const FILE_BYTES_MAX = 1_048_576;

export type Resolved = {
  readonly value: Value;
  /** Where a reference stood, as JSON paths: what came from it is never shown. */
  readonly referenced: ReadonlySet<string>;
  /** Where a reference led nowhere: already reported, so nothing more is said about these. */
  readonly missing: ReadonlySet<string>;
  readonly problems: readonly Problem[];
};

/**
 * Replaces every reference. Where the schema has a map whose keys the author chooses (labels, headers), the map itself
 * is never a reference: `labels: { env: prod }` is a label called env.
 */
export function resolveReferences(source: Source, schema: v.GenericSchema, surroundings: Surroundings): Resolved {
  const referenced = new Set<string>();
  const missing = new Set<string>();
  const problems: Problem[] = [];

  const walk = (value: Value, path: Path): Value => {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    const reference = isMapSchema(schemaAt(schema, path)) ? null : asReference(value);
    if (reference !== null) {
      referenced.add(JSON.stringify(path));
      const found =
        reference.kind === "env"
          ? fromEnvironment(reference.name, surroundings)
          : fromFile(reference.name, surroundings);
      if (found.ok) return found.text;
      missing.add(JSON.stringify(path));
      problems.push(
        source.at("error", reference.kind === "env" ? "MISSING_ENV" : "UNREADABLE", "value", path, found.message),
      );
      return "";
    }
    const result = emptyMap();
    for (const [key, child] of Object.entries(value)) result[key] = walk(child, [...path, key]);
    return result;
  };

  return { value: walk(source.value, []), referenced, missing, problems };
}

function asReference(value: { [key: string]: Value }): { kind: "env" | "file"; name: string } | null {
  const keys = Object.keys(value);
  const kind = keys[0];
  if (keys.length !== 1 || (kind !== "env" && kind !== "file")) return null;
  const name = value[kind];
  return typeof name === "string" ? { kind, name } : null;
}

type Found = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string };

function fromEnvironment(name: string, surroundings: Surroundings): Found {
  const text = Object.hasOwn(surroundings.env, name) ? surroundings.env[name] : undefined;
  if (text === undefined) {
    return { ok: false, message: `the environment variable ${name} is not set; set it before starting weir` };
  }
  if (text === "") return { ok: false, message: `the environment variable ${name} is empty` };
  return { ok: true, text };
}

function fromFile(name: string, surroundings: Surroundings): Found {
  const path = resolve(surroundings.folder, name);
  try {
    const stat = statSync(path);
    // Anything but a file could block for ever (a FIFO) or never end (a device).
    if (!stat.isFile()) return { ok: false, message: `${path} is not a file` };
    if (stat.size > FILE_BYTES_MAX) return { ok: false, message: `${path} is larger than ${FILE_BYTES_MAX} bytes` };
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
    // Editors end a file with a newline, which is not part of a password.
    const trimmed = text.endsWith("\r\n") ? text.slice(0, -2) : text.endsWith("\n") ? text.slice(0, -1) : text;
    return trimmed === "" ? { ok: false, message: `${path} is empty` } : { ok: true, text: trimmed };
  } catch (error) {
    return { ok: false, message: `${path} cannot be read: ${reason(error)}` };
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if (!("code" in error)) return "it is not UTF-8 text";
  if (error.code === "ENOENT") return "there is no such file";
  return error.code === "EACCES" ? "permission denied" : String(error.code);
}
