/** Reads weir.yaml: YAML, references, schema, promises, in this order, and reports all problems of a stage at once. */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import * as v from "valibot";
import type { Target } from "../core/target.ts";
import { listsForMaps } from "./shape.ts";
import type { AuditConfig, Config, Listener, ListenerTls, S3Copy } from "./config.ts";
import { complaintsOf, isUnknownKey, problemOf, valueAt } from "./explain.ts";
import type { Complaint } from "./explain.ts";
import type { Problem, ProblemCode } from "./problem.ts";
import { promiseProblems } from "./promises.ts";
import { resolveReferences } from "./references.ts";
import type { Resolved } from "./references.ts";
import { configSchema } from "./schema.ts";
import type { ConfigFile, TargetSchemas } from "./schema.ts";
import { readSource } from "./source.ts";
import type { Path, Source, Value } from "./source.ts";

export type LoadOptions = {
  /** The shape of the target sections of the adapters that are there. */
  readonly adapters: TargetSchemas;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** `config` is null exactly when one of the problems is an error. */
export type Loaded = {
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  /** A problem found later, at the key that caused it: `["targets", "orders"]`. */
  problemAt(severity: Problem["severity"], code: ProblemCode, path: Path, message: string): Problem;
};

const FILE_BYTES_MAX = 1_048_576;

/** Reads and checks a configuration file. Never throws: what goes wrong is a problem. */
export function loadConfig(file: string, options: LoadOptions): Loaded {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return failed(file, "is not a file");
    if (stat.size > FILE_BYTES_MAX) return failed(file, `is larger than ${FILE_BYTES_MAX} bytes`);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
    return parseConfig(text, file, options);
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      if (error.code === "ENOENT") return failed(file, "there is no such file; name yours with --config FILE");
      if (error.code === "EACCES") return failed(file, "cannot be read: permission denied");
      if (error.code === "ERR_ENCODING_INVALID_ENCODED_DATA") return failed(file, "is not UTF-8 text");
    }
    return failed(file, `cannot be read: ${error instanceof Error ? error.message : "unknown error"}`);
  }
}

function failed(file: string, message: string): Loaded {
  const problem: Problem = { severity: "error", code: "UNREADABLE", file, line: null, column: null, message };
  return {
    config: null,
    problems: [problem],
    problemAt: (severity, code, _path, about) => ({ severity, code, file, line: null, column: null, message: about }),
  };
}

/** Checks the text of a configuration; relative paths start from the folder of `file`. */
export function parseConfig(text: string, file: string, options: LoadOptions): Loaded {
  const source = readSource(text, file);
  const problemAt: Loaded["problemAt"] = (severity, code, path, message) =>
    source.at(severity, code, "key", path, message);
  if (source.problems.length > 0) return { config: null, problems: source.problems, problemAt };
  const schema = configSchema(options.adapters);
  const folder = dirname(resolve(file));
  const resolved = resolveReferences(source, schema, { env: options.env, folder });
  const checked = validate(schema, source, resolved.value, resolved.referenced, resolved.missing);
  const problems = [...resolved.problems, ...checked.problems];
  if (checked.output === null || problems.length > 0) return { config: null, problems: inOrder(problems), problemAt };
  const promises = promiseProblems(checked.output, source, options.adapters);
  if (promises.some((problem) => problem.severity === "error")) {
    return { config: null, problems: inOrder(promises), problemAt };
  }
  const targets = readTargets(checked.output, resolved, schema, source, options.adapters);
  if (targets.problems.length > 0) return { config: null, problems: inOrder(targets.problems), problemAt };
  const digest = createHash("sha256").update(text).digest("hex");
  const config = { ...assemble(checked.output, file, folder, targets.found), digest };
  return { config, problems: inOrder(promises), problemAt };
}

/**
 * Checks until nothing new turns up: the schema library stops at the first unknown key of a map, so each is taken out
 * and the check repeated; and text from a reference becomes a number or a flag where the schema wants one.
 */
function validate(
  schema: ReturnType<typeof configSchema>,
  source: Source,
  tree: Value,
  referenced: ReadonlySet<string>,
  missing: ReadonlySet<string>,
): { output: ConfigFile | null; problems: Problem[] } {
  const lists = listsForMaps(schema, tree);
  const problems = lists.map((path) => {
    const message = `${path.length === 0 ? "the file" : path.join(".")}: expected a map, found a list`;
    return source.at("error", "WRONG_TYPE", "value", path, message);
  });
  for (;;) {
    const result = v.safeParse(schema, tree);
    if (result.success) return { output: problems.length === 0 ? result.output : null, problems };
    const complaints = complaintsOf(result.issues).filter(({ path }) => !lists.some((list) => isWithin(path, list)));
    let isChanged = false;
    for (const complaint of complaints) {
      if (isUnknownKey(complaint)) {
        problems.push(problemOf(complaint, source, schema, false));
        isChanged = remove(tree, complaint.path) || isChanged;
      } else if (referenced.has(JSON.stringify(complaint.path))) {
        isChanged = convert(tree, complaint) || isChanged;
      }
    }
    if (isChanged) continue;
    for (const complaint of complaints) {
      const key = JSON.stringify(complaint.path);
      if (!missing.has(key)) problems.push(problemOf(complaint, source, schema, referenced.has(key)));
    }
    return { output: null, problems };
  }
}

function isWithin(path: Path, folder: Path): boolean {
  return folder.every((step, index) => path[index] === step);
}

