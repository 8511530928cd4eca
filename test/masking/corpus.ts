/** The attacks and the benign entries of the masking corpus with all that is known of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";

const FOLDER = join(import.meta.dir, "../corpus/masking");

export type Protocol = "simple" | "extended";

/** One message of a pipelined write. https://www.postgresql.org/docs/18/protocol-message-formats.html */
const Message = v.union([
  v.strictTuple([v.literal("P"), v.string(), v.string()]),
  v.strictTuple([v.literal("P"), v.string(), v.string(), v.array(v.number())]),
  v.strictTuple([v.literal("B"), v.string(), v.string()]),
  v.strictTuple([v.literal("B"), v.string(), v.string(), v.array(v.nullable(v.string()))]),
  v.strictTuple([v.literal("B"), v.string(), v.string(), v.array(v.nullable(v.string())), v.array(v.number())]),
  v.strictTuple([v.picklist(["D", "C"]), v.picklist(["S", "P"]), v.string()]),
  v.strictTuple([v.literal("E"), v.string()]),
  v.strictTuple([v.literal("E"), v.string(), v.number()]),
  v.strictTuple([v.literal("Q"), v.string()]),
  v.strictTuple([v.picklist(["S", "H"])]),
]);

const Call = v.strictObject({
  oidSql: v.string(),
  args: v.array(v.string()),
  rfmt: v.optional(v.number()),
});

const Step = v.union([
  v.string(),
  v.strictObject({ q: v.string() }),
  v.strictObject({ x: v.array(Message) }),
  v.strictObject({ f: Call }),
  v.strictObject({ startup: v.record(v.string(), v.string()) }),
  v.strictObject({ use: v.string() }),
  v.strictObject({ copyData: v.string() }),
]);

const Protocols = v.picklist(["either", "simple", "extended"]);

const Leak = v.union([
  v.strictObject({ kind: v.literal("contains"), needle: v.optional(v.string()), needleSql: v.optional(v.string()) }),
  v.strictObject({ kind: v.literal("assembled"), concat: v.string() }),
  /** Some cell is the code of this character. */
  v.strictObject({ kind: v.literal("assembled"), codes: v.string() }),
  v.strictObject({ kind: v.literal("differs") }),
]);

const Role = v.picklist(["gw_agent", "gw_super"]);

const Attack = v.object({
  id: v.string(),
  class: v.string(),
  role: Role,
  setup: v.optional(v.array(v.string()), []),
  steps: v.array(Step),
  protocol: Protocols,
  canary: v.string(),
  expect: v.picklist(["masked-or-denied", "denied", "harmless-or-denied"]),
  leak: v.optional(Leak, { kind: "contains" }),
  note: v.string(),
});

/** One that needs a server of some version; what it does not say is as for most of them. */
const VersionedAttack = v.object({
  ...Attack.entries,
  minVersion: v.number(),
  role: v.optional(Role, "gw_agent"),
  canary: v.optional(v.string(), "canary-"),
  expect: v.optional(Attack.entries.expect, "masked-or-denied"),
  note: v.optional(v.string(), ""),
});

/** One that the bare server answers differently on the twins. */
const DifferingAttack = v.object({
  ...VersionedAttack.entries,
  leak: v.optional(Leak, { kind: "differs" }),
});

/** What a benign entry's answer must be: see `answerOf` for its words. */
const Expect = v.union([
  v.strictObject({ kind: v.literal("exact"), allowErrors: v.optional(v.boolean()) }),
  v.strictObject({ kind: v.literal("ok") }),
  v.strictObject({
    kind: v.literal("masked"),
    columns: v.array(v.string()),
    /** It may be refused too. */
    optional: v.optional(v.boolean()),
  }),
  v.strictObject({ kind: v.literal("error"), sqlstate: v.string() }),
]);

const Events = v.array(v.record(v.string(), v.unknown()));

const Benign = v.object({
  id: v.string(),
  class: v.string(),
  steps: v.array(Step),
  protocol: Protocols,
  expect: Expect,
  note: v.string(),
  expected: v.optional(v.object({ simple: v.optional(Events), extended: v.optional(Events) })),
});

const Masked = v.object({
  masked: v.record(v.string(), v.array(v.string())),
  safeFunctions: v.array(v.string()),
  searchPath: v.array(v.string()),
  allowedListenChannels: v.array(v.string()),
});

export type Step = v.InferOutput<typeof Step>;
export type PipelinedMessage = v.InferOutput<typeof Message>;
export type Leak = v.InferOutput<typeof Leak>;
export type Attack = v.InferOutput<typeof Attack>;
export type Benign = v.InferOutput<typeof Benign>;
export type MaskedColumns = v.InferOutput<typeof Masked>;

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
}

export function corpusAttacks(): readonly Attack[] {
  return v.parse(v.array(Attack), read("attacks.json"));
}

/** Those by what a server of this version has and 15 has not. */
export function newerAttacks(serverMajor: number): readonly Attack[] {
  const known = v.parse(v.array(VersionedAttack), read("attacks-pg16plus.json"));
  const differing = v.parse(v.array(DifferingAttack), read("attacks-newer.json"));
  return [...known, ...differing].filter(({ minVersion }) => minVersion <= serverMajor);
}

export function corpusBenign(): readonly Benign[] {
  return v.parse(v.object({ entries: v.array(Benign) }), read("benign.json")).entries;
}

export function corpusMasks(): MaskedColumns {
  return v.parse(Masked, read("masked.json"));
}

/** Masked columns of schema-newer.sql, by relation. */
export function newerMasks(): Readonly<Record<string, readonly string[]>> {
  return v.parse(v.record(v.string(), v.array(v.string())), read("masked-newer.json"));
}

/** The protocols an entry is played in. */
export function protocolsOf(entry: { readonly protocol: Protocol | "either" }): readonly Protocol[] {
  return entry.protocol === "either" ? ["simple", "extended"] : [entry.protocol];
}
