/** Analyses of what has no text to read: names the gateway has not seen prepared, and functions called by their number. */
import { createHash } from "node:crypto";
import { UNKNOWN, type Access } from "../../src/core/operation.ts";
import type { Analysis, Reading, StatementEffect } from "./analysis.ts";
import { NO_EFFECT } from "./describe/effect.ts";

/** What stands in the record for a statement or portal that the gateway has not seen. */
export function unseenText(of: "statement" | "portal", name: string): string {
  return `(${of} ${JSON.stringify(name)}, which the gateway has not seen)`;
}

/** Something the server may know under this name, and the gateway does not: it may do anything. */
export function unseenAnalysis(text: string, database: string): Analysis {
  const access: Access = {
    class: "administer",
    facts: { databases: [database], verbs: UNKNOWN, relations: UNKNOWN, columns: UNKNOWN, functions: UNKNOWN },
    opaque: true,
  };
  return {
    ...EMPTY,
    text,
    textSha256: sha256(text),
    accesses: [access],
    understood: false,
    notUnderstood: "it was not prepared through this session",
  };
}

const functionCalls = new WeakMap<object, Map<number, Analysis>>();

/** FunctionCall names its function by OID; https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-FUNCTION-CALL */
export function functionCallAnalysis(oid: number, reading: Reading): Analysis {
  const { catalog, database } = reading;
  const name = catalog?.functionByOid(oid);
  const text = `(function call of ${name === undefined ? oid : `${name.schema}.${name.name}`})`;
  if (catalog === null || name === undefined) return unseenAnalysis(text, database);
  let known = functionCalls.get(catalog);
  if (known === undefined) functionCalls.set(catalog, (known = new Map<number, Analysis>()));
  const before = known.get(oid);
  if (before !== undefined) return before;
  const access: Access = {
    class: "execute",
    facts: { databases: [database], verbs: ["function call"], functions: [`${name.schema}.${name.name}`] },
  };
  const analysis: Analysis = {
    ...EMPTY,
    text,
    textSha256: sha256(text),
    accesses: [access],
    understood: true,
    catalogDigest: catalog.digest,
    statements: [CALLS],
  };
  known.set(oid, analysis);
  return analysis;
}

const EMPTY = { notUnderstood: null, catalogDigest: null, syntaxError: null, masking: null, statements: [] } as const;

/** A function may change settings. */
const CALLS: StatementEffect = { ...NO_EFFECT, changesReading: true };

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
