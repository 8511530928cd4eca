/** Finds the Workers that the sources start: a compiled binary holds only those that are named as entry points. */
import { Glob } from "bun";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const START = "new Worker(";
/** The only form that works in a compiled binary and in the sources alike. */
const KNOWN_FORM = /^new Worker\(\s*new URL\(\s*"(?<path>\.[^"]+)",\s*import\.meta\.url\s*,?\s*\)/u;

/** Paths of all Workers' files; throws for one that is started in another way or shares its name with another. */
export function findWorkers(root: string): readonly string[] {
  const found = new Set<string>();
  for (const path of new Glob("{src,adapters}/**/*.ts").scanSync({ cwd: root })) {
    // What builds and tests only talk about Workers.
    if (path.endsWith(".test.ts") || path.startsWith("src/release/")) continue;
    for (const worker of workersOf(path, readFileSync(join(root, path), "utf8"))) found.add(join(root, worker));
  }
  // Entry points lie flat in the binary, so that import.meta.url of the whole bundle leads to each of them.
  const names = [...found].map((path) => basename(path));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two Workers are called ${twice}: in the binary one would hide the other`);
  return [...found].toSorted();
}

/** The Workers that one file starts, as paths from the root. */
export function workersOf(path: string, text: string): readonly string[] {
  const found: string[] = [];
  for (let at = text.indexOf(START); at !== -1; at = text.indexOf(START, at + 1)) {
    const worker = KNOWN_FORM.exec(text.slice(at))?.groups?.["path"];
    if (worker === undefined) {
      throw new Error(
        `${path} starts a Worker in a form that a binary cannot follow: new Worker(new URL("./x.ts", import.meta.url))`,
      );
    }
    found.push(join(dirname(path), worker));
  }
  return found;
}
