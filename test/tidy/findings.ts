/** The rules of the house as a function over a tree of files: what breaks them, and where. */
import { posix } from "node:path";
import { arrowBroken, isTest, packageBroken, partOf } from "./arrows.ts";
import { readSource, type Source } from "./source.ts";

/** Paths from the top of the tree, with `/`, to texts. */
export type Tree = ReadonlyMap<string, string>;

export type Finding = { readonly path: string; readonly line: number; readonly message: string };

/** Everything there is at the top; a new entry belongs in ARCHITECTURE.md first. */
const TOP_LEVEL: ReadonlySet<string> = new Set([
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "LICENSE",
  "NOTICE",
  "dev",
  "package.json",
  "bun.lock",
  "bunfig.toml",
  "tsconfig.json",
  "knip.json",
  ".oxfmtrc.json",
  ".oxlintrc.json",
  ".gitignore",
  ".dockerignore",
  "Dockerfile",
  "compose.yaml",
  ".ci",
  "src",
  "adapters",
  "policies",
  "test",
  "bench",
  "docs",
]);

/** Names that say nothing of their subject. */
const EMPTY_NAMES: ReadonlySet<string> = new Set(["util", "utils", "helper", "helpers", "common", "misc", "shared"]);

/** What every adapter's folder holds; one that has only a vocabulary yet is not an adapter. */
const ADAPTER_FILES = [
  "adapter.ts",
  "listen.ts",
  "conversation.ts",
  "describe.ts",
  "upstream.ts",
  "replies.ts",
  "refuse.ts",
  "README.md",
] as const;

/** Product code that may use JavaScript's regular expressions, with the reason: none of it reads what a peer sent. */
const REGEX_ALLOWED: Readonly<Record<string, string>> = {
  "src/release/": "reads our own sources while building",
  "src/identity/certificate.ts": "writes certificates from names that the configuration gives",
};

/** Parts of a path that exist on one machine only. Written so that this file does not find itself. */
const MACHINE_PATHS = ["home", "Users", "root", "work"].map((name) => `/${name}/`);
const REGISTRY_HOSTS = ["npmjs.org", "npmjs.com", "yarnpkg.com", "jsr.io"].flatMap((host) => [
  `registry.${host}`,
  `//npm.${host}`,
]);
const UNFINISHED = ["TODO", "FIXME", "XXX", "HACK"];
const BINARY_SUFFIXES = [".png", ".jpg", ".wasm", ".ico", ".woff2", ".gz", ".bin", ".dump"];

