/** A log with some of everything, for tests of what copies it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { FolderSource } from "../../src/audit/ship/source.ts";
import type { Session } from "../../src/core/session.ts";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../fault/audit-sample.ts";

/** The second session came through a forward of the first. */
function sessionAt(n: number): Session {
  return n === 0 ? sampleSession(0) : { ...sampleSession(n), through: { session: "session-0", operation: "op-0" } };
}

/** So many operations, and every third has an entry for its outcome; of more it would take long. */
const FEW = 60;

export class SampleLog {
  readonly folder: string;
  readonly log: AuditLog;
  readonly source: FolderSource;
  #operations = 0;

  private constructor(folder: string, log: AuditLog) {
    this.folder = folder;
    this.log = log;
    this.source = new FolderSource(folder);
  }

  /** Opens a log in a new folder, or in one that is there. */
  static async open(origin: string, folder: string = mkdtempSync(join(tmpdir(), "weir-ship-"))): Promise<SampleLog> {
    const log = await AuditLog.open({ folder, origin, clock: { now: Date.now } });
    return new SampleLog(folder, log);
  }

  /** Opens the two sessions, and ends the second. */
  async connect(): Promise<void> {
    for (let n = 0; n < 2; n++) {
      const session = sessionAt(n);
      const operation = sampleOperation(session.id, { session, kind: "connect" });
      const intent = this.log.intent(operation, PERMIT, POLICY);
      await this.log.waitDurable(intent);
      if (n === 1) this.log.outcome(intent, { status: "done", bytes: 77 });
    }
    await this.log.waitDurable(this.log.handedOver);
  }

  /** Adds operations of two sessions: most permitted, some refused; resolves when they are durable. */
  async add(operations: number): Promise<void> {
    for (let n = 0; n < operations; n++) {
      const at = this.#operations++;
      const isRefused = at % 5 === 4;
      const operation = sampleOperation(`op-${at}`, { session: sessionAt(at % 2) });
      const intent = this.log.intent(operation, isRefused ? DENY : PERMIT, POLICY);
      // Then the outcome is an entry of its own.
      if (at % (at < FEW ? 3 : 50) === 0) await this.log.waitDurable(intent);
      this.log.outcome(intent, isRefused ? { status: "refused" } : { status: "done", rows: at, bytes: 10 });
      if (at % 1000 === 999) await this.log.waitDurable(this.log.handedOver);
    }
    await this.log.waitDurable(this.log.handedOver);
  }

  async close(): Promise<void> {
    this.source.close();
    await this.log.close();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
