/** Programs at the far end of a file transfer: scp, rsync and git, as their clients start them on a target. */

import { rsyncTransfers } from "./rsync.ts";

/** A path that is sent or received. */
export type Transfer = { readonly path: string; readonly class: "read" | "write" };

type Transfers = { readonly transfers: readonly Transfer[]; readonly files?: null };

const NONE: Transfers = { transfers: [] };

/** What the words after the program's name transfer. `files: null`: what lies below the paths is touched too. */
export function transfersOf(name: string, words: readonly string[]): Transfers {
  switch (name) {
    case "scp":
      return scp(words);
    case "rsync": {
      const transfers = rsyncTransfers(words);
      return transfers.length === 0 ? NONE : { transfers, files: null };
    }
    case "git":
      return words[0]?.endsWith("-pack") === true || words[0] === "upload-archive"
        ? transfersOf(`git-${words[0]}`, words.slice(1))
        : NONE;
    case "git-upload-pack":
    case "git-upload-archive":
      return of(repositoriesOf(words), "read");
    case "git-receive-pack":
      return of(repositoriesOf(words), "write");
    default:
      return NONE;
  }
}

/** Not strictly, git opens `/srv/app.git` too for `/srv/app`. */
function repositoriesOf(words: readonly string[]): readonly string[] {
  const paths = operandsOf(words);
  if (words.includes("--strict")) return paths;
  return paths.flatMap((path) => (isBareName(path) ? [path] : [path, `${withoutSlashes(path)}.git`]));
}

function isBareName(path: string): boolean {
  const bare = withoutSlashes(path);
  return bare.endsWith(".git") || bare === "" || bare.endsWith("/.") || bare === "." || bare.endsWith("..");
}

function withoutSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  return path.slice(0, end);
}

/** `scp -f PATH` sends it, `scp -t PATH` receives it. */
function scp(words: readonly string[]): Transfers {
  const letters = words.filter((word) => word.startsWith("-")).join("");
  if (letters.includes("f") === letters.includes("t")) return NONE;
  return of(operandsOf(words), letters.includes("f") ? "read" : "write");
}

function operandsOf(words: readonly string[]): readonly string[] {
  return words.filter((word) => !word.startsWith("-"));
}

function of(paths: readonly string[], kind: Transfer["class"]): Transfers {
  return { transfers: paths.map((path) => ({ path, class: kind })), files: null };
}
