/** What a durable record costs: the caller's time, how many there are in a second, and how long one waits. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import type { Accesses, Operation } from "../../src/core/operation.ts";
import type { Session } from "../../src/core/session.ts";
import { fsyncs } from "./fsync-count.ts";
import { PERMIT, POLICY, sessionOf } from "./sample.ts";

/** The lag that `relaxed` allows. */
const RELAXED_RECORDS_MAX = 1000;
const DONE = { status: "done", rows: 1, bytes: 64 } as const;
const ACCESSES: Accesses = [
  {
    class: "read",
    facts: {
      verbs: ["select"],
      relations: ["public.pgbench_accounts"],
      columns: ["public.pgbench_accounts.abalance", "public.pgbench_accounts.aid"],
      unfiltered: false,
    },
  },
];

export type Mode = "strict" | "release" | "relaxed";
export type Written = {
  readonly mode: Mode;
  readonly sessions: number;
  readonly recordsPerSecond: number;
  /** From asking to the moment at which the reply may flow. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Flushes in a second; null: not counted. */
  readonly fsyncsPerSecond: number | null;
};

let operations = 0;
function operation(of: Session, text: string | null): Operation {
  return {
    id: `op-${operations++}`,
    session: of,
    kind: "query",
    accesses: ACCESSES,
    understood: true,
    text: text ?? "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    textSha256: text === null ? "b".repeat(64) : null,
    parameters: new Uint8Array(8),
    catalogDigest: "c".repeat(64),
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/**
 * Sessions that do one operation after the other on a target that answers at once. strict: it is asked when the intent
 * is durable. release: it is asked at once, and its reply waits for that. relaxed: nothing waits but for the lag.
 */
export async function writing(folder: string, mode: Mode, sessions: number, seconds: number): Promise<Written> {
  const clock = { now: Date.now };
  const log = await AuditLog.open({ folder, origin: "bench", clock, intentsAreAwaited: mode !== "relaxed" });
  const latencies: number[] = [];
  const from = log.handedOver;
  const flushed = fsyncs();
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: sessions }, async (_, n) => {
      const of = sessionOf(`session-${n}`, n, 0, 0);
      while (performance.now() < until) {
        const asked = performance.now();
        const intent = log.intent(operation(of, null), PERMIT, POLICY);
        if (mode === "release") log.outcome(intent, DONE);
        if (mode !== "relaxed") await log.waitDurable(intent);
        else if (log.handedOver - log.durable > RELAXED_RECORDS_MAX) await log.waitDurable(intent);
        latencies.push(performance.now() - asked);
        if (mode !== "release") log.outcome(intent, DONE);
        // A turn of the event loop between operations, as a socket would take.
        if (mode === "relaxed") await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }),
  );
  await log.waitDurable(log.handedOver);
  const took = (performance.now() - started) / 1000;
  const records = log.handedOver - from;
  const flushes = fsyncs();
  await log.close();
  return {
    mode,
    sessions,
    recordsPerSecond: Math.round(records / took),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    fsyncsPerSecond: flushed === null || flushes === null ? null : Math.round((flushes - flushed) / took),
  };
}

/** Microseconds of the calling thread for a record, with the writer idle in between so that the ring never fills. */
export async function handOver(folder: string, isTextNew: boolean): Promise<{ p50Us: number; p90Us: number }> {
  const log = await AuditLog.open({ folder, origin: "bench", clock: { now: Date.now } });
  const sessions = Array.from({ length: 64 }, (_, n) => sessionOf(`session-${n}`, n, 0, 0));
  const rounds: number[] = [];
  let texts = 0;
  for (let round = 0; round < 40; round++) {
    const batch = sessions.flatMap((of) =>
      Array.from({ length: 32 }, () =>
        operation(of, isTextNew ? `SELECT abalance FROM pgbench_accounts WHERE aid = ${texts++}` : null),
      ),
    );
    const started = performance.now();
    for (const next of batch) log.outcome(log.intent(next, PERMIT, POLICY), DONE);
    rounds.push(((performance.now() - started) * 1000) / (2 * batch.length));
    await log.waitDurable(log.handedOver);
  }
  await log.close();
  return { p50Us: percentile(rounds, 0.5), p90Us: percentile(rounds, 0.9) };
}

/** What this disk takes for one small write and its flush: no durable record can be faster. */
export function flush(folder: string): { p50Ms: number; p99Ms: number } {
  const file = openSync(join(folder, "flush"), "w");
  const page = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const started = performance.now();
    writeSync(file, page, 0, page.length, (i % 64) * page.length);
    fdatasyncSync(file);
    times.push(performance.now() - started);
  }
  closeSync(file);
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
}
