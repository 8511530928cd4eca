/** Whom the servers of tests run as, and what is left of those whose test was killed. */
import { which } from "bun";
import { chownSync, readdirSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

export type Account = {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Goes before a command, so that it runs as this account; empty: we are this account. */
  readonly becomes: readonly string[];
  /** Goes before a command, after `becomes`, so that it ends with the process that started it, in whatever way that dies. */
  readonly dies: readonly string[];
};

/** Us or, when we are root, the user `postgres`: PostgreSQL refuses to run as root, and what a test runs should not. */
export function ordinaryAccount(): Account {
  const self = userInfo();
  const setpriv = which("setpriv");
  // Where the kernel can do it, the server gets SIGQUIT.
  const dies = setpriv === null ? [] : [setpriv, "--pdeathsig", "QUIT"];
  if (self.uid !== 0) return { name: ownName(), uid: self.uid, gid: self.gid, dies, becomes: [] };
  const uid = idOf("-u");
  const gid = idOf("-g");
  if (uid === null || gid === null || setpriv === null) {
    throw new Error("servers do not run as root here, and there is no user `postgres` (or no setpriv) to run them as");
  }
  const becomes = [setpriv, `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  return { name: "postgres", uid, gid, dies, becomes };
}

/** Ours as the machine knows it; Bun's `userInfo` believes the environment. */
export function ownName(): string {
  return Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
}

function idOf(flag: "-u" | "-g"): number | null {
  const result = Bun.spawnSync(["id", flag, "postgres"], { stderr: "ignore" });
  return result.exitCode === 0 ? Number(result.stdout.toString()) : null;
}

export function giveTo(account: Account, path: string): void {
  if (account.becomes.length > 0) chownSync(path, account.uid, account.gid);
}

/** Removes the folders `run-PID-*` and `new-PID-*` of processes that were killed before they could. */
export function sweepFolders(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = Number(name.split("-")[1]);
    if (!name.startsWith("run-") && !name.startsWith("new-")) continue;
    if (Number.isInteger(pid) && !isAlive(pid)) rmSync(join(base, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
