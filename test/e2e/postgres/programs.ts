/** PostgreSQL's own client programs, run to their end against one of the roads. */
import { Glob, which } from "bun";
import { serverMajor } from "../../servers/postgres.ts";
import type { Road } from "./roads.ts";

export type ProgramResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** The environment that leads libpq down a road: to this database, or the road's own. */
function libpqEnvironment(road: Road, database?: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    LC_ALL: "C.UTF-8",
    PGHOST: road.address.host,
    PGPORT: `${road.address.port}`,
    PGUSER: "postgres",
    PGDATABASE: database ?? road.login.database ?? "postgres",
    PGPASSWORD: road.login.password ?? "",
    PGSSLMODE: road.login.tls === undefined ? "disable" : "require",
    PGGSSENCMODE: "disable",
  };
}

/** Runs psql, pgbench, pg_dump or pg_restore; `input` goes to its standard input. */
export async function runProgram(
  road: Road,
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly database?: string } = {},
): Promise<ProgramResult> {
  const child = Bun.spawn([find(program), ...args], {
    env: libpqEnvironment(road, options.database),
    stdin: Buffer.from(options.input ?? ""),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Is a program older than the servers that tests start? pg_dump then does nothing, and some of psql's commands fail. */
export function isOlderThanServer(program: string): boolean {
  const version = Bun.spawnSync([find(program), "--version"]).stdout.toString();
  const major = Number(
    version
      .split(" ")
      .find((word) => !Number.isNaN(Number.parseInt(word, 10)))
      ?.split(".")[0],
  );
  return major < serverMajor();
}

/** On PATH, or where Debian keeps the programs of each version. */
function find(program: string): string {
  const onPath = which(program);
  if (onPath !== null) return onPath;
  const [found] = [...new Glob(`/usr/lib/postgresql/*/bin/${program}`).scanSync("/")];
  if (found === undefined) throw new Error(`${program} is not installed: apt-get install postgresql`);
  return found;
}
