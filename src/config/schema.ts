/** The shape of weir.yaml: one strict tree, to which each adapter lends the shape of its own targets. */
import * as v from "valibot";
import { DURATION_RULE, parseDuration, parseSize, SIZE_RULE } from "./units.ts";

/** The shape of one adapter's section in a target, by the adapter's name. */
export type TargetSchemas = Readonly<Record<string, v.GenericSchema>>;

const NAME_CHARS_MAX = 63;
const SECOND_MS = 1_000;
const KIB = 1_024;

/** A name of a target or a subject: `[a-z0-9-]+`, at most 63 characters. */
function isName(text: string): boolean {
  if (text.length === 0 || text.length > NAME_CHARS_MAX) return false;
  for (const char of text) {
    if (!(char >= "a" && char <= "z") && !(char >= "0" && char <= "9") && char !== "-") return false;
  }
  return true;
}

const NAME_RULE = `a name is made of a-z, 0-9 and "-", at most ${NAME_CHARS_MAX} characters`;

const text = v.pipe(v.string(), v.nonEmpty("must not be empty"));
const name = v.pipe(v.string(), v.check(isName, NAME_RULE));
const texts = v.array(text);
const pem = v.pipe(
  v.string(),
  v.check((value) => value.includes("-----BEGIN "), "expected PEM text; to read it from a file write { file: PATH }"),
);
const port = v.pipe(
  v.number(),
  v.integer("a port is a whole number"),
  v.minValue(0, "a port is at least 0 (0: any free one)"),
  v.maxValue(65_535, "a port is at most 65535"),
);
const kind = v.picklist(["human", "agent", "service"]);
const url = v.pipe(
  v.string(),
  v.check((value) => {
    const parsed = URL.parse(value);
    return parsed !== null && (parsed.protocol === "https:" || parsed.protocol === "http:");
  }, "expected an http or https URL"),
);

/** The origin of a log: a host name, or words joined by `.`, `-`, `_`. */
const origin = v.pipe(
  v.string(),
  v.check(
    isOrigin,
    'the gateway\'s name is made of letters, digits, ".", "-" and "_", at most 253 characters, such as gw-1.example.com',
  ),
);

function isOrigin(value: string): boolean {
  if (value.length === 0 || value.length > 253) return false;
  for (const char of value) {
    const isLetter = (char >= "a" && char <= "z") || (char >= "A" && char <= "Z");
    if (!isLetter && !(char >= "0" && char <= "9") && char !== "." && char !== "-" && char !== "_") return false;
  }
  return true;
}

function duration(minMs: number, maxMs: number, range: string) {
  return v.pipe(
    v.string(DURATION_RULE),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseDuration(dataset.value);
      if (parsed.ok && parsed.value >= minMs && parsed.value <= maxMs) return parsed.value;
      addIssue({ message: parsed.ok ? `must be ${range}` : parsed.message });
      return NEVER;
    }),
  );
}

function size(minBytes: number, maxBytes: number, range: string) {
  return v.pipe(
    v.string(SIZE_RULE),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseSize(dataset.value);
      if (parsed.ok && parsed.value >= minBytes && parsed.value <= maxBytes) return parsed.value;
      addIssue({ message: parsed.ok ? `must be ${range}` : parsed.message });
      return NEVER;
    }),
  );
}

function count(max: number) {
  return v.pipe(
    v.number(),
    v.integer("must be a whole number"),
    v.minValue(1, "must be at least 1"),
    v.maxValue(max, `must be at most ${max}`),
  );
}

const listenerTls = v.union([
  v.picklist(["auto", "off"]),
  v.strictObject({ cert: pem, key: pem, clientCa: v.optional(pem) }),
]);

const listen = v.strictObject({
  postgres: v.optional(
    v.strictObject({
      host: v.optional(text, "127.0.0.1"),
      port: v.optional(port, 6432),
      tls: v.optional(listenerTls, "auto"),
    }),
  ),
  ssh: v.optional(v.strictObject({ host: v.optional(text, "127.0.0.1"), port: v.optional(port, 6422) })),
  http: v.optional(
    v.strictObject({
      host: v.optional(text, "127.0.0.1"),
      port: v.optional(port, 6480),
      tls: v.optional(listenerTls, "auto"),
      publicUrl: v.optional(url),
    }),
  ),
});

