/** The masking corpus: its schema, and the texts of its attacks and benign statements. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";

const FOLDER = join(import.meta.dir, "masking");

/** A step is a statement, or an object that says how it is sent (README.md of the folder). */
const Step = v.union([
  v.string(),
  v.looseObject({ q: v.optional(v.string()), x: v.optional(v.array(v.array(v.unknown()))) }),
]);
const Entry = v.looseObject({ id: v.string(), steps: v.array(Step) });
const Masked = v.record(v.string(), v.array(v.string()));

export type CorpusEntry = {
  readonly id: string;
  /** What the entry sends, in order; `name` is the prepared statement's, empty for all others. */
  readonly texts: readonly { readonly name: string; readonly sql: string }[];
};

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(FOLDER, file), "utf8"));
}

function entriesOf(value: unknown): CorpusEntry[] {
  return v.parse(v.array(Entry), value).map(({ id, steps }) => ({ id, texts: steps.flatMap(textsOf) }));
}

function textsOf(step: v.InferOutput<typeof Step>): { name: string; sql: string }[] {
  if (typeof step === "string") return [{ name: "", sql: step }];
  if (step.q !== undefined) return [{ name: "", sql: step.q }];
  return (step.x ?? []).flatMap(([kind, first, second]) => {
    if (kind === "Q" && typeof first === "string") return [{ name: "", sql: first }];
    return kind === "P" && typeof first === "string" && typeof second === "string"
      ? [{ name: first, sql: second }]
      : [];
  });
}

export function corpusSchema(): string {
  return readFileSync(join(FOLDER, "schema.sql"), "utf8");
}

/** Turns a copy of the corpus' database into its twin, which differs only in the secrets. */
export function corpusTwin(): string {
  return readFileSync(join(FOLDER, "schema-twin.sql"), "utf8");
}

/** What is added to the schema, and to the twin, for servers newer than 15; run by psql, since it asks for the version. */
export function newerSchema(): string {
  return readFileSync(join(FOLDER, "schema-newer.sql"), "utf8");
}

export function newerTwin(): string {
  return readFileSync(join(FOLDER, "schema-newer-twin.sql"), "utf8");
}

export function attacks(): CorpusEntry[] {
  return entriesOf(read("attacks.json"));
}

/** Attacks that need the grammar of a newer server. */
export function newerAttacks(): CorpusEntry[] {
  return entriesOf(read("attacks-pg16plus.json"));
}

export function benignEntries(): CorpusEntry[] {
  return entriesOf(v.parse(v.looseObject({ entries: v.unknown() }), read("benign.json")).entries);
}

/** The columns that policy names, as `schema.relation.column`. */
export function namedColumns(): readonly string[] {
  const { masked } = v.parse(v.looseObject({ masked: Masked }), read("masked.json"));
  return Object.entries(masked).flatMap(([relation, columns]) => columns.map((column) => `${relation}.${column}`));
}

/** Every masked column as `schema.relation.column`, those of views, partitions and generated columns too. */
export function maskedColumns(): ReadonlySet<string> {
  const file = v.parse(
    v.looseObject({ masked: Masked, mustBeDerivedByTheGateway: v.record(v.string(), Masked) }),
    read("masked.json"),
  );
  const groups = [file.masked, ...Object.values(file.mustBeDerivedByTheGateway)];
  return new Set(
    groups.flatMap((group) =>
      Object.entries(group).flatMap(([relation, columns]) => columns.map((column) => `${relation}.${column}`)),
    ),
  );
}
