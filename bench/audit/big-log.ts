/** Makes a log of very many entries through the real log, at full speed: sessions of many subjects, and what they ask for. */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { refusal } from "../../src/core/decision.ts";
import type { Decision } from "../../src/core/decision.ts";
import type { Accesses, Operation } from "../../src/core/operation.ts";
import type { Sequence } from "../../src/core/ports.ts";
import type { Session } from "../../src/core/session.ts";
import { PERMIT, POLICY, sessionOf } from "./sample.ts";

const SUBJECTS = 200;
const TARGETS = 20;
const TABLES = 500;
const SESSIONS_AT_ONCE = 64;
const OPERATIONS_OF_A_SESSION = 200;
/** Handed over before their outcomes follow. */
const ROUND = 1024;
/** What an entry takes on disk at most, with its share of the tree, of the index and of what is being moved. */
const ENTRY_BYTES_MAX = 2500;
/** Written when the log is whole, so that another run can use it. */
const DONE_FILE = "made";

const DENY: Decision = {
  kind: "deny",
  rules: ["shop/no-payroll"],
  observed: [],
  refusal: refusal("denied", "no rule permits this", { rules: ["shop/no-payroll"] }),
};

const TABLE_ACCESSES: readonly Accesses[] = Array.from({ length: TABLES }, (_, n) => {
  const relation = `shop${n % 10}.table_${n}`;
  const facts = { databases: ["shop"], relations: [relation], columns: [`${relation}.id`, `${relation}.name`] };
  return n % 5 === 0
    ? [{ class: "write", facts: { ...facts, verbs: ["update"], unfiltered: false } }]
    : [{ class: "read", facts: { ...facts, verbs: ["select"] } }];
});
const CONNECT: Accesses = [{ class: "connect", facts: {}, ambient: true }];

type Live = { readonly session: Session; readonly connect: Sequence; left: number };

/** The folder of such a log with at least so many entries; made when it is not there. Throws when the disk is too small. */
export async function bigLog(cache: string, entries: number, onProgress: (entries: number) => void): Promise<string> {
  const place = join(cache, `audit-log-${entries}`);
  const folder = join(place, "data");
  if (existsSync(join(place, DONE_FILE))) return folder;
  rmSync(place, { recursive: true, force: true });
  // As a gateway wants its data folder: its owner's only.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < entries * ENTRY_BYTES_MAX) {
    throw new Error(`${entries} entries need up to ${Math.round((entries * ENTRY_BYTES_MAX) / 1e9)} GB of disk`);
  }
  await fill(folder, entries, onProgress);
  writeFileSync(join(place, DONE_FILE), "");
  return folder;
}

async function fill(folder: string, entries: number, onProgress: (entries: number) => void): Promise<void> {
  // A millisecond for each record, so that times tell entries apart.
  let now = Date.UTC(2026, 0, 1);
  const log = await AuditLog.open({ folder, origin: "bench", clock: { now: () => now++ }, intentsAreAwaited: false });
  let made = 0;
  let count = 0;
  const live: Live[] = [];
  const open = (n: number): Live => {
    const id = `B${(count++).toString(36).toUpperCase()}`;
    const session = sessionOf(id, (n * 7919) % SUBJECTS, n % TARGETS, now);
    const operation = { ...common(id, session, CONNECT), kind: "connect", text: "" };
    made++;
    return { session, connect: log.intent(operation, PERMIT, POLICY), left: OPERATIONS_OF_A_SESSION };
  };
  let opened = 0;
  let shown = 0;
  while (made < entries) {
    const late: Sequence[] = [];
    for (let at = 0; at < ROUND; at++) {
      const place = at % SESSIONS_AT_ONCE;
      let one = live[place];
      if (one === undefined || one.left-- === 0) {
        if (one !== undefined) {
          log.outcome(one.connect, { status: "done" });
          made++;
        }
        live[place] = one = open(opened++);
      }
      const n = count++;
      const accesses = TABLE_ACCESSES[(n * 31 + Math.floor(n / 100_000)) % TABLES] ?? CONNECT;
      const isDenied = n % 50 === 7;
      const operation = common(`B${n.toString(36).toUpperCase()}`, one.session, accesses);
      const intent = log.intent(operation, isDenied ? DENY : PERMIT, POLICY);
      made++;
      if (isDenied) log.outcome(intent, { status: "refused" });
      else if (n % 2 === 0) log.outcome(intent, { status: "done", rows: n % 100, bytes: 64 });
      else late.push(intent);
    }
    await log.waitDurable(log.handedOver);
    for (const [at, intent] of late.entries()) {
      if (at % 64 === 0) log.outcome(intent, { status: "failed", code: "42P01" });
      else log.outcome(intent, { status: "done", rows: 1, bytes: 64 });
      made++;
    }
    if (made - shown > 100_000) onProgress((shown = made));
  }
  for (const one of live) log.outcome(one.connect, { status: "done" });
  await log.close();
}

function common(id: string, session: Session, accesses: Accesses): Operation {
  return {
    id,
    session,
    kind: "query",
    accesses,
    understood: true,
    text: "SELECT",
    textSha256: "b".repeat(64),
    catalogDigest: "c".repeat(64),
  };
}
