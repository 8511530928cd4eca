/** The `postgres:` section of a target in weir.yaml: how to reach a PostgreSQL server and log in to it. */
import { isIP } from "node:net";
import * as v from "valibot";
import type { Endpoint } from "../../src/core/ports.ts";
import { maskingSchema, type MaskingSettings } from "./masking-settings.ts";
import { name, password, text } from "./setting-shapes.ts";

/** As libpq's sslmode; `allow` and `prefer`, which may end up without TLS, do not exist here. */
const TLS_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

const HOST_CHARS_MAX = 253;
const DATABASES_MAX = 1000;

const pem = v.pipe(
  v.string(),
  v.includes("-----BEGIN ", "expected PEM text; to read it from a file write { file: PATH }"),
);

const section = v.strictObject({
  host: v.pipe(
    text,
    v.maxLength(HOST_CHARS_MAX, `a host has at most ${HOST_CHARS_MAX} characters`),
    v.check(isHost, "expected a host name, an address, or the folder of a Unix socket; the port stands under `port`"),
    v.description("A host name, an address, or the folder of a Unix socket (begins with /)."),
  ),
  port: v.optional(
    v.pipe(
      v.number(),
      v.integer("a port is a whole number"),
      v.minValue(1, "a port is at least 1"),
      v.maxValue(65_535, "a port is at most 65535"),
      v.description("For a Unix socket it is part of the socket's name."),
    ),
    5432,
  ),
  database: v.pipe(name, v.description("What clients get that name the target alone.")),
  databases: v.optional(
    v.pipe(
      v.array(name),
      v.maxLength(DATABASES_MAX, `at most ${DATABASES_MAX} databases`),
      v.description('What clients may ask for besides, as TARGET.DATABASE; ["*"] is every database.'),
    ),
    [],
  ),
  user: name,
  password: v.optional(password),
  tls: v.optional(
    v.pipe(
      v.picklist(TLS_MODES),
      v.description(
        "As libpq's sslmode. When left out it is verify-full; but disable for a Unix socket, and for localhost, 127.0.0.0/8 and ::1 unless ca or cert is given. require with a ca is verify-ca, as in libpq.",
      ),
    ),
  ),
  ca: v.optional(v.pipe(pem, v.description("PEM: the authorities to trust instead of the system's."))),
  cert: v.optional(v.pipe(pem, v.description("PEM: the client's certificate and its chain; needs key."))),
  key: v.optional(v.pipe(pem, v.description("PEM: the key of cert, unencrypted."))),
});

/** How a target's server is reached and logged in to; every default is filled in. */
export type PostgresSettings = {
  /** A path beginning with / is the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Further databases that may be asked for; `["*"]`: all. */
  readonly databases: readonly string[];
  readonly user: string;
  readonly password: string | null;
  readonly tls: TlsMode;
  /** PEM, as all three. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  /** The target's `masking:`; null: it has none, and what policy masks is masked inline. */
  readonly masking: MaskingSettings | null;
};

/** Validates the section, whose values are plain ones by now, and fills in its defaults. */
const postgresTargetSchema = v.pipe(
  section,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of contradictions(dataset.value)) addIssue({ message });
  }),
  v.transform((given): PostgresSettings => ({
    ...given,
    password: given.password ?? null,
    tls: given.tls ?? defaultTls(given),
    ca: given.ca ?? null,
    cert: given.cert ?? null,
    key: given.key ?? null,
    masking: null,
  })),
);

/** A target's `postgres:` and `masking:` together, as the adapter uses them. */
const postgresSettingsSchema = v.pipe(
  v.strictObject({ postgres: postgresTargetSchema, masking: v.optional(maskingSchema) }),
  v.forward(
    v.check(
      ({ postgres, masking }) => masking?.user !== postgres.user,
      "governed sessions need a login of their own: this one is the target's, which reads raw values",
    ),
    ["masking", "user"],
  ),
  v.transform(({ postgres, masking }): PostgresSettings => ({ ...postgres, masking: masking ?? null })),
);

/** What weir.yaml may say of a PostgreSQL target. */
export const postgresTarget = {
  section: postgresTargetSchema,
  masking: maskingSchema,
  settings: postgresSettingsSchema,
};

/** Where to connect to. */
export function endpointOf(settings: PostgresSettings): Endpoint {
  if (isSocketFolder(settings.host)) return { path: `${settings.host}/.s.PGSQL.${settings.port}` };
  return { host: settings.host, port: settings.port };
}

type Section = v.InferOutput<typeof section>;

function contradictions(given: Section): string[] {
  const problems: string[] = [];
  const tls = given.tls ?? defaultTls(given);
  if ((given.cert === undefined) !== (given.key === undefined)) problems.push("cert and key need each other");
  if (given.databases.includes("*") && given.databases.length > 1) {
    problems.push('databases is a list of names, or ["*"] alone');
  }
  if (isSocketFolder(given.host) && tls !== "disable") {
    problems.push("there is no TLS over a Unix socket: leave tls out, or set it to disable");
  } else if (tls === "disable" && (given.ca ?? given.cert ?? given.key) !== undefined) {
    problems.push("ca, cert and key have no effect with tls: disable");
  }
  return problems;
}

function defaultTls(given: Section): TlsMode {
  if (isSocketFolder(given.host)) return "disable";
  const wantsTls = (given.ca ?? given.cert) !== undefined;
  return isLoopbackHost(given.host) && !wantsTls ? "disable" : "verify-full";
}

function isSocketFolder(host: string): boolean {
  return host.startsWith("/");
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Keeps `db1:5432`, `[::1]` and `postgres://db1` from being looked up as names. */
function isHost(host: string): boolean {
  if (isSocketFolder(host) || isIP(host) !== 0) return true;
  return !["/", ":", "[", "]", "@", " "].some((character) => host.includes(character));
}
