/**
 * The real writer, out of step. LATE=before: held up in its second commit until it is told that another takes over,
 * then it commits. LATE=after: the same, but it commits only when the other has written to the log. LATE=next: it
 * starts only when the one before it has made that late commit.
 */
import { join } from "node:path";
import { workerData } from "node:worker_threads";
import Database from "libsql";
import { readSettings } from "../../src/audit/messages.ts";
import { ORDER_SERVE, SharedRing } from "../../src/audit/ring.ts";
import { LOG_FILE } from "../../src/audit/schema.ts";
import { LogStore } from "../../src/audit/store.ts";

const settings = readSettings(workerData);
const ring = new SharedRing(settings.buffer);
const late = process.env["LATE"];

/** Waits until the log has more entries than this. */
function waitForMore(than: number): void {
  const reader = new Database(join(settings.folder, LOG_FILE));
  const count = reader.prepare("SELECT count(*) FROM entry WHERE idx >= ?").raw(true);
  while (String(count.all([than])) === "0") Bun.sleepSync(10);
  reader.close();
}

const { append } = LogStore.prototype;
let commits = 0;
LogStore.prototype.append = function appendLate(this: LogStore, ...group): string {
  if (++commits === 2 && late !== "next") {
    while (ring.order === ORDER_SERVE) Bun.sleepSync(10);
    if (late === "after") waitForMore(this.size);
  }
  return append.call(this, ...group);
};

// The entry of the log's opening is there from the start; the late commit is the next one.
if (late === "next") waitForMore(1);
await import("../../src/audit/writer.ts");
