/** How an operation ended, for the record, and in which of PostgreSQL's words it is refused. */
import type { Outcome } from "../../src/core/ports.ts";
import { sqlStateOf, type Closer } from "./refuse.ts";
import type { Run } from "./run.ts";

/** What was stopped failed for the gateway's reason, whatever the server made of it. */
export function outcomeOf(run: Run, status: "done" | "failed" | "skipped", code: string | null): Outcome {
  const why = run.refusal !== null && status === "failed" ? sqlStateOf(run.refusal, closerOf(run)) : null;
  if (why !== null && !run.isCut) return { status: "refused", code: why };
  const outcome: { -readonly [Key in keyof Outcome]: Outcome[Key] } = { status, bytes: run.replyBytes };
  const told = why ?? code;
  if (told !== null) outcome.code = told;
  if (run.rows !== null) outcome.rows = run.rows;
  return outcome;
}

/** PostgreSQL's closer word holds where the refusal is about what the run is, not about who may do it. */
export function closerOf(run: Run): Closer | undefined {
  const code = run.refusal?.code;
  const closer = run.closer ?? undefined;
  if (code === "limit") return closer;
  if (code !== "not_understood") return undefined;
  const reason = run.analysis?.notUnderstood ?? null;
  return reason === null || closer?.message !== undefined ? closer : { ...closer, reason };
}