const identity = v.strictObject({
  oidc: v.optional(
    v.array(
      v.strictObject({
        name,
        issuer: url,
        audience: text,
        clientId: v.optional(text),
        groupsClaim: v.optional(text),
        subjectClaim: v.optional(text),
        groupsAllowed: v.optional(texts),
        claims: v.optional(v.record(v.string(), text)),
        kind,
      }),
    ),
    [],
  ),
  saml: v.optional(v.array(v.record(v.string(), v.unknown())), []),
  keys: v.optional(
    v.array(
      v.strictObject({ subject: name, kind, groups: v.optional(texts, []), publicKey: text, owner: v.optional(name) }),
    ),
    [],
  ),
});

const masking = v.strictObject({
  mode: v.picklist(["guarded", "inline"]),
  user: v.optional(text),
  password: v.optional(text),
  searchPath: v.optional(texts, []),
  safeFunctions: v.optional(texts, []),
  listenChannels: v.optional(texts, []),
});

/** Targets of protocols whose adapters are not part of this version: read, so that one file serves several versions. */
const LATER_TARGETS: TargetSchemas = {
  ssh: v.strictObject({
    host: text,
    port: v.optional(port, 22),
    user: text,
    key: v.optional(text),
    password: v.optional(text),
    hostKeys: texts,
    shell: v.optional(v.picklist(["posix"])),
  }),
  mcp: v.strictObject({ url, headers: v.optional(v.record(v.string(), text), {}) }),
  http: v.strictObject({ url, headers: v.optional(v.record(v.string(), text), {}) }),
};

const limits = v.strictObject({
  sessionsMax: v.optional(count(1_000_000), 2_000),
  sessionsPerSubjectMax: v.optional(count(1_000_000), 200),
  loginTime: v.optional(duration(SECOND_MS, 600 * SECOND_MS, "from 1s to 10m"), "10s"),
  statementBytesMax: v.optional(size(KIB, 16 * KIB * KIB, "from 1KiB to 16MiB"), "256KiB"),
  drainTime: v.optional(duration(0, 3_600 * SECOND_MS, "from 0s to 1h"), "30s"),
});

const audit = v.strictObject({
  durability: v.optional(v.picklist(["strict", "release", "relaxed"]), "strict"),
  seal: v.optional(v.strictObject({ recipients: v.pipe(texts, v.minLength(1, "needs at least one recipient")) })),
  witnesses: v.optional(v.array(v.record(v.string(), v.unknown())), []),
});

/** The schema of one target: labels, and exactly one adapter's section. */
function targetSchema(sections: TargetSchemas) {
  const adapters = Object.keys(sections);
  const optionalSections: Record<string, v.GenericSchema> = {};
  for (const [adapter, section] of Object.entries(sections)) optionalSections[adapter] = v.optional(section);
  return v.pipe(
    v.strictObject({
      labels: v.optional(v.record(v.string(), text), {}),
      masking: v.optional(masking),
      ...optionalSections,
    }),
    v.rawCheck(({ dataset, addIssue }) => {
      const said = adapters.filter(
        (adapter) =>
          typeof dataset.value === "object" && dataset.value !== null && Object.hasOwn(dataset.value, adapter),
      );
      if (said.length === 0) addIssue({ message: `says no protocol; add one of ${adapters.join(", ")}` });
      if (said.length > 1) {
        addIssue({ message: `says ${said.join(" and ")}; a target speaks one protocol, make it two targets` });
      }
    }),
  );
}

/** The sections a target may have: those of the adapters that are there, and those of protocols that later versions serve. */
export function targetSections(adapters: TargetSchemas): TargetSchemas {
  return { ...LATER_TARGETS, ...adapters };
}

/** The schema of the whole file, with the target sections of the adapters that are there. */
export function configSchema(adapters: TargetSchemas) {
  return v.strictObject({
    name: origin,
    data: v.optional(text, "./data"),
    policies: v.optional(v.union([text, v.strictObject({ git: text, ref: v.optional(text, "main") })]), "./policies"),
    listen,
    identity: v.optional(identity, {}),
    targets: v.record(name, targetSchema(targetSections(adapters))),
    limits: v.optional(limits, {}),
    audit: v.optional(audit, {}),
  });
}

export type ConfigFile = v.InferOutput<ReturnType<typeof configSchema>>;
