/** Checks that a leaf is what docs/audit-log.md says: valid UTF-8, canonical JSON, of a known version, and the entry it claims to be. */
import { isUtf8 } from "node:buffer";
import { isCanonical, isList, isObject, type Json, type JsonObject, parseJson } from "../canonical.ts";
import type { LeafParts } from "../leaf-parts.ts";
import { LEAF_BYTES_MAX } from "../leaf.ts";
import { messageOf } from "../../core/message-of.ts";

/** The versions of the leaf's format that this weir knows. */
const VERSIONS = new Set<unknown>([1]);

/** An outcome, in a leaf of its own or in that of its intent. */
export type OutcomeTrace = { readonly sequence: number | null; readonly status: string };

/** What one entry says that other entries must agree with. */
export type LeafTrace = {
  readonly index: number;
  readonly event: string;
  readonly boot: string;
  readonly sequence: number | null;
  readonly timeMs: number;
  /** Of an operation. */
  readonly id: string | null;
  /** The intent that a leaf of an outcome belongs to. */
  readonly intent: number | null;
  /** Present in each leaf of an outcome, and in that of an intent when they share it. */
  readonly outcome: OutcomeTrace | null;
  /** Of what is no operation. */
  readonly facts: JsonObject | null;
};

/** Reads one leaf; a text says what is wrong with it. `parts`: what leaves before it had in common with it. */
export function readForm(leaf: Buffer, index: number, parts: LeafParts): LeafTrace | string {
  if (leaf.length > LEAF_BYTES_MAX) return `its leaf has ${leaf.length} bytes, more than ${LEAF_BYTES_MAX}`;
  if (!isUtf8(leaf)) return "its leaf is not valid UTF-8";
  const text = leaf.toString("utf8");
  const intent = parts.read(text);
  if (intent !== null) return traceOf(intent, index);
  let json: Json;
  try {
    json = parseJson(text);
  } catch (error) {
    return `its leaf is not JSON: ${messageOf(error)}`;
  }
  if (!isObject(json)) return "its leaf is no JSON object";
  if (!isCanonical(json, text)) return "its leaf is not canonical JSON (RFC 8785)";
  return traceOf(json, index);
}

function traceOf(leaf: JsonObject, index: number): LeafTrace | string {
  const { version, index: own, event, boot, sequence, timeMs } = leaf;
  if (!VERSIONS.has(version)) return `its leaf has version ${JSON.stringify(version)}, which this weir does not know`;
  if (own !== index) return `its leaf says that it is entry ${JSON.stringify(own)}`;
  if (typeof event !== "string" || event === "") return "its leaf has no event";
  if (typeof boot !== "string" || boot === "") return "its leaf does not say which run wrote it";
  if (!isTime(timeMs)) return "its leaf has no time";
  if (sequence !== undefined && !isCount(sequence)) return "its sequence is no positive number";
  const common = { index, event, boot, timeMs, sequence: sequence ?? null };
  if (event === "operation.outcome") return outcomeTrace(leaf, common);
  if (event === "operation.intent" || event === "operation.refusal") return intentTrace(leaf, common);
  const { facts } = leaf;
  if (!isObject(facts)) return "its event has no facts";
  return { ...common, id: null, intent: null, outcome: null, facts };
}

type Common = Pick<LeafTrace, "index" | "event" | "boot" | "timeMs" | "sequence">;

function intentTrace(leaf: JsonObject, common: Common): LeafTrace | string {
  const { id, decision, operation, session, subject, target, textSha256 } = leaf;
  if (common.sequence === null) return "its operation has no sequence";
  if (typeof id !== "string") return "its operation has no id";
  if (!isObject(decision) || typeof decision["kind"] !== "string" || !isObject(decision["policy"])) {
    return "its operation has no decision";
  }
  if ((common.event === "operation.refusal") !== (decision["kind"] === "deny")) {
    return `its decision is ${decision["kind"]}, which does not fit ${common.event}`;
  }
  if (!isObject(operation) || !isListed(operation["accesses"])) return "its operation has no accesses";
  if (!isObject(session) || typeof session["id"] !== "string") return "its operation has no session";
  if (!isObject(subject) || typeof subject["name"] !== "string") return "its operation has no subject";
  if (!isObject(target) || typeof target["name"] !== "string") return "its operation has no target";
  if (typeof textSha256 !== "string") return "its operation has no hash of its text";
  const outcome = leaf["outcome"] === undefined ? null : readOutcome(leaf["outcome"]);
  if (typeof outcome === "string") return outcome;
  return { ...common, id, intent: null, outcome, facts: null };
}

function outcomeTrace(leaf: JsonObject, common: Common): LeafTrace | string {
  const { id, intent } = leaf;
  if (id !== null && typeof id !== "string") return "its outcome has no id";
  if (intent !== null && !(typeof intent === "number" && Number.isSafeInteger(intent) && intent >= 0)) {
    return "its outcome does not say which intent it belongs to";
  }
  if (typeof intent === "number" && intent >= common.index) return `its intent, entry ${intent}, comes after it`;
  const outcome = readOutcome(leaf["outcome"]);
  if (typeof outcome === "string") return outcome;
  return { ...common, id, intent, outcome: { ...outcome, sequence: common.sequence }, facts: null };
}

function readOutcome(json: Json | undefined): OutcomeTrace | string {
  if (!isObject(json) || typeof json["status"] !== "string") return "its outcome has no status";
  const { sequence } = json;
  if (sequence !== undefined && !isCount(sequence)) return "its outcome's sequence is no positive number";
  return { sequence: sequence ?? null, status: json["status"] };
}

function isListed(json: Json | undefined): boolean {
  return typeof json === "object" && json !== null && isList(json);
}

function isTime(json: Json | undefined): json is number {
  return typeof json === "number" && Number.isFinite(json) && json >= 0;
}

function isCount(json: Json | undefined): json is number {
  return typeof json === "number" && Number.isSafeInteger(json) && json > 0;
}
