/** The configuration as the rest of weir uses it: checked, paths absolute, units resolved. */
import type { SubjectKind } from "../core/identity.ts";
import type { Target } from "../core/target.ts";

export type Durability = "strict" | "release" | "relaxed";

/** What a listener presents: a certificate made on first start and kept in the data folder, nothing, or PEM texts. */
export type ListenerTls = "auto" | "off" | { readonly cert: string; readonly key: string; readonly clientCa?: string };

/** A listener of one adapter; port 0 takes any free port. */
export type Listener = {
  readonly adapter: string;
  readonly host: string;
  readonly port: number;
  readonly tls: ListenerTls;
  /** What keys of SSH must be exchanged by; left out: by anything that is good today. */
  readonly keyExchange?: "post-quantum" | undefined;
};

export type Limits = {
  readonly sessionsMax: number;
  readonly sessionsPerSubjectMax: number;
  readonly loginTimeMs: number;
  readonly statementBytesMax: number;
  readonly drainTimeMs: number;
};

/** How the log is kept, who vouches for it and where copies of it go. Null: not configured. */
export type AuditConfig = {
  readonly durability: Durability;
  /** Age recipients who can open sealed recordings. */
  readonly seal: { readonly recipients: readonly string[] } | null;
  /** Who cosigns this log's checkpoints; `key` is a verifier key of C2SP signed-note, `ca` PEM, null: the system's authorities. */
  readonly witnesses: readonly { readonly url: string; readonly key: string; readonly ca: string | null }[];
  /** New work is refused while the newest cosigned checkpoint is further behind than this. */
  readonly witnessLagMsMax: number | null;
  /** Where this gateway cosigns the logs of others, named by their verifier keys. */
  readonly cosign: {
    readonly host: string;
    readonly port: number;
    readonly tls: ListenerTls;
    readonly logs: readonly string[];
  } | null;
  /** An RFC 3161 time stamping authority, and how often it is asked; `ca` is PEM, null: the system's authorities. */
  readonly stamps: { readonly url: string; readonly everyMs: number; readonly ca: string | null } | null;
  /** Entries and recordings older than this are pruned. */
  readonly retentionMs: number | null;
  readonly ship: { readonly libsql: LibsqlCopy | null; readonly s3: S3Copy | null };
  readonly streams: {
    readonly syslog: { readonly host: string; readonly port: number; readonly ca: string | null } | null;
    readonly otlp: { readonly url: string; readonly headers: Readonly<Record<string, string>> } | null;
  };
};

/** A libSQL server that gets a copy of the log. */
export type LibsqlCopy = { readonly url: string; readonly token: string | null };

/** S3-compatible storage that gets a copy of the log; `lockMs`: objects are locked for so long, null: they are not. */
export type S3Copy = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly lockMs: number | null;
};

/** A public key and whose it is. */
export type BoundKey = {
  readonly subject: string;
  readonly kind: SubjectKind;
  readonly groups: readonly string[];
  readonly owner: string | null;
  /** As SSH encodes it (RFC 4253, section 6.6). */
  readonly blob: Uint8Array;
};

export type Config = {
  /** The origin of this gateway's log. */
  readonly name: string;
  /** The file it was read from, absolute. */
  readonly file: string;
  /** SHA-256 of the file's text, lower-case hex; references stand in it, not what they hold. */
  readonly digest: string;
  /** The data folder, absolute. */
  readonly data: string;
  /** The policy folder, absolute. */
  readonly policies: string;
  /** The listeners that this version serves. */
  readonly listeners: readonly Listener[];
  /** Who may log in by which SSH key; each key once. */
  readonly keys: readonly BoundKey[];
  /** The targets that this version serves. */
  readonly targets: readonly Target[];
  readonly limits: Limits;
  readonly audit: AuditConfig;
};
