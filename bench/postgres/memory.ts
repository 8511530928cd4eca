/** How much memory a peer keeps when nothing happens, and how much more for each session that is open and idle. */
import { existsSync, readFileSync } from "node:fs";
import type { Peer } from "./peers.ts";
import { connectRaw, type RawClient } from "./raw-client.ts";

export type MemoryUse = {
  readonly peer: string;
  readonly idleMegabytes: number;
  readonly sessions: number;
  readonly kilobytesPerSession: number;
};

/** Long enough for a garbage collector to notice that nothing happens. */
const SETTLE_MS = 2000;
const OPENED_AT_ONCE = 20;

/** Null where there is no process between client and server, or no /proc. */
export async function measureMemory(peer: Peer, sessions: number): Promise<MemoryUse | null> {
  if (peer.pid === null || !existsSync(`/proc/${peer.pid}/status`)) return null;
  // The first session loads what every other shares.
  (await connectRaw(peer)).close();
  await Bun.sleep(SETTLE_MS);
  const idle = residentKilobytes(peer.pid);
  const open: RawClient[] = [];
  try {
    while (open.length < sessions) {
      const count = Math.min(OPENED_AT_ONCE, sessions - open.length);
      const opened = await Promise.all(Array.from({ length: count }, () => connectRaw(peer)));
      // PgBouncer lends a server connection only to who has asked something.
      await Promise.all(opened.map((client) => client.drain("SELECT 1")));
      open.push(...opened);
    }
    await Bun.sleep(SETTLE_MS);
    const kilobytesPerSession = (residentKilobytes(peer.pid) - idle) / sessions;
    return { peer: peer.name, idleMegabytes: idle / 1024, sessions, kilobytesPerSession };
  } finally {
    for (const client of open) client.close();
  }
}

function residentKilobytes(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((candidate) => candidate.startsWith("VmRSS:"));
  return Number.parseInt(line?.slice("VmRSS:".length) ?? "", 10);
}
