/** Policy sets for tests: a small protocol's vocabulary, folders of policy files, sessions and operations to decide. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Identity, SubjectKind } from "../src/core/identity.ts";
import type { Access, Operation } from "../src/core/operation.ts";
import type { Session } from "../src/core/session.ts";
import type { Target } from "../src/core/target.ts";
import type { Vocabulary } from "../src/core/vocabulary.ts";

/** A made-up protocol with a key of every kind that the engine matches. */
export const TINY: Vocabulary = {
  name: "tiny",
  keys: {
    rooms: { kind: "names", description: "Where sessions take place.", ofSession: true },
    verbs: { kind: "enum", description: "What is done.", values: ["get", "put", "drop", "run"] },
    things: { kind: "names", description: "What it is done to." },
    parts: {
      kind: "names",
      description: "Parts of things.",
      segments: { names: ["thing", "part"], usualFirst: "main" },
    },
    pieces: {
      kind: "names",
      description: "Pieces of parts.",
      segments: { names: ["thing", "part", "piece"], usualFirst: "main" },
    },
    tools: { kind: "names", description: "Tools that are run.", permitsMustName: true },
    wide: { kind: "flag", description: "Done to everything." },
    words: { kind: "argv", description: "The words of a command." },
    texts: { kind: "contains", description: "Texts in which something is looked for.", guardsIgnoreCase: true },
    fields: { kind: "fields", description: "Values by the name of a field." },
    columns: {
      kind: "names",
      description: "What can be masked.",
      segments: { names: ["thing", "column"], usualFirst: "main" },
    },
  },
  sets: { builtin: ["sys.*"] },
  keeps: ["limit", "mask", "record", "session", "alert"],
};

/** A second protocol, to see that rules about one say nothing of the other. */
export const OTHER: Vocabulary = {
  name: "other",
  keys: { paths: { kind: "path", description: "Paths." } },
  sets: {},
  keeps: ["limit", "alert"],
};

export const TARGETS: readonly Target[] = [
  { name: "box", adapter: "tiny", labels: { env: "prod" }, settings: null },
  { name: "bag", adapter: "tiny", labels: { env: "test" }, settings: null },
  { name: "far", adapter: "other", labels: {}, settings: null },
];

export const NOW = Date.UTC(2027, 0, 1);

export const POLICY_YAML = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n";
const VOCABULARY_YAML = `apiVersion: weir.dev/v1
kind: Vocabulary
sets: { mine: [my.a, my.b], nested: [$mine, my.c] }
groups: { ops: ops, devs: "7f3c" }
patterns: { ticket: { pattern: "T-[0-9]+", match: [T-1], noMatch: [T] } }
windows: { day: { from: "08:00", to: "18:00", tz: Europe/Berlin } }
exceptions: { drill: { subject: { groups: [ops] }, reason: A drill. } }
`;

/** A file of permits or guards; `rules` is YAML, indented by nothing. */
export function rulesFile(kind: "Permits" | "Guards", rules: string, defaults = ""): string {
  const head = `apiVersion: weir.dev/v1\nkind: ${kind}\n${defaults === "" ? "" : `defaults: ${defaults}\n`}`;
  return `${head}rules:\n${rules.trimEnd()}\n`;
}

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A policy set with the common files and these; each may be replaced. */
export function setOf(files: Files): Files {
  return { "policy.yaml": POLICY_YAML, "vocabulary.yaml": VOCABULARY_YAML, ...files };
}

export function writeFiles(dir: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
}

/** Runs `use` with a new folder that holds the files, and removes it. */
export async function withFolder<T>(files: Files, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "weir-policy-"));
  try {
    writeFiles(dir, files);
    return await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export function identity(kind: SubjectKind, subject: string, groups: readonly string[] = [], owner?: string): Identity {
  const proof = { method: "token", credential: "t1", expiresAtMs: null } as const;
  return { kind, issuer: "test", subject, groups, ...(owner === undefined ? {} : { owner }), proof };
}

export function session(who: Identity, targetName = "box"): Session {
  const target = TARGETS.find((each) => each.name === targetName);
  if (target === undefined) throw new Error(`no target ${targetName}`);
  return { id: "s1", identity: who, target, openedAtMs: NOW, source: "127.0.0.1" };
}

export function operation(within: Session, accesses: Operation["accesses"], understood?: boolean): Operation {
  return {
    id: "op-1",
    session: within,
    kind: "do",
    accesses,
    understood: understood ?? !accesses.some((access) => access.opaque === true),
    text: "",
    textSha256: null,
    catalogDigest: null,
  };
}

export function access(more: Partial<Access> = {}): Access {
  return { class: "read", facts: {}, ...more };
}
