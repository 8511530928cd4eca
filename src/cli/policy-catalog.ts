/** `weir policy catalog pull`: writes what the targets hold into the policy folder, and says what has changed. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ADAPTERS } from "../../adapters/index.ts";
import { hintFor } from "../config/suggest.ts";
import { isRefusal } from "../core/decision.ts";
import type { CatalogTarget } from "../core/policy-tools.ts";
import type { Door } from "../core/ports.ts";
import type { Target } from "../core/target.ts";
import { messageOf } from "../core/message-of.ts";
import { catalogPath, formatCatalogTarget, makeCatalogTarget, readCatalog } from "../policy/set/catalog.ts";
import { catalogChange } from "../policy/set/catalog-change.ts";
import type { CatalogChange, KeyChange } from "../policy/set/catalog-change.ts";
import { CATALOG_FILE_BYTES_MAX } from "../policy/set/folder.ts";
import { printable } from "./audit-lines.ts";
import { CommandError } from "./command.ts";
import type { Command } from "./command.ts";
import { ownersDoor } from "./owners-door.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";

/** Connecting and reading everything, of one target. */
const PULL_TIME_MS_MAX = 120_000;
const NAMES_SHOWN_MAX = 20;

type Pulled =
  | { readonly name: string; readonly state: "failed"; readonly problem: string }
  | { readonly name: string; readonly state: "new" | "unchanged"; readonly target: CatalogTarget }
  | {
      readonly name: string;
      readonly state: "changed";
      readonly target: CatalogTarget;
      readonly change: CatalogChange | null;
    };

export const policyCatalogPullCommand: Command = {
  words: ["policy", "catalog", "pull"],
  summary: "Write what the targets hold (databases, relations, columns, functions) into the policy folder",
  positionals: [{ name: "TARGET", kind: "list", description: "all targets of the configuration when left out" }],
  options: [
    ...POLICY_OPTIONS,
    { name: "check", description: "write nothing, and end with 1 when a file is not as the target is now" },
  ],
  notes: [
    "Writes catalog/TARGET.json; commit the files. Rules are checked against them, and tests and explain read SQL with them.",
    "Files of targets that this configuration does not know stay as they are.",
    "",
    'JSON: {"ok", "targets": [{"name", "state": "new|changed|unchanged|failed", "digest", "change", "problem"}]}',
  ],
  run: async (args, terminal) => {
    const { folder, config } = policyPlace(args, terminal);
    if (config === null) {
      throw new CommandError("targets are in the configuration", "Name it with --config, beside --policies.");
    }
    const targets = chosen(config.targets, args.rest);
    const door = ownersDoor(config, "weir policy catalog pull");
    const results: Pulled[] = [];
    for (const target of targets) {
      const result = await pullOne(door, target, folder);
      results.push(result);
      if (!args.flag("check") && (result.state === "new" || result.state === "changed")) write(folder, result.target);
      if (!args.isJson) for (const line of linesOf(result)) terminal.out(printable(line));
    }
    const isGood = results.every(({ state }) => state === "unchanged" || (!args.flag("check") && state !== "failed"));
    if (args.isJson) terminal.out(JSON.stringify({ ok: isGood, targets: results.map(jsonOf) }));
    return isGood ? 0 : 1;
  },
};

function chosen(configured: readonly Target[], asked: readonly string[]): readonly Target[] {
  const known = configured.map(({ name }) => name);
  const unknown = asked.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new CommandError(`there is no target ${unknown}${hintFor(unknown, known)}`, "weir.yaml lists the targets.");
  }
  return configured.filter(({ name }) => asked.length === 0 || asked.includes(name));
}

async function pullOne(door: Door, target: Target, folder: string): Promise<Pulled> {
  const { name, adapter, labels } = target;
  const failed = (problem: string): Pulled => ({ name, state: "failed", problem });
  const tools = ADAPTERS.find((each) => each.name === adapter)?.policy;
  if (tools === undefined) return failed(`there is no adapter for ${adapter}`);
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), PULL_TIME_MS_MAX);
  try {
    const pulled = await Promise.race([tools.pull(door, target), late.promise]);
    if (pulled === null) return failed(`it could not be read within ${PULL_TIME_MS_MAX} ms`);
    if (isRefusal(pulled)) return failed(`${pulled.message}. ${pulled.hint}`.trim());
    const after = makeCatalogTarget({ name, adapter, labels, ...pulled });
    const bytes = Buffer.byteLength(formatCatalogTarget(after));
    if (bytes > CATALOG_FILE_BYTES_MAX) {
      return failed(`its catalog has ${bytes} bytes, and a file may have ${CATALOG_FILE_BYTES_MAX}`);
    }
    return compare(after, folder);
  } finally {
    clearTimeout(timer);
  }
}

/** With the file that is there; one that cannot be read is replaced. */
function compare(after: CatalogTarget, folder: string): Pulled {
  const { name } = after;
  const path = catalogPath(name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(join(folder, path));
  } catch {
    return { name, state: "new", target: after };
  }
  const before = readCatalog([{ path, bytes }]).catalog.targets.get(name);
  if (before === undefined) return { name, state: "changed", target: after, change: null };
  const change = catalogChange(before, after);
  if (change !== null) return { name, state: "changed", target: after, change };
  const isWritten = formatCatalogTarget(after) === new TextDecoder().decode(bytes);
  return isWritten
    ? { name, state: "unchanged", target: after }
    : { name, state: "changed", target: after, change: null };
}

/** Whole or not at all: the gateway may be reading. */
function write(folder: string, target: CatalogTarget): void {
  const file = join(folder, catalogPath(target.name));
  const aside = join(dirname(file), `.${target.name}.${process.pid}`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(aside, formatCatalogTarget(target));
    renameSync(aside, file);
  } catch (error) {
    rmSync(aside, { force: true });
    throw new CommandError(`${file} cannot be written: ${messageOf(error)}`);
  }
}

function linesOf(pulled: Pulled): string[] {
  switch (pulled.state) {
    case "failed":
      return [`${pulled.name}: failed: ${pulled.problem}`];
    case "new":
      return [`${pulled.name}: new, ${sizesOf(pulled.target)}`];
    case "unchanged":
      return [`${pulled.name}: unchanged`];
    case "changed": {
      const { change } = pulled;
      if (change === null) return [`${pulled.name}: changed: the file was not as this version writes it`];
      if (change.onlyDetail) return [`${pulled.name}: changed: types, kinds or settings, but no names`];
      const keys = change.labels === null ? change.names : [change.labels, ...change.names];
      return [`${pulled.name}: changed`, ...keys.flatMap(keyLines)];
    }
  }
}

function sizesOf({ names }: CatalogTarget): string {
  return Object.entries(names)
    .map(([key, list]) => `${list.length} ${key}`)
    .join(", ");
}

function keyLines({ key, added, removed }: KeyChange): string[] {
  const lines = [...removed.map((name) => `  - ${key} ${name}`), ...added.map((name) => `  + ${key} ${name}`)];
  if (lines.length <= NAMES_SHOWN_MAX) return lines;
  return [...lines.slice(0, NAMES_SHOWN_MAX), `  and ${lines.length - NAMES_SHOWN_MAX} more ${key}`];
}

function jsonOf(pulled: Pulled): object {
  const { name, state } = pulled;
  if (state === "failed") return { name, state, digest: null, change: null, problem: pulled.problem };
  const change = pulled.state === "changed" ? pulled.change : null;
  return { name, state, digest: pulled.target.digest, change, problem: null };
}
