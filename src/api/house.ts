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

export type ListenerStatus = {
  readonly adapter: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
};

/** `problem` is null when the target can be reached and logged in to. */
export type TargetStatus = { readonly name: string; readonly adapter: string; readonly problem: string | null };

export type Status = {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  readonly started: string;
  readonly draining: boolean;
  readonly listeners: readonly ListenerStatus[];
  readonly sessions: number;
  readonly targets: readonly TargetStatus[];
  readonly policy: { readonly digest: string; readonly commit: string | null; readonly problems: readonly string[] };
  readonly log: {
    readonly durability: string;
    /** Entries in the log, of all runs. */
    readonly entries: number;
    /** Null while the log works. */
    readonly failure: string | null;
    /** Null: nobody outside has seen the log, so whoever holds its key could rewrite it. */
    readonly lastWitness: string | null;
  };
};

/** The house, as its owner sees it through the local socket. Methods throw with a sentence for people. */
export type House = {
  readonly listeners: readonly ListenerStatus[];
  /** Tries the targets, unless it has done so within the last seconds. */
  status(): Promise<Status>;
  createToken(order: TokenOrder): Promise<{ readonly token: string; readonly record: TokenView }>;
  listTokens(): Promise<readonly TokenView[]>;
  /** Null when there is no token of that id. */
  revokeToken(id: string): Promise<TokenView | null>;
};