function remove(tree: Value, path: Path): boolean {
  const parent = valueAt(tree, path.slice(0, -1));
  if (parent === null || typeof parent !== "object" || Array.isArray(parent)) return false;
  return Reflect.deleteProperty(parent, String(path.at(-1)));
}

function convert(tree: Value, complaint: Complaint): boolean {
  const parent = valueAt(tree, complaint.path.slice(0, -1));
  const value = valueAt(tree, complaint.path);
  const last = complaint.path.at(-1);
  if (parent === null || typeof parent !== "object" || typeof value !== "string" || last === undefined) return false;
  const expected = complaint.issue.kind === "schema" ? complaint.issue.expected : null;
  let converted: number | boolean;
  if (expected === "number" && isDecimal(value)) converted = Number(value);
  else if (expected === "boolean" && (value === "true" || value === "false")) converted = value === "true";
  else return false;
  if (Array.isArray(parent)) parent[Number(last)] = converted;
  else parent[String(last)] = converted;
  return true;
}

function isDecimal(text: string): boolean {
  if (text.length === 0 || text.length > 15) return false;
  for (const char of text) if (char < "0" || char > "9") return false;
  return true;
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/**
 * The targets that this version serves, with their adapters' settings. Each part was found good by itself; here the
 * adapters say what does not go together.
 */
function readTargets(
  file: ConfigFile,
  resolved: Resolved,
  schema: ReturnType<typeof configSchema>,
  source: Source,
  adapters: TargetSchemas,
): { found: Target[]; problems: Problem[] } {
  const found: Target[] = [];
  const problems: Problem[] = [];
  for (const [name, { labels }] of Object.entries(file.targets)) {
    const base = ["targets", name];
    const written = valueAt(resolved.value, base);
    if (written === undefined || written === null || typeof written !== "object" || Array.isArray(written)) continue;
    const adapter = Object.keys(adapters).find((each) => written[each] !== undefined);
    const shape = adapter === undefined ? undefined : adapters[adapter];
    // Targets of protocols that this version does not speak are left out, as the warnings about them say.
    if (adapter === undefined || shape === undefined) continue;
    const { masking } = written;
    const parts = { [adapter]: written[adapter], ...(masking === undefined ? {} : { masking }) };
    const result = v.safeParse(shape.settings, parts);
    if (result.success) found.push({ name, adapter, labels, settings: result.output });
    else {
      for (const complaint of complaintsOf(result.issues, base)) {
        const isSecret = resolved.referenced.has(JSON.stringify(complaint.path));
        problems.push(problemOf(complaint, source, schema, isSecret));
      }
    }
  }
  return { found, problems };
}

function assemble(file: ConfigFile, path: string, folder: string, targets: readonly Target[]): Omit<Config, "digest"> {
  const listeners: Listener[] = [];
  const postgres = file.listen.postgres;
  if (postgres !== undefined) {
    listeners.push({ adapter: "postgres", host: postgres.host, port: postgres.port, tls: listenerTls(postgres.tls) });
  }
  const { ssh } = file.listen;
  if (ssh !== undefined) listeners.push({ adapter: "ssh", ...ssh, tls: "off" });
  const { loginTime, drainTime, ...counts } = file.limits;
  return {
    name: file.name,
    file: resolve(path),
    data: absolute(folder, file.data),
    policies: absolute(folder, typeof file.policies === "string" ? file.policies : file.policies.git),
    listeners,
    keys: file.identity.keys.map(({ publicKey, owner, ...who }) => ({
      ...who,
      owner: owner ?? null,
      blob: publicKey.blob,
    })),
    targets,
    limits: { ...counts, loginTimeMs: loginTime, drainTimeMs: drainTime },
    audit: auditConfig(file.audit),
  };
}

function auditConfig(audit: ConfigFile["audit"]): AuditConfig {
  const { durability, seal, witnesses, witnessLagSecondsMax, cosign, stamps, retention, ship, streams } = audit;
  return {
    durability,
    seal: seal ?? null,
    witnesses: witnesses.map(({ url, key, ca }) => ({ url, key, ca: ca ?? null })),
    witnessLagMsMax: witnessLagSecondsMax === undefined ? null : witnessLagSecondsMax * 1000,
    cosign: cosign === undefined ? null : { ...cosign, tls: listenerTls(cosign.tls) },
    stamps: stamps === undefined ? null : { url: stamps.url, everyMs: stamps.every, ca: stamps.ca ?? null },
    retentionMs: retention ?? null,
    ship: {
      libsql: ship.libsql === undefined ? null : { url: ship.libsql.url, token: ship.libsql.token ?? null },
      s3: ship.s3 === undefined ? null : s3Copy(ship.s3),
    },
    streams: {
      syslog: streams.syslog === undefined ? null : { ...streams.syslog, ca: streams.syslog.ca ?? null },
      otlp: streams.otlp ?? null,
    },
  };
}

function s3Copy({ lock, ...rest }: NonNullable<ConfigFile["audit"]["ship"]["s3"]>): S3Copy {
  return { ...rest, lockMs: lock ?? null };
}

function absolute(folder: string, path: string): string {
  return isAbsolute(path) ? path : resolve(folder, path);
}

function listenerTls(tls: "auto" | "off" | { cert: string; key: string; clientCa?: string | undefined }): ListenerTls {
  if (typeof tls === "string") return tls;
  const { cert, key, clientCa } = tls;
  return clientCa === undefined ? { cert, key } : { cert, key, clientCa };
}