/** All findings, by path and line. `dependencies` are the packages that the product itself may import. */
export function findings(tree: Tree, dependencies: ReadonlySet<string>): readonly Finding[] {
  const found: Finding[] = [];
  const add = (path: string, line: number, message: string): void => void found.push({ path, line, message });
  for (const [path, text] of tree) {
    checkPlace(path, add);
    if (!BINARY_SUFFIXES.some((suffix) => path.endsWith(suffix))) checkText(path, text, add);
    if (path.endsWith(".ts")) checkSource(path, text, tree, dependencies, add);
  }
  checkAdapters(tree, add);
  return found.toSorted((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

type Add = (path: string, line: number, message: string) => void;

function checkPlace(path: string, add: Add): void {
  const parts = path.split("/");
  const top = parts[0] ?? "";
  if (!TOP_LEVEL.has(top)) add(path, 1, `the layout has no top-level ${top}`);
  for (const part of parts) {
    const name = part.split(".")[0] ?? "";
    if (EMPTY_NAMES.has(name.toLowerCase())) add(path, 1, `${part} names no subject`);
  }
  if ((top === "src" || top === "adapters") && path.endsWith(".ts") && partOf(path) === null) {
    add(path, 1, "the layout has no place for this file");
  }
}

function checkText(path: string, text: string, add: Add): void {
  for (const [index, line] of text.split("\n").entries()) {
    for (const machine of MACHINE_PATHS) {
      const at = line.indexOf(machine);
      // `src/work/` and a URL's path are no absolute paths; what follows a letter, a digit or a dot is neither.
      if (at !== -1 && !isWordOrDot(line[at - 1])) add(path, index + 1, `a path of one machine: ${machine}`);
    }
    for (const host of REGISTRY_HOSTS) {
      if (line.includes(host)) add(path, index + 1, `names a package registry: ${host}`);
    }
  }
}

function isWordOrDot(char: string | undefined): boolean {
  return char !== undefined && /[\w.~*}-]/u.test(char);
}

function checkSource(path: string, text: string, tree: Tree, dependencies: ReadonlySet<string>, add: Add): void {
  if (!opensWithSentence(text)) add(path, 1, "a file opens with one sentence, /** ... */, that says what it is");
  const source = readSource(path, text);
  for (const error of source.errors) add(path, 1, `cannot be parsed: ${error}`);
  for (const { specifier, line } of source.imports) {
    const message = importBroken(path, specifier, tree, dependencies);
    if (message !== null) add(path, line, message);
  }
  for (const comment of source.comments) {
    const word = UNFINISHED.find((unfinished) => wordsOf(comment.text).includes(unfinished));
    if (word !== undefined) add(path, comment.line, `${word}: finish it, or say in the docs that it is missing`);
    if (comment.text.includes("lint-disable") && !comment.text.includes(" -- ")) {
      add(path, comment.line, "a rule is switched off without a reason: add `-- why`");
    }
  }
  if (isTest(path)) checkMarks(path, source, add);
  else if (path.startsWith("src/") || path.startsWith("adapters/")) checkRegexes(path, source, add);
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\W+/u);
}

function opensWithSentence(text: string): boolean {
  const body = text.startsWith("#!") ? text.slice(text.indexOf("\n") + 1) : text;
  const end = body.indexOf("*/");
  if (!body.startsWith("/**") || end === -1) return false;
  // After the sentence there may be more, a link to the specification for one.
  return `${body.slice(3, end).trim()} `.includes(". ");
}

/** Null when the import is allowed. */
function importBroken(
  from: string,
  specifier: string | null,
  tree: Tree,
  dependencies: ReadonlySet<string>,
): string | null {
  const isProduct = partOf(from) !== null && !isTest(from) && !from.startsWith("bench/");
  if (specifier === null) {
    return isProduct ? "an import whose target is computed cannot be checked: name the file" : null;
  }
  if (specifier.startsWith("/") || specifier.includes("://") || specifier.startsWith("file:")) {
    return `${specifier}: import by relative path`;
  }
  if (specifier.startsWith("./") || specifier.startsWith("../")) {
    const to = posix.join(posix.dirname(from), specifier);
    const broken = tree.has(to) ? arrowBroken(from, to) : null;
    return broken === null ? null : `imports ${to}: ${broken}`;
  }
  const closed = packageBroken(from);
  if (closed !== null) return `imports ${specifier}: ${closed}`;
  if (!isProduct || isBuiltIn(specifier)) return null;
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  return dependencies.has(name) ? null : `imports ${name}, which is not among the dependencies of package.json`;
}

function isBuiltIn(specifier: string): boolean {
  return specifier.startsWith("node:") || specifier === "bun" || specifier.startsWith("bun:");
}

function checkMarks(path: string, source: Source, add: Add): void {
  for (const { mark, line } of source.marks) {
    const hasReason = source.comments.some((comment) => comment.lineEnd === line || comment.lineEnd === line - 1);
    if (mark === "only") add(path, line, "`.only` hides every other test");
    else if (!hasReason) add(path, line, `\`.${mark}\` needs a comment with the reason, on its line or the one above`);
  }
}

function checkRegexes(path: string, source: Source, add: Add): void {
  if (Object.keys(REGEX_ALLOWED).some((prefix) => path.startsWith(prefix))) return;
  for (const line of new Set(source.regexLines)) {
    add(
      path,
      line,
      "JavaScript's regular expressions fail open: write a scanner, or use re2js for an author's pattern",
    );
  }
}

function checkAdapters(tree: Tree, add: Add): void {
  const names = new Set<string>();
  for (const path of tree.keys()) {
    const [top, name, rest] = path.split("/");
    if (top === "adapters" && name !== undefined && rest !== undefined) names.add(name);
  }
  const index = tree.get("adapters/index.ts") ?? "";
  for (const name of names) {
    const isPlanned = !tree.has(`adapters/${name}/adapter.ts`) && tree.has(`adapters/${name}/vocabulary.ts`);
    if (isPlanned) {
      if (!tree.has(`adapters/${name}/README.md`)) add(`adapters/${name}`, 1, "a vocabulary has a README.md");
      if (!index.includes(`"./${name}/vocabulary.ts"`)) {
        add("adapters/index.ts", 1, `does not list the vocabulary ${name}`);
      }
      continue;
    }
    for (const file of ADAPTER_FILES) {
      if (!tree.has(`adapters/${name}/${file}`)) add(`adapters/${name}`, 1, `an adapter has a ${file}`);
    }
    if (!index.includes(`"./${name}/adapter.ts"`)) add("adapters/index.ts", 1, `does not list the adapter ${name}`);
  }
}
