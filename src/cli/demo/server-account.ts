/** Whom the demo's server runs as: whoever started the demo or, since PostgreSQL refuses root, the user `postgres`. */
import { chownSync } from "node:fs";
import { userInfo } from "node:os";
import { CommandError } from "../command.ts";

export type ServerAccount = {
  /** Goes before a command, so that it runs as this account. */
  readonly prefix: readonly string[];
  /** Null: the files are already this account's. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
};

/** Throws with what to do where there is no account that the server could run as. */
export function serverAccount(): ServerAccount {
  const setpriv = Bun.which("setpriv");
  // Where the kernel can do it, the server ends when the demo dies in whatever way.
  const dies = setpriv === null ? [] : [setpriv, "--pdeathsig", "QUIT"];
  if (userInfo().uid !== 0) return { prefix: dies, owner: null };
  const uid = idOf("-u");
  const gid = idOf("-g");
  if (uid === null || gid === null || setpriv === null) {
    throw new CommandError(
      "PostgreSQL refuses to run as root, and there is no user `postgres` (or no setpriv) to run it as",
      "Run the demo as an ordinary user.",
    );
  }
  return { prefix: [...dies, `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"], owner: { uid, gid } };
}

export function giveTo(account: ServerAccount, path: string): void {
  if (account.owner !== null) chownSync(path, account.owner.uid, account.owner.gid);
}

function idOf(flag: "-u" | "-g"): number | null {
  const result = Bun.spawnSync(["id", flag, "postgres"], { stderr: "ignore" });
  return result.exitCode === 0 ? Number(result.stdout.toString()) : null;
}
