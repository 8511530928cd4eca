/** What the gateway's local interface needs of the house, and the shapes in which it answers. */

/** A token without its secret. Times are ISO 8601 in UTC. */
export type TokenView = {
  readonly id: string;
  readonly subject: string;
  readonly kind: "human" | "agent" | "service";
  readonly groups: readonly string[];
  readonly owner: string | null;
  readonly created: string;
  /** Null: never. */
  readonly expires: string | null;
  /** Null: not revoked. */
  readonly revoked: string | null;
};

/** What a new token is to be; `expiresInMs` null: never. */
export type TokenOrder = Pick<TokenView, "subject" | "kind" | "groups" | "owner"> & {
  readonly expiresInMs: number | null;
};

/** A client's session that is open now. Times are ISO 8601 in UTC. */
export type SessionView = {
  readonly id: string;
  readonly subject: string;
  readonly issuer: string;
  readonly kind: "human" | "agent" | "service";
  readonly target: string;
  readonly adapter: string;
  /** The client's address. */
  readonly source: string;
  /** The forward of another session that it came through; null: the client came by itself. */
  readonly through: { readonly session: string; readonly operation: string } | null;
  readonly opened: string;
};

/** Who ends a session and why, as they say themselves; null: they do not say. */
export type KillOrder = { readonly user: string | null; readonly reason: string | null };

export type ListenerStatus = {
  readonly adapter: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Of SSH: the fingerprint of the key by which clients know it. */
  readonly hostKey?: string;
};

/** `problem` is null when the target can be reached and logged in to. */
export type TargetStatus = { readonly name: string; readonly adapter: string; readonly problem: string | null };

/** A copy of the log elsewhere. */
export type CopyStatus = {
  readonly destination: "libsql" | "s3";
  /** Without secrets. */
  readonly where: string;
  /** How many entries it lacks, and the age of the oldest of them; null: it has not answered yet. */
  readonly lagEntries: number | null;
  readonly lagSeconds: number | null;
  /** Null while it is kept. */
  readonly failure: string | null;
  /** What cannot be copied there at all; null: everything can. */
  readonly caveat: string | null;
};

/** `behind`: entries that were not sent yet; null: it has not begun. `dropped`: since the start. */
export type StreamStatus = {
  readonly stream: "syslog" | "otlp";
  /** Without secrets. */
  readonly where: string;
  readonly behind: number | null;
  readonly dropped: number;
  /** Null while it works. */
  readonly failure: string | null;
};

/** `cosigned` null: nothing in this run. `problem` null: the last attempt worked. */
export type WitnessStatus = {
  readonly name: string;
  readonly url: string;
  readonly cosigned: { readonly size: number; readonly time: string } | null;
  readonly problem: string | null;
};

/** `last` null: nothing in this run; its time is the authority's. `problem` null: the last attempt worked. */
export type StampStatus = {
  readonly url: string;
  readonly last: { readonly size: number; readonly time: string } | null;
  readonly problem: string | null;
};

export type Status = {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  readonly started: string;
  readonly draining: boolean;
  readonly listeners: readonly ListenerStatus[];
  readonly sessions: number;
  /** By how much the wall clock was set since it was last known to be right; null: it goes as it should. */
  readonly clockSteppedByMs: number | null;
  readonly targets: readonly TargetStatus[];
  readonly policy: { readonly digest: string; readonly commit: string | null; readonly problems: readonly string[] };
  readonly log: {
    readonly durability: string;
    /** Entries in the log, of all runs. */
    readonly entries: number;
    /** Null while the log works. */
    readonly failure: string | null;
    /** Who cosigns the log. */
    readonly witnesses: readonly WitnessStatus[];
    /** The newest checkpoint that a witness has signed; null: whoever holds the log's key could rewrite all of it. */
    readonly cosigned: { readonly size: number; readonly time: string } | null;
    /** Since when something is signed that no witness has seen; 0: nothing is. */
    readonly witnessLagMs: number;
    /** Why new work is refused although the log works; null: it is not. */
    readonly held: string | null;
    /** The verifier key with which this gateway cosigns the logs of others; null: it does not. */
    readonly cosigner: string | null;
    /** Null: nobody stamps the log. */
    readonly stamps: StampStatus | null;
  };
  readonly copies: readonly CopyStatus[];
  readonly streams: readonly StreamStatus[];
};

/** Who does something to a recording, and why. */
export type CustodyOrder = { readonly recording: string; readonly by: string; readonly reason: string };

/** Verifier keys, as auditors keep them. */
export type RotatedLogKey = { readonly oldKey: string; readonly newKey: string };

/** The entries from `first` on and before `to` are gone. */
export type PrunedLog = { readonly first: number; readonly to: number; readonly entries: number };

/** What the log's owner may have done to it. `before` is an index. */
export type LogDesk = {
  rotateLogKey(): Promise<RotatedLogKey>;
  pruneLog(before: number): Promise<PrunedLog>;
};

/** The house, as its owner sees it through the local socket. Methods throw with a sentence for people. */
export type House = LogDesk & {
  readonly listeners: readonly ListenerStatus[];
  /** Tries the targets, unless it has done so within the last seconds. */
  status(): Promise<Status>;
  /** Takes the clock as it is now for right; by how much it had been set, null when it had not. */
  confirmClock(): Promise<number | null>;
  createToken(order: TokenOrder): Promise<{ readonly token: string; readonly record: TokenView }>;
  listTokens(): Promise<readonly TokenView[]>;
  /** Null when there is no token of that id. */
  revokeToken(id: string): Promise<TokenView | null>;
  listSessions(): Promise<readonly SessionView[]>;
  /** Records who ends a session, and ends it. Null when no session of that id is open. */
  killSession(id: string, order: KillOrder): Promise<SessionView | null>;
  /** Records that somebody opens a sealed recording, with which keys; resolves when that is durable. */
  recordUnsealing(order: CustodyOrder, keys: readonly string[]): Promise<void>;
  /** Deletes a recording's wrapped key. Null: there is no such recording; false: it has no key any more. */
  shredRecording(order: CustodyOrder): Promise<boolean | null>;
};
