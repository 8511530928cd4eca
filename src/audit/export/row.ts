/** An entry as one flat row, for tables. */
import type { SelectedEntry } from "./selection.ts";

/** What a column holds: text, a whole number, a number, a truth, or an instant in milliseconds. */
export type ColumnType = "text" | "integer" | "number" | "boolean" | "time";
export type Cell = string | number | boolean | null;

/** The columns in their order. A later version only adds some at the end. */
export const COLUMNS = [
  ["index", "integer"],
  ["time", "time"],
  ["event", "text"],
  ["id", "text"],
  ["intent", "integer"],
  ["boot", "text"],
  ["sequence", "integer"],
  ["decision", "text"],
  ["rules", "text"],
  ["refusal", "text"],
  ["policy", "text"],
  ["commit", "text"],
  ["subject", "text"],
  ["subjectKind", "text"],
  ["issuer", "text"],
  ["owner", "text"],
  ["groups", "text"],
  ["credential", "text"],
  ["source", "text"],
  ["session", "text"],
  ["target", "text"],
  ["adapter", "text"],
  ["operation", "text"],
  ["classes", "text"],
  ["accesses", "text"],
  ["understood", "boolean"],
  ["textSha256", "text"],
  ["status", "text"],
  ["code", "text"],
  ["rows", "integer"],
  ["bytes", "integer"],
  ["durationMs", "number"],
  ["facts", "text"],
  ["hash", "text"],
  ["sha256", "text"],
  ["ranges", "text"],
  ["throughSession", "text"],
  ["throughOperation", "text"],
] as const satisfies readonly (readonly [string, ColumnType])[];

export type ColumnName = (typeof COLUMNS)[number][0];
export type Row = Readonly<Record<ColumnName, Cell>>;

/** Lists are joined with semicolons; `accesses` and `facts` are JSON. An outcome has the columns of its operation. */
export function rowOf({ index, hash, leaf, operation }: SelectedEntry): Row {
  const outcome = leaf.shape === "event" ? undefined : leaf.outcome;
  const facts = leaf.shape === "event" ? leaf.facts : null;
  const fact = (name: string): string | null => {
    const value = facts?.[name];
    if (value === undefined || value === null) return null;
    return typeof value === "object" ? value.join(";") : String(value);
  };
  return {
    index,
    time: leaf.timeMs,
    event: leaf.event,
    id: leaf.shape === "event" ? fact("id") : leaf.id,
    intent: leaf.shape === "outcome" ? leaf.intent : null,
    boot: leaf.boot,
    sequence: leaf.sequence ?? null,
    decision: operation?.decision.kind ?? null,
    rules: operation?.decision.rules?.join(";") ?? fact("rules"),
    refusal: operation?.decision.refusal ?? fact("code"),
    policy: operation?.decision.policy.digest ?? fact("digest"),
    commit: operation?.decision.policy.commit ?? fact("commit"),
    subject: operation?.subject.name ?? fact("subject"),
    subjectKind: operation?.subject.kind ?? fact("kind"),
    issuer: operation?.subject.issuer ?? fact("issuer"),
    owner: operation?.subject.owner ?? fact("owner"),
    groups: operation?.subject.groups.join(";") ?? fact("groups"),
    credential: operation?.subject.proof.credential ?? fact("credential"),
    source: operation?.session.source ?? fact("source"),
    session: operation?.session.id ?? fact("session"),
    target: operation?.target.name ?? fact("target"),
    adapter: operation?.operation.adapter ?? null,
    operation: operation?.operation.kind ?? null,
    classes:
      operation === null ? null : [...new Set(operation.operation.accesses.map((access) => access.class))].join(";"),
    accesses: operation === null ? null : JSON.stringify(operation.operation.accesses),
    understood: operation?.operation.understood ?? null,
    textSha256: operation?.textSha256 ?? null,
    status: outcome?.status ?? null,
    code: outcome?.code ?? null,
    rows: outcome?.rows ?? null,
    bytes: outcome?.bytes ?? null,
    durationMs: outcome?.durationMs ?? null,
    facts: facts === null ? null : JSON.stringify(facts),
    hash: Buffer.from(hash).toString("hex"),
    sha256: outcome?.sha256 ?? null,
    ranges: outcome?.ranges ?? null,
    throughSession: operation?.session.through?.session ?? fact("throughSession"),
    throughOperation: operation?.session.through?.operation ?? fact("throughOperation"),
  };
}
