/** A gateway's worth of recording in a process of its own, to be killed, starved and measured: `audit-child.ts FOLDER SESSIONS`. */
import { writeSync } from "node:fs";
import { AuditLog } from "../../src/audit/audit.ts";
import { PERMIT, POLICY, sampleOperation, sampleSession } from "./audit-sample.ts";

const [folder = "", sessions = "1"] = process.argv.slice(2);
const run = process.pid;

/** One line for the parent, written before anything else happens. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const log = await AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
say("open");

let failed = false;
let durableBefore = 0;
log.onProgress(() => {
  if ((log.failure !== null) === failed) return;
  failed = !failed;
  durableBefore = log.durable;
  say(failed ? `failed ${log.durable} ${log.handedOver}` : "recovered");
});

async function session(n: number): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${run}-${n}-${i}`;
    try {
      const intent = log.intent(sampleOperation(id, { session: sampleSession(n) }), PERMIT, POLICY);
      await log.waitDurable(intent);
      if (failed && intent > durableBefore) say(`acknowledged ${id} although the log has failed`);
      say(`durable ${id}`);
      const outcome = log.outcome(intent, { status: "done", rows: i });
      if (i % 5 === 0) {
        await log.waitDurable(outcome);
        say(`ended ${id}`);
      }
    } catch {
      // Refused: try again when the log is back.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

for (let n = 0; n < Number(sessions); n++) void session(n);
