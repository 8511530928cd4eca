/** What a client wants done, as its adapter understood it: operations and the accesses that policy judges. */
import type { Meter } from "./obligation.ts";
import type { Session } from "./session.ts";

/** Closed on purpose: an adapter maps onto these, so that one rule can speak about every protocol. */
export const ACCESS_CLASSES = [
  "connect",
  "read",
  "write",
  "define",
  "administer",
  "execute",
  "transfer",
  "forward",
] as const;
export type AccessClass = (typeof ACCESS_CLASSES)[number];

/** A fact that should be there and is not known. In a record it is written as JSON `null`. */
export const UNKNOWN: unique symbol = Symbol("unknown");
export type Unknown = typeof UNKNOWN;

/** The value of one vocabulary key: a set of names (one name is a set of one), or a flag. */
export type FactValue = readonly string[] | boolean;

/** The values of the adapter's vocabulary. A key that is absent is NONE: this kind of access cannot have it. Never guessed. */
export type Facts = Readonly<Record<string, FactValue | Unknown>>;

/** One part of an operation that policy judges. */
export type Access = {
  readonly class: AccessClass;
  readonly facts: Facts;
  /** The adapter could not read this part; policy treats it as able to do anything. */
  readonly opaque?: true;
  /** Belongs to every session (BEGIN, SHOW, catalog views that drivers read): some permit on the target is enough, if it covers what is constant for the session. */
  readonly ambient?: true;
  /** Keys of the vocabulary that a permit must name to match this access (writing a masked column). Left out: as the vocabulary says. */
  readonly named?: readonly string[];
};

export type Accesses = readonly [Access, ...Access[]];

/** Short and unique for the life of a log; quoted in refusals and kept in the record. */
export type OperationId = string;

/** As the protocol encoded them; or their SHA-256 (32 bytes) when there were too many to keep. */
export type OperationParameters = Uint8Array | { readonly sha256: Uint8Array };

/** One thing a client wants done: a statement, a command, a file transfer, a tool call, a request. */
export type Operation = {
  readonly id: OperationId;
  readonly session: Session;
  /** The protocol's step: `query`, `prepare`, `execute`, `connect`, `cancel`, ... */
  readonly kind: string;
  readonly accesses: Accesses;
  /** False: the adapter could not read all of it. */
  readonly understood: boolean;
  /** Shown to an approver, hashed into the record, never parsed again. */
  readonly text: string;
  /** Lower-case hex SHA-256 of `text` in UTF-8; null lets the log compute it. Adapters that cache by text keep it. */
  readonly textSha256: string | null;
  /** Hashed into the record; absent when there are none. */
  readonly parameters?: OperationParameters;
  /** Digest of the catalog that names were resolved against; null where there is none. */
  readonly catalogDigest: string | null;
  /**
   * Operations of one lane are started in the order of their submission; those of different lanes do not wait for each
   * other (the channels of one connection). Left out: the session's own lane.
   */
  readonly lane?: number;
  /**
   * It goes on until one side ends it (a shell, a forwarded connection): it is judged again when policy or time could
   * decide otherwise, and the session counts as idle while nothing flows.
   */
  readonly lasts?: true;
  /** Rates of calls that hold for it whatever policy says, beside those of policy. Left out: none. */
  readonly meters?: readonly Meter[];
  /** It is a terminal of its own, with a recording of its own. Left out: it is written into its session's transcript. */
  readonly recordedAs?: "asciicast";
};
