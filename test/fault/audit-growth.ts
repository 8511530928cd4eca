/**
 * Records of ever new sessions, statements, decisions and addresses: `audit-growth.ts FOLDER OPERATIONS`. After as many
 * operations it counts for as many more, and prints by how many objects this thread and MiB the process has grown.
 */
import { heapStats } from "bun:jsc";
import { AuditLog } from "../../src/audit/audit.ts";
import type { Decision } from "../../src/core/decision.ts";
import { POLICY, sampleOperation, sampleSession } from "./audit-sample.ts";

const [folder = "", operations = ""] = process.argv.slice(2);
let now = 1_760_000_000_000;
const log = await AuditLog.open({ folder, origin: "test", clock: { now: () => (now += 100) } });
let made = 0;

/** Nothing of what this hands over was seen before. */
async function handOver(): Promise<void> {
  for (let i = 0; i < Number(operations); i++) {
    const n = made++;
    const decision: Decision = { kind: "permit", rules: [`rule-${n}`], observed: [], obligations: {} };
    const session = sampleSession(n);
    const intent = log.intent(
      sampleOperation(`op-${n}`, {
        session,
        accesses: [{ class: "read", facts: { relation: [`public.relation_${n}`], column: Array(20).fill(`c${n}`) } }],
        text: `SELECT ${n}`,
      }),
      decision,
      POLICY,
    );
    log.outcome(intent, { status: "done", rows: n });
    log.event("login.failed", { source: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
    // Half of the sessions are forgotten, the others end without a word.
    if (n % 2 === 0) log.forget(session.id);
    if (i % 500 === 0) await log.waitDurable(log.handedOver);
  }
  await log.waitDurable(log.handedOver);
  Bun.gc(true);
}

await handOver();
const bytes = process.memoryUsage.rss();
const objects = heapStats().objectCount;
await handOver();
const grownMiB = Math.round((process.memoryUsage.rss() - bytes) / 1024 / 1024);
process.stdout.write(`${heapStats().objectCount - objects} ${grownMiB}\n`);
await log.close();
