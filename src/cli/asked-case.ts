/** What the options of `weir policy explain` ask, as a case of a test: read, checked and sent as tests are. */
import { KEEPS, VOCABULARIES } from "../../adapters/index.ts";
import type { Target } from "../core/target.ts";
import { hintFor } from "../config/suggest.ts";
import { readFolder } from "../policy/set/folder.ts";
import type { Folder } from "../policy/set/folder.ts";
import { compileFolder } from "../policy/load.ts";
import type { LoadedSet } from "../policy/load.ts";
import { hasErrors } from "../policy/problems.ts";
import { Source } from "../policy/language/source.ts";
import type { TestCase } from "../policy/tests/test-file.ts";
import { TEXT_KEYS } from "../policy/tests/test-schema.ts";
import type { TextKey } from "../policy/tests/test-schema.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Option } from "./command.ts";
import { policyProblemLines } from "./policy-problems.ts";

/** Its name is that of no file that an author could write, because it is hidden. */
const ASKED_FILE = "tests/.asked.yaml";
const KINDS: ReadonlySet<string> = new Set(["human", "agent", "service"]);

const TEXTS: Readonly<Record<TextKey, string>> = {
  sql: "a statement, or several",
  exec: "a command",
  sftp: "a file operation: get /path, put /path, rm /path, rename /from /to, ...",
  shell: "a shell: pty or plain",
  forward: "a forwarded connection, as HOST:PORT",
  mcp: "a JSON-RPC request, as JSON",
  http: "a request, as JSON",
};

export const ASKING_OPTIONS: readonly Option[] = [
  {
    name: "as",
    value: "S",
    description: "who asks: somebody of the tests' people, or any name with --kind or --groups",
  },
  { name: "kind", value: "KIND", description: "human, agent or service; human when left out" },
  { name: "groups", value: "A,B", description: "the groups of who asks, as vocabulary.yaml calls them" },
  { name: "owner", value: "O", description: "the owner of an agent or service" },
  { name: "on", value: "TARGET", description: "the target, or TARGET.DATABASE, TARGET.LOGIN" },
  ...TEXT_KEYS.map((key): Option => ({ name: key, value: "TEXT", description: TEXTS[key] })),
  { name: "accesses", value: "JSON", description: "accesses as tests write them, where no adapter reads the text" },
  { name: "at", value: "INSTANT", description: "when; now when left out" },
  { name: "grants", value: "RULE,RULE", description: "permits that a grant has woken" },
];

export type AskedCase = { readonly set: LoadedSet; readonly asked: TestCase };

/** Loads the set with the case beside its tests. Throws UsageError and CommandError. */
export async function loadAsked(
  args: Arguments,
  policies: string,
  targets: readonly Target[] | null,
): Promise<AskedCase> {
  const folder = await readFolder(policies);
  const bytes = new TextEncoder().encode(JSON.stringify(askedFile(args, folder)));
  const files = [...folder.files, { path: ASKED_FILE, bytes, sha256: "" }];
  const set = await compileFolder({ ...folder, files }, VOCABULARIES, targets, KEEPS);
  if (hasErrors(set.problems)) {
    const errors = set.problems.filter(({ severity }) => severity === "error");
    const ofSet = errors.filter(({ file }) => file !== ASKED_FILE);
    if (ofSet.length > 0) {
      const lines = policyProblemLines(ofSet, policies).join("\n      ");
      throw new CommandError(`the policies have errors:\n      ${lines}`, "weir policy check shows them alone.");
    }
    const [first] = errors;
    throw new UsageError(
      first?.message ?? "",
      first?.suggestion === "" ? "See weir policy explain --help" : first?.suggestion,
    );
  }
  const asked = set.tests.find(({ file }) => file === ASKED_FILE);
  if (asked === undefined) throw new CommandError("the question could not be read");
  return { set: { ...set, folder }, asked };
}

function askedFile(args: Arguments, folder: Folder): object {
  const name = args.required("as");
  const sent = [...TEXT_KEYS, "accesses"].filter((key) => args.text(key) !== undefined);
  const [only, ...others] = sent;
  if (others.length > 0) throw new UsageError(`--${sent.join(" and --")} are one too many`, "Ask one thing at a time.");
  const at = args.text("at");
  const grants = args.text("grants");
  const asked = {
    as: name,
    target: args.required("on"),
    ...(only === undefined ? { connect: true } : { [only]: sentValue(only, args.required(only)) }),
    ...(at === undefined ? {} : { at }),
    ...(grants === undefined ? {} : { grants: grants.split(",") }),
    expect: "permit",
  };
  return { apiVersion: "weir.dev/v1", kind: "Tests", people: { [name]: person(args, name, folder) }, cases: [asked] };
}

/** SQL and commands are texts; what is JSON is given as such. */
function sentValue(key: string, text: string): unknown {
  if (key !== "mcp" && key !== "http" && key !== "accesses") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`--${key} is not JSON`, `Quote it for the shell: --${key} '...'`);
  }
}

function person(args: Arguments, name: string, folder: Folder): object {
  const [kind, groups, owner] = [args.text("kind"), args.text("groups"), args.text("owner")];
  if (kind !== undefined && !KINDS.has(kind)) {
    throw new UsageError(`--kind is agent, human or service, not ${kind}`, "See weir policy explain --help");
  }
  const people = peopleOf(folder);
  const known = people.get(name);
  if (known === undefined && kind === undefined && groups === undefined) {
    throw new UsageError(
      `the tests know nobody called ${name}${hintFor(name, [...people.keys()])}`,
      "Name somebody of their people, or say who it is with --kind and --groups.",
    );
  }
  return {
    kind: "human",
    ...known,
    ...(kind === undefined ? {} : { kind }),
    ...(groups === undefined ? {} : { groups: groups.split(",") }),
    ...(owner === undefined ? {} : { owner }),
  };
}

/** The people of all test files, as they are written; of two by the same name, the first. */
function peopleOf(folder: Folder): ReadonlyMap<string, object> {
  const people = new Map<string, object>();
  for (const { path, bytes } of folder.files.filter((file) => file.path.startsWith("tests/"))) {
    const { value } = new Source(path, bytes);
    const written = isMap(value) ? value["people"] : undefined;
    if (!isMap(written)) continue;
    for (const [name, each] of Object.entries(written)) if (isMap(each) && !people.has(name)) people.set(name, each);
  }
  return people;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
