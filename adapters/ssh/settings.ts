/** The `ssh:` section of a target in weir.yaml: how to reach an SSH server, who it is, and how to log in to it. */
import { isIP } from "node:net";
import * as v from "valibot";
import { readPublicKey, type SshPublicKey } from "../../src/core/ssh-public-key.ts";
import type { KeyExchangeDemand } from "./algorithms.ts";
import { type PrivateKey, readPrivateKey } from "./private-key.ts";
import type { Endpoint } from "../../src/core/ports.ts";
import type { Target } from "../../src/core/target.ts";

const HOST_CHARS_MAX = 253;
/** useradd's own limit is 32; directories of other systems have longer ones. */
const LOGIN_BYTES_MAX = 128;
const LOGINS_MAX = 1_000;
const HOST_KEYS_MAX = 20;
const SECRET_BYTES_MAX = 64 * 1024;

const text = v.pipe(v.string(), v.nonEmpty("must not be empty"), v.excludes("\0", "must not contain a NUL"));
const login = v.pipe(
  text,
  v.maxBytes(LOGIN_BYTES_MAX, `a login has at most ${LOGIN_BYTES_MAX} bytes`),
  v.check((name) => !name.includes("+"), "a login that clients may name cannot have a + in it"),
);

const hostKey = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }): SshPublicKey => {
    const key = readPublicKey(dataset.value);
    if (typeof key !== "string") return key;
    addIssue({ message: key });
    return NEVER;
  }),
);

const privateKey = v.pipe(
  text,
  v.maxBytes(SECRET_BYTES_MAX, `a key has at most ${SECRET_BYTES_MAX} bytes`),
  v.rawTransform(({ dataset, addIssue, NEVER }): PrivateKey => {
    const key = readPrivateKey(dataset.value);
    if (typeof key !== "string") return key;
    addIssue({ message: key });
    return NEVER;
  }),
  v.description("PEM or OpenSSH's own format, unencrypted."),
);

const section = v.pipe(
  v.strictObject({
    host: v.pipe(
      text,
      v.maxLength(HOST_CHARS_MAX, `a host has at most ${HOST_CHARS_MAX} characters`),
      v.check(isHost, "expected a host name or an address; the port stands under `port`"),
    ),
    port: v.optional(
      v.pipe(
        v.number(),
        v.integer("a port is a whole number"),
        v.minValue(1, "a port is at least 1"),
        v.maxValue(65_535, "a port is at most 65535"),
      ),
      22,
    ),
    user: v.pipe(login, v.description("The account that clients get who name the target alone.")),
    logins: v.optional(
      v.pipe(
        v.array(login),
        v.maxLength(LOGINS_MAX, `at most ${LOGINS_MAX} logins`),
        v.description(
          'Further accounts that the same key or password logs in to, which clients name as LOGIN+TARGET; ["*"] is any.',
        ),
      ),
      [],
    ),
    key: v.optional(privateKey),
    password: v.optional(
      v.pipe(text, v.maxBytes(SECRET_BYTES_MAX, `a password has at most ${SECRET_BYTES_MAX} bytes`)),
    ),
    hostKeys: v.pipe(
      v.array(hostKey),
      v.minLength(1, "needs at least one key of the server; weir check prints the one that it presents"),
      v.maxLength(HOST_KEYS_MAX, `at most ${HOST_KEYS_MAX} keys`),
      v.description(
        "The server's public keys, as ssh-keyscan prints them without the host: one of them it must prove.",
      ),
    ),
    keyExchange: v.optional(
      v.pipe(
        v.picklist(["post-quantum"]),
        v.description("Keys are exchanged post-quantum, or the target is not used. Left out: as it can."),
      ),
    ),
    shell: v.optional(
      v.pipe(
        v.picklist(["posix"]),
        v.description(
          "The accounts' shell reads as POSIX says (sh, dash, bash, ksh, zsh). Left out: commands cannot be judged word by word, and are opaque.",
        ),
      ),
    ),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { key, password: secret, logins } = dataset.value;
    if (key === undefined && secret === undefined) addIssue({ message: "needs a key or a password to log in with" });
    if (key !== undefined && secret !== undefined) addIssue({ message: "a key or a password, not both" });
    if (logins.includes("*") && logins.length > 1) addIssue({ message: 'logins is a list of names, or ["*"] alone' });
  }),
  v.transform((given): SshSettings => ({
    ...given,
    key: given.key ?? null,
    password: given.password ?? null,
    keyExchange: given.keyExchange ?? null,
    shell: given.shell ?? null,
  })),
);

/** How a target's server is reached and logged in to; every default is filled in. */
export type SshSettings = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Further accounts that may be asked for; `["*"]`: all. */
  readonly logins: readonly string[];
  /** Of key and password one is null. */
  readonly key: PrivateKey | null;
  readonly password: string | null;
  readonly hostKeys: readonly SshPublicKey[];
  /** Null: keys are exchanged by anything that is good today. */
  readonly keyExchange: KeyExchangeDemand;
  /** Null: its shell may read words in its own way. */
  readonly shell: "posix" | null;
};

const settings = v.pipe(
  v.strictObject({ ssh: section }),
  v.transform(({ ssh }): SshSettings => ssh),
);

/** What weir.yaml may say of an SSH target. */
export const sshTarget = { section, masking: null, settings };

/** Where to connect to. */
export function endpointOf({ host, port }: SshSettings): Endpoint {
  return { host, port };
}

/** The account that a client means; null: it may not have it. */
export function loginOf({ user, logins }: SshSettings, asked: string | null): string | null {
  if (asked === null || asked === user) return user;
  return logins.includes("*") || logins.includes(asked) ? asked : null;
}

/** A target's settings, which the adapter's own schema has made. */
export function settingsOf(target: Target): SshSettings {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `core` keeps every adapter's settings as unknown
  return target.settings as SshSettings;
}

/** Keeps `db1:22` and `[::1]` from being looked up as names. */
function isHost(host: string): boolean {
  if (isIP(host) !== 0) return true;
  return !["/", ":", "[", "]", "@", " "].some((character) => host.includes(character));
}
