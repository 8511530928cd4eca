/** The shape of weir.yaml: one strict tree, to which each adapter lends the shape of its own targets. */
import * as v from "valibot";
import { readPublicKey } from "../core/ssh-public-key.ts";
import type { SshPublicKey } from "../core/ssh-public-key.ts";
import { isAgeRecipient } from "./age-recipient.ts";
import { DURATION_RULE, parseDuration, parseSize, SIZE_RULE } from "./units.ts";

/** What an adapter lends to weir.yaml for its targets. */
export type TargetShape = {
  /** What stands under the adapter's name. */
  readonly section: v.GenericSchema;
  /** What stands under `masking` beside it; null: this protocol has no such key. */
  readonly masking: v.GenericSchema | null;
  /** A map of both, as they are written, to the adapter's settings; complains about what does not go together. */
  readonly settings: v.GenericSchema;
};

/** The adapters that are there, by name. */
export type TargetSchemas = Readonly<Record<string, TargetShape>>;

/** What may stand in a target, by the protocol's name. */
type Sections = Readonly<Record<string, v.GenericSchema>>;

const NAME_CHARS_MAX = 63;
const SECOND_MS = 1_000;
const DAY_MS = 86_400 * SECOND_MS;
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

/** An SSH public key, as its .pub file has it. */
const publicKey = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): SshPublicKey => {
    const key = readPublicKey(dataset.value);
    if (typeof key !== "string") return key;
    addIssue({ message: key });
    return NEVER;
  }),
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
  ssh: v.optional(
    v.strictObject({
      host: v.optional(text, "127.0.0.1"),
      port: v.optional(port, 6422),
      keyExchange: v.optional(
        v.pipe(
          v.picklist(["post-quantum"]),
          v.description("Clients without a post-quantum exchange of keys are refused. Left out: they are taken."),
        ),
      ),
    }),
  ),
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
    v.array(v.strictObject({ subject: name, kind, groups: v.optional(texts, []), publicKey, owner: v.optional(name) })),
    [],
  ),
});

/** Targets of protocols whose adapters are not part of this version: read, so that one file serves several versions. */
const LATER_TARGETS: Sections = {
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

const verifierKey = v.pipe(
  v.string(),
  v.check(
    isVerifierKey,
    "expected a verifier key: a name, 8 hex digits and base64, joined by +, as weir audit keys prints it",
  ),
);

/** `name+8 hex digits+base64`: the form of C2SP signed-note. Whether it is sound is seen when it is read. */
function isVerifierKey(value: string): boolean {
  const [keyName = "", keyId = "", ...rest] = value.split("+");
  return keyName.length > 0 && keyId.length === 8 && rest.join("+").length > 0;
}

/** Who can open what is sealed; the secret half is never on the gateway. */
const ageRecipient = v.pipe(
  v.string(),
  v.check(isAgeRecipient, "an age recipient is age1 and 58 characters, as age-keygen prints it"),
);

const audit = v.strictObject({
  durability: v.optional(v.picklist(["strict", "release", "relaxed"]), "strict"),
  seal: v.optional(
    v.strictObject({ recipients: v.pipe(v.array(ageRecipient), v.minLength(1, "needs at least one recipient")) }),
  ),
  witnesses: v.optional(v.array(v.strictObject({ url, key: verifierKey, ca: v.optional(pem) })), []),
  witnessLagSecondsMax: v.optional(count(86_400)),
  cosign: v.optional(
    v.strictObject({
      host: v.optional(text, "127.0.0.1"),
      port: v.optional(port, 6490),
      tls: v.optional(listenerTls, "auto"),
      logs: v.pipe(v.array(verifierKey), v.minLength(1, "needs the verifier key of at least one log")),
    }),
  ),
  stamps: v.optional(
    v.strictObject({
      url,
      every: v.optional(duration(60 * SECOND_MS, 31 * DAY_MS, "from 1m to 31d"), "1h"),
      ca: v.optional(pem),
    }),
  ),
  retention: v.optional(duration(DAY_MS, 36_500 * DAY_MS, "from 1d to 36500d")),
  ship: v.optional(
    v.strictObject({
      libsql: v.optional(v.strictObject({ url, token: v.optional(text) })),
      s3: v.optional(
        v.strictObject({
          endpoint: url,
          bucket: text,
          region: v.optional(text, "us-east-1"),
          prefix: v.optional(v.string(), ""),
          accessKeyId: text,
          secretAccessKey: text,
          lock: v.optional(duration(DAY_MS, 36_500 * DAY_MS, "from 1d to 36500d")),
        }),
      ),
    }),
    {},
  ),
  streams: v.optional(
    v.strictObject({
      syslog: v.optional(v.strictObject({ host: text, port: v.optional(port, 6514), ca: v.optional(pem) })),
      otlp: v.optional(v.strictObject({ url, headers: v.optional(v.record(v.string(), text), {}) })),
    }),
    {},
  ),
});

/** The schema of one target: labels, and exactly one adapter's section. */
function targetSchema(shapes: TargetSchemas) {
  const sections = targetSections(shapes);
  const adapters = Object.keys(sections);
  const optionalSections: Record<string, v.GenericSchema> = {};
  for (const [adapter, section] of Object.entries(sections)) optionalSections[adapter] = v.optional(section);
  return v.pipe(
    v.strictObject({
      labels: v.optional(v.record(v.string(), text), {}),
      masking: v.optional(maskingSchema(shapes)),
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

/** The one masking that the adapters know, or any of several. */
function maskingSchema(shapes: TargetSchemas): v.GenericSchema {
  const known = Object.values(shapes).flatMap(({ masking }) => masking ?? []);
  const [first] = known;
  return first !== undefined && known.length === 1 ? first : v.union(known);
}

/** The sections a target may have: those of the adapters that are there, and those of protocols that later versions serve. */
export function targetSections(adapters: TargetSchemas): Sections {
  const sections = Object.entries(adapters).map(([adapter, { section }]) => [adapter, section] as const);
  return { ...LATER_TARGETS, ...Object.fromEntries(sections) };
}

/** The schema of the whole file, with the target sections of the adapters that are there. */
export function configSchema(adapters: TargetSchemas) {
  return v.strictObject({
    name: origin,
    data: v.optional(text, "./data"),
    policies: v.optional(v.union([text, v.strictObject({ git: text, ref: v.optional(text, "main") })]), "./policies"),
    listen,
    identity: v.optional(identity, {}),
    targets: v.record(name, targetSchema(adapters)),
    limits: v.optional(limits, {}),
    audit: v.optional(audit, {}),
  });
}

export type ConfigFile = v.InferOutput<ReturnType<typeof configSchema>>;
