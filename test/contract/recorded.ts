/** The log as an auditor reads it: what became of an operation, and which were left open. */
import { join } from "node:path";
import { type LogEntry, LogReader } from "../../src/audit/query.ts";
import type { Gateway } from "../gateway.ts";

export async function entriesOf(folder: string): Promise<readonly LogEntry[]> {
  const reader = LogReader.open(join(folder, "data"));
  try {
    return await reader.tail(10_000);
  } finally {
    reader.close();
  }
}

/** What the log says about an operation, once it has an outcome. */
type Recorded = {
  readonly event: string;
  readonly kind: string;
  readonly rules: readonly string[];
  readonly subject: string;
  readonly outcome: string;
};

/** Waits until the operation has its outcome in the log; rejects by the test's own time when it never gets one. */
export async function recorded(
  gateway: Gateway,
  matches: (entry: LogEntry) => boolean,
): Promise<Recorded & { readonly id: string }> {
  for (;;) {
    const entries = await entriesOf(gateway.folder);
    const found = entries.findLast((entry) => entry.leaf.shape === "intent" && matches(entry))?.leaf;
    if (found?.shape === "intent") {
      const later = entries.find(({ leaf }) => leaf.shape === "outcome" && leaf.intent === found.index)?.leaf;
      const outcome = found.outcome ?? (later?.shape === "outcome" ? later.outcome : undefined);
      if (outcome !== undefined) {
        return {
          id: found.id,
          event: found.event,
          kind: found.decision.kind,
          rules: found.decision.rules ?? [],
          subject: found.subject.name,
          outcome: outcome.status,
        };
      }
    }
    await Bun.sleep(10);
  }
}

/** The operation that a refusal's words quote. */
export function quotedIn(text: string): (entry: LogEntry) => boolean {
  return ({ leaf }) => leaf.shape === "intent" && text.includes(leaf.id);
}

/** The last operation of a subject that is no connect and none of the gateway's own. */
export function lastOf(subject: string): (entry: LogEntry) => boolean {
  return ({ leaf }) =>
    leaf.shape === "intent" &&
    leaf.subject.name === subject &&
    leaf.operation.kind !== "connect" &&
    leaf.decision.kind !== "house";
}

export function openIntents(entries: readonly LogEntry[]): number[] {
  const open = new Set<number>();
  for (const { leaf } of entries) {
    if (leaf.shape === "intent" && leaf.outcome === undefined) open.add(leaf.index);
    if (leaf.shape === "outcome" && leaf.intent !== null) open.delete(leaf.intent);
  }
  return [...open];
}
