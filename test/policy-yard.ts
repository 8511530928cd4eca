/** A made-up protocol with a key of every kind and every trait, and sets about it, for the checks of whole sets. */
import type { AccessClass } from "../src/core/operation.ts";
import { OBLIGATION_KINDS } from "../src/core/obligation.ts";
import type { Vocabulary } from "../src/core/vocabulary.ts";
import { catalogPath, formatCatalogTarget, makeCatalogTarget } from "../src/policy/set/catalog.ts";
import { compileFolder } from "../src/policy/load.ts";
import type { LoadedSet } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";
import type { ProblemCode } from "../src/policy/problems.ts";
import { POLICY_YAML } from "./policy-sets.ts";

const CLASS_OF: Readonly<Record<string, AccessClass>> = { get: "read", put: "write", drop: "define" };

const YARD: Vocabulary = {
  name: "yard",
  keys: {
    rooms: { kind: "names", description: "Where sessions take place.", ofSession: true },
    verbs: {
      kind: "enum",
      description: "What is done.",
      values: [...Object.keys(CLASS_OF), "peek"],
      classOf: CLASS_OF,
    },
    things: { kind: "names", description: "What it is done to." },
    columns: { kind: "names", description: "Columns of things." },
    tools: { kind: "names", description: "Tools that are run.", permitsMustName: true },
    programs: { kind: "names", description: "Programs.", looseWithout: "argv" },
    wide: { kind: "flag", description: "Done to everything." },
    paths: { kind: "path", description: "Files.", guardsIgnoreCase: true },
    argv: { kind: "argv", description: "The words of a command." },
    says: { kind: "contains", description: "Texts.", guardsIgnoreCase: true },
    args: { kind: "fields", description: "Arguments.", guardsIgnoreCase: true },
  },
  sets: {},
  keeps: OBLIGATION_KINDS,
};
const SHED: Vocabulary = {
  name: "shed",
  keys: { things: { kind: "names", description: "Things." } },
  sets: {},
  keeps: OBLIGATION_KINDS,
};
export const YARD_VOCABULARIES = [YARD, SHED];

export const YARD_TARGETS = [
  { name: "box", adapter: "yard", labels: { env: "prod" }, settings: null },
  { name: "bag", adapter: "yard", labels: { env: "test" }, settings: null },
  { name: "hut", adapter: "shed", labels: { env: "prod" }, settings: null },
];

const VOCABULARY = {
  apiVersion: "weir.dev/v1",
  kind: "Vocabulary",
  groups: { ops: "00-ops", devs: "00-devs" },
  patterns: { secret: { pattern: "sk-[a-z]+", match: ["sk-abc"], noMatch: ["abc"] } },
  windows: { office: { days: ["mon-fri"], from: "08:00", to: "18:00" } },
};

export type Written = Readonly<Record<string, unknown>>;
/** Rules as authors write them, with the catalog of `box`: names by key. */
export type YardSet = {
  readonly permits?: readonly Written[];
  readonly guards?: readonly Written[];
  readonly listed?: Readonly<Record<string, readonly string[]>>;
  readonly unlisted?: Readonly<Record<string, readonly string[]>>;
  /** False: the configuration is not known, as in a folder of policies alone. */
  readonly knowsTargets?: boolean;
};

const encoder = new TextEncoder();

/** Loads the set as the gateway would. What a permit leaves out is for ops on every target. */
export function loadYard({
  permits = [],
  guards = [],
  listed,
  unlisted,
  knowsTargets = true,
}: YardSet): Promise<LoadedSet> {
  const file = (path: string, content: unknown) => ({
    path,
    // JSON is YAML.
    bytes: encoder.encode(typeof content === "string" ? content : JSON.stringify(content)),
    sha256: "",
  });
  const files = [file("policy.yaml", POLICY_YAML), file("vocabulary.yaml", VOCABULARY)];
  const head = { apiVersion: "weir.dev/v1" };
  const defaults = { subject: { groups: ["ops"] }, target: { any: true } };
  if (permits.length > 0) files.push(file("permits/a.yaml", { ...head, kind: "Permits", defaults, rules: permits }));
  if (guards.length > 0) files.push(file("guards/a.yaml", { ...head, kind: "Guards", rules: guards }));
  if (listed !== undefined) {
    const box = {
      name: "box",
      adapter: "yard",
      labels: { env: "prod" },
      names: listed,
      unlisted: unlisted ?? {},
      detail: null,
    };
    files.push(file(catalogPath("box"), formatCatalogTarget(makeCatalogTarget(box))));
  }
  const folder = { realDir: "/", files, digest: "", problems: [] };
  return compileFolder(folder, YARD_VOCABULARIES, knowsTargets ? YARD_TARGETS : null);
}

/** What the checks say of the set under this code, without places and code; throws when the set has errors. */
export async function warningsOf(set: YardSet, code: ProblemCode): Promise<readonly string[]> {
  const { problems } = await loadYard(set);
  if (hasErrors(problems)) throw new Error(problems.map(formatProblem).join("\n"));
  const found = problems.filter((problem) => problem.code === code);
  return found.map(({ message, suggestion }) => (suggestion === "" ? message : `${message}. ${suggestion}`));
}

/** A permit called `p`. */
export function permit(action: unknown, more: Written = {}): Written {
  return { id: "p", action, ...more };
}

/** A guard called `g` that denies. */
export function guard(action: unknown, more: Written = {}): Written {
  return { id: "g", action, deny: "No.", ...more };
}
