/** What an idle session costs weir, and a second sshd that is jumped through. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Client } from "ssh2";
import type { BenchRoad, BenchRoads, RoadName } from "./roads.ts";

/** Long enough for a garbage collector to notice that nothing happens, and for the system to get back what it freed. */
const SETTLE_MS = 10_000;
const OPENED_AT_ONCE = 10;
/** So many load and compile what every other shares; before, that would be counted as theirs. */
const WARM_SESSIONS = 100;
const KILOBYTES_AIM = 200;

/** A line for each road that has something between client and target; empty where there is no /proc. */
export async function measureMemory(roads: BenchRoads, sessions: number): Promise<string> {
  if (!existsSync("/proc/self/smaps_rollup")) return "";
  const pids: Partial<Record<RoadName, number>> = { weir: roads.gateway.pid, jump: roads.hop.pid };
  const lines: string[] = [];
  for (const road of roads.all) {
    const pid = pids[road.name];
    if (pid === undefined) continue;
    const kilobytes = await perSession(road, pid, sessions);
    const aim = road.name === "weir" ? ` (to be at most ${KILOBYTES_AIM})` : "";
    lines.push(
      `memory     ${road.name.padEnd(6)} ${kilobytes.toFixed(0)} KB for each of ${sessions} idle sessions${aim}\n`,
    );
  }
  return lines.join("");
}

async function perSession(road: BenchRoad, pid: number, sessions: number): Promise<number> {
  const open: Client[] = [];
  const openSome = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= OPENED_AT_ONCE) {
      const batch = Array.from({ length: Math.min(OPENED_AT_ONCE, left) }, () => idleSession(road));
      open.push(...(await Promise.all(batch)));
    }
    await Bun.sleep(SETTLE_MS);
  };
  try {
    await openSome(WARM_SESSIONS);
    const before = ownKilobytes(pid);
    await openSome(sessions);
    return (ownKilobytes(pid) - before) / sessions;
  } finally {
    for (const client of open) client.end();
  }
}

/** A command that waits for input which does not come. */
async function idleSession(road: BenchRoad): Promise<Client> {
  const client = await road.connect();
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  client.exec("echo ready; cat", (error, channel) => {
    if (error) return reject(error);
    channel.once("data", () => resolve(client));
  });
  return promise;
}

/** Of a process and all that came of it; what several share is counted once. */
function ownKilobytes(pid: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/u.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const family = [pid];
  for (const one of family) family.push(...(children.get(one) ?? []));
  return family.reduce((sum, one) => sum + proportionalKilobytes(one), 0);
}

function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return null;
  }
}

function proportionalKilobytes(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB$/mu.exec(rollup)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
