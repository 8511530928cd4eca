/** What is measured on each road: one number, the larger the better or the smaller the better. */
import type { Client, SFTPWrapper } from "ssh2";
import type { BenchRoad, BenchRoads } from "./roads.ts";

export type Scale = {
  readonly logins: number;
  readonly commands: number;
  /** Small requests over SFTP. */
  readonly questions: number;
  readonly bytes: number;
  readonly sessions: number;
};

export type Measure = {
  readonly name: string;
  readonly unit: string;
  readonly isLessBetter: boolean;
  /** What weir's number is to be to ProxyJump's. */
  readonly aim: number | null;
  run(roads: BenchRoads, road: BenchRoad, scale: Scale): Promise<number>;
};

const COMMANDS_AT_ONCE = 8;
const QUESTIONS_AT_ONCE = 32;

export const MEASURES: readonly Measure[] = [
  { name: "login", unit: "ms", isLessBetter: true, aim: 1.5, run: (_, road, { logins }) => login(road, logins) },
  {
    name: "commands",
    unit: "/s",
    isLessBetter: false,
    aim: null,
    run: (_, road, { commands }) => execs(road, commands),
  },
  {
    name: "sftp stats",
    unit: "/s",
    isLessBetter: false,
    aim: null,
    run: (_, road, { questions }) => stats(road, questions),
  },
  {
    name: "exec down",
    unit: "MB/s",
    isLessBetter: false,
    aim: 1.3,
    run: (roads, road, { bytes }) => rate(bytes, ["ssh", ...road.sshArgs, `cat ${roads.file}`]),
  },
  {
    name: "exec up",
    unit: "MB/s",
    isLessBetter: false,
    aim: 1.3,
    run: (roads, road, { bytes }) => rate(bytes, ["ssh", ...road.sshArgs, "cat > /dev/null"], roads.file),
  },
  {
    name: "sftp down",
    unit: "MB/s",
    isLessBetter: false,
    aim: 1.3,
    run: (roads, road, { bytes }) => rate(bytes, sftp(road, `get ${roads.file} /dev/null`)),
  },
  {
    name: "sftp up",
    unit: "MB/s",
    isLessBetter: false,
    aim: 1.3,
    run: (roads, road, { bytes }) => rate(bytes, sftp(road, `put ${roads.file} /dev/null`)),
  },
];

/** The median time from the start of the program to the first byte of a command's output. */
async function login(road: BenchRoad, count: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    const child = Bun.spawn(["ssh", ...road.sshArgs, "echo x"], { stdin: "ignore", stdout: "pipe" });
    const reader = child.stdout.getReader();
    await reader.read();
    times.push(performance.now() - startMs);
    await child.exited;
  }
  return median(times);
}

/** Commands a second over one connection, some at once. */
async function execs(road: BenchRoad, count: number): Promise<number> {
  const client = await road.connect();
  const perSecond = await repeated(count, COMMANDS_AT_ONCE, async () => exec(client));
  client.end();
  return perSecond;
}

/** STATs a second on one SFTP channel, some at once: each is judged, and recorded, by itself. */
async function stats(road: BenchRoad, count: number): Promise<number> {
  const client = await road.connect();
  const files = await sftpChannel(client);
  const perSecond = await repeated(count, QUESTIONS_AT_ONCE, async () => stat(files, "/"));
  client.end();
  return perSecond;
}

/** How often `once` was done a second; the first time does not count. */
async function repeated(count: number, atOnce: number, once: () => Promise<void>): Promise<number> {
  await once();
  let left = count;
  const startMs = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) await once();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return count / ((performance.now() - startMs) / 1000);
}

function exec(client: Client): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.exec("true", (error, channel) => {
    if (error) return reject(error);
    channel.resume();
    channel.on("close", () => resolve());
  });
  return promise;
}

async function sftpChannel(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, files) => (error === undefined ? resolve(files) : reject(error)));
  });
}

async function stat(files: SFTPWrapper, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    files.stat(path, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

function sftp(road: BenchRoad, line: string): readonly string[] {
  const [flag = "", config = "", host = ""] = road.sshArgs;
  return ["sh", "-c", `echo '${line}' | sftp -q ${flag} ${config} -b - ${host}`];
}

/** Megabytes a second, the login included. */
async function rate(bytes: number, command: readonly string[], stdin?: string): Promise<number> {
  const startMs = performance.now();
  const child = Bun.spawn([...command], {
    stdin: stdin === undefined ? "ignore" : Bun.file(stdin),
    stdout: "ignore",
    stderr: "inherit",
  });
  const status = await child.exited;
  if (status !== 0) throw new Error(`${command.join(" ")}: exit status ${status}`);
  return bytes / 1e6 / ((performance.now() - startMs) / 1000);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
