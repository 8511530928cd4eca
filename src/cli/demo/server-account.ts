/** Whom the demo's servers run as: whoever started the demo or, since PostgreSQL refuses root, the user `postgres`. */
import { chownSync } from "node:fs";
import { userInfo } from "node:os";
import { CommandError } from "../command.ts";

export type ServerAccount = {
  /** Whoever started the demo, as the machine knows them. */
  readonly starter: string;
  /** Goes before a command of the starter's own, so that it ends with the demo where the kernel can do that. */
  readonly dies: readonly string[];
  /** Goes before a command, so that it runs as this account; empty: it does already. */
  readonly becomes: readonly string[];
  /** Both. */
  readonly prefix: readonly string[];
  /** Null: the files are already this account's. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
};

/** Throws with what to do where there is no account that the server could run as. */
export function serverAccount(): ServerAccount {
  const setpriv = Bun.which("setpriv");
  // Where the kernel can do it, the server ends when the demo dies in whatever way.
  const dies = setpriv === null ? [] : [setpriv, "--pdeathsig", "QUIT"];
  const starter = ownName();
  if (userInfo().uid !== 0) return { starter, dies, becomes: [], prefix: dies, owner: null };
  const uid = idOf("-u");
  const gid = idOf("-g");
  if (uid === null || gid === null || setpriv === null) {
    throw new CommandError(
      "PostgreSQL refuses to run as root, and there is no user `postgres` (or no setpriv) to run it as",
      "Run the demo as an ordinary user.",
    );
  }
  const other = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  return { starter, dies, becomes: [setpriv, ...other], prefix: [...dies, ...other], owner: { uid, gid } };
}

export function giveTo(account: ServerAccount, path: string): void {
  if (account.owner !== null) chownSync(path, account.owner.uid, account.owner.gid);
}

/** Bun's `userInfo` believes the environment. */
function ownName(): string {
  return Bun.spawnSync(["id", "-un"], { stderr: "ignore" }).stdout.toString().trim();
}

function idOf(flag: "-u" | "-g"): number | null {
  const result = Bun.spawnSync(["id", flag, "postgres"], { stderr: "ignore" });
  return result.exitCode === 0 ? Number(result.stdout.toString()) : null;
}
