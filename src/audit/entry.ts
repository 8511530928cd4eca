/** Entries of the log as programs read them: the leaf's fields with their types. docs/audit-log.md explains each. */
import * as v from "valibot";
import { messageOf } from "../core/message-of.ts";

const factSchema = v.nullable(v.union([v.boolean(), v.number(), v.string(), v.array(v.string())]));
/** How much was left out of a list or a part, by its name. */
const truncatedSchema = v.optional(v.record(v.string(), v.union([v.number(), v.string()])));

const accessSchema = v.looseObject({
  ambient: v.optional(v.literal(true)),
  class: v.string(),
  /** Null: should be there and was not known. Absent: this kind of access cannot have it. */
  facts: v.record(v.string(), factSchema),
  /** Keys that a permit must name to match this. */
  named: v.optional(v.array(v.string())),
  opaque: v.optional(v.literal(true)),
  truncated: truncatedSchema,
});

const outcomeSchema = v.looseObject({
  bytes: v.optional(v.number()),
  code: v.optional(v.string()),
  durationMs: v.optional(v.number()),
  ranges: v.optional(v.string()),
  rows: v.optional(v.number()),
  sequence: v.optional(v.number()),
  sha256: v.optional(v.string()),
  status: v.string(),
  timeMs: v.optional(v.number()),
});

const common = {
  boot: v.string(),
  index: v.number(),
  sequence: v.optional(v.number()),
  timeMs: v.number(),
  version: v.number(),
};

const intentSchema = v.looseObject({
  ...common,
  event: v.picklist(["operation.intent", "operation.refusal"]),
  id: v.string(),
  decision: v.looseObject({
    kind: v.string(),
    policy: v.looseObject({ commit: v.nullable(v.string()), digest: v.string() }),
    refusal: v.optional(v.string()),
    rules: v.optional(v.array(v.string())),
    truncated: truncatedSchema,
  }),
  operation: v.looseObject({
    accesses: v.array(accessSchema),
    adapter: v.string(),
    catalog: v.nullable(v.string()),
    kind: v.string(),
    truncated: truncatedSchema,
    understood: v.boolean(),
  }),
  outcome: v.optional(outcomeSchema),
  parametersSha256: v.optional(v.string()),
  session: v.looseObject({
    id: v.string(),
    openedAtMs: v.number(),
    source: v.string(),
    through: v.optional(v.looseObject({ operation: v.string(), session: v.string() })),
  }),
  subject: v.looseObject({
    groups: v.array(v.string()),
    issuer: v.string(),
    kind: v.string(),
    name: v.string(),
    owner: v.optional(v.string()),
    proof: v.looseObject({ credential: v.string(), expiresAtMs: v.nullable(v.number()), method: v.string() }),
    truncated: truncatedSchema,
  }),
  target: v.looseObject({ labels: v.record(v.string(), v.string()), name: v.string(), truncated: truncatedSchema }),
  textSha256: v.string(),
});

const operationOutcomeSchema = v.looseObject({
  ...common,
  event: v.literal("operation.outcome"),
  id: v.nullable(v.string()),
  intent: v.nullable(v.number()),
  outcome: outcomeSchema,
});

const eventSchema = v.looseObject({
  ...common,
  event: v.string(),
  facts: v.record(v.string(), factSchema),
  truncated: truncatedSchema,
});

export type IntentLeaf = v.InferOutput<typeof intentSchema>;
export type OutcomeLeaf = v.InferOutput<typeof operationOutcomeSchema>;
export type EventLeaf = v.InferOutput<typeof eventSchema>;
export type Leaf =
  | ({ readonly shape: "intent" } & IntentLeaf)
  | ({ readonly shape: "outcome" } & OutcomeLeaf)
  | ({ readonly shape: "event" } & EventLeaf);

/** A leaf that is not of any known form. */
class LeafUnreadable extends Error {}

/** Reads a leaf; `index` is its place in the log, which the leaf must name too. Throws LeafUnreadable. */
export function readLeaf(bytes: Uint8Array, index: number): Leaf {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    const { event } = v.parse(v.looseObject({ event: v.string() }), json);
    const leaf: Leaf =
      event === "operation.intent" || event === "operation.refusal"
        ? { shape: "intent", ...v.parse(intentSchema, json) }
        : event === "operation.outcome"
          ? { shape: "outcome", ...v.parse(operationOutcomeSchema, json) }
          : { shape: "event", ...v.parse(eventSchema, json) };
    if (leaf.index !== index) throw new Error(`it says that it is entry ${leaf.index}`);
    return leaf;
  } catch (error) {
    throw new LeafUnreadable(`entry ${index} cannot be read: ${messageOf(error)}`);
  }
}
