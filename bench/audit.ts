/** What the audit log costs: the gateway thread's time a record, and durable records a second with their latency. */
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../src/audit/audit.ts";
import type { Decision } from "../src/core/decision.ts";
import type { Accesses, Operation } from "../src/core/operation.ts";
import type { Policy } from "../src/core/ports.ts";
import type { Session } from "../src/core/session.ts";

const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 3);

const permit: Decision = { kind: "permit", rules: ["shop/agents-read"], obligations: {} };
const policy: Policy = {
  epoch: 1,
  digest: "5".repeat(64),
  commit: "0123456789abcdef0123456789abcdef01234567",
  decide: () => permit,
  mayConnect: () => permit,
  nextEdge: () => Number.POSITIVE_INFINITY,
};
const accesses: Accesses = [
  {
    class: "read",
    facts: {
      verb: ["select"],
      relation: ["public.pgbench_accounts"],
      column: ["public.pgbench_accounts.abalance", "public.pgbench_accounts.aid"],
      unfiltered: false,
    },
  },
];
const textSha256 = "b".repeat(64);

function session(n: number): Session {
  return {
    id: `session-${n}`,
    identity: {
      kind: "agent",
      issuer: "weir",
      subject: `agent-${n}`,
      groups: ["agents", "shop"],
      owner: "ann",
      proof: { method: "token", credential: `tok-${n}`, expiresAtMs: 1_800_000_000_000 },
    },
    target: { name: "orders-prod", adapter: "postgres", labels: { env: "prod" }, settings: null },
    openedAtMs: 1_760_000_000_000,
    source: "127.0.0.1",
  };
}

let operations = 0;
function operation(of: Session, text: string | null): Operation {
  return {
    id: `op-${operations++}`,
    session: of,
    kind: "query",
    accesses,
    understood: true,
    text: text ?? "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    textSha256: text === null ? textSha256 : null,
    parameters: new Uint8Array(8),
    catalogDigest: "c".repeat(64),
  };
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Sessions that do one operation after the other, each sent only when its intent is durable. */
async function strict(log: AuditLog, sessions: number): Promise<string> {
  const latencies: number[] = [];
  const until = performance.now() + SECONDS * 1000;
  const from = log.handedOver;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: sessions }, async (_, n) => {
      const of = session(n);
      while (performance.now() < until) {
        const asked = performance.now();
        const intent = log.intent(operation(of, null), permit, policy);
        await log.waitDurable(intent);
        latencies.push(performance.now() - asked);
        log.outcome(intent, { status: "done", rows: 1, bytes: 64 });
      }
    }),
  );
  const took = (performance.now() - started) / 1000;
  const sorted = Float64Array.from(latencies).toSorted();
  const rate = Math.round((log.handedOver - from) / took);
  return `${String(sessions).padStart(8)} ${String(rate).padStart(12)} ${percentile(sorted, 0.5).toFixed(2).padStart(9)} ${percentile(sorted, 0.99).toFixed(2).padStart(9)}`;
}

/** Microseconds of the calling thread for a record, with the writer idle in between so that the ring never fills. */
async function handOver(log: AuditLog, text: (() => string) | null): Promise<string> {
  const sessions = Array.from({ length: 64 }, (_, n) => session(n));
  const rounds: number[] = [];
  for (let round = 0; round < 40; round++) {
    const batch = sessions.flatMap((of) =>
      Array.from({ length: 32 }, () => operation(of, text === null ? null : text())),
    );
    const started = performance.now();
    for (const next of batch) log.outcome(log.intent(next, permit, policy), { status: "done", rows: 1, bytes: 64 });
    rounds.push(((performance.now() - started) * 1000) / (2 * batch.length));
    await log.waitDurable(log.handedOver);
  }
  const sorted = Float64Array.from(rounds).toSorted();
  return `p50 ${percentile(sorted, 0.5).toFixed(2)} us, p90 ${percentile(sorted, 0.9).toFixed(2)} us`;
}

/** What this disk takes for one small write and its fsync: no durable record can be faster. */
function fsync(inFolder: string): string {
  const file = openSync(join(inFolder, "fsync"), "w");
  const page = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const started = performance.now();
    writeSync(file, page, 0, page.length, (i % 64) * page.length);
    fdatasyncSync(file);
    times.push(performance.now() - started);
  }
  closeSync(file);
  const sorted = Float64Array.from(times).toSorted();
  return `p50 ${percentile(sorted, 0.5).toFixed(2)} ms, p99 ${percentile(sorted, 0.99).toFixed(2)} ms`;
}

// Not the folder for temporary files, which may be in memory.
const cache = join(import.meta.dir, "../.cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "bench-audit-"));
try {
  const log = await AuditLog.open({ folder, clock: { now: Date.now } });
  console.log(`write and fsync of 4 KiB:    ${fsync(folder)}`);
  console.log(`a record, text seen before:  ${await handOver(log, null)}`);
  let n = 0;
  console.log(
    `a record, text hashed here:  ${await handOver(log, () => `SELECT abalance FROM pgbench_accounts WHERE aid = ${n++}`)}`,
  );
  console.log("sessions    records/s    p50 ms    p99 ms");
  for (const sessions of [1, 16, 64, 256]) console.log(await strict(log, sessions));
  await log.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
