/** The configuration as the rest of weir uses it: checked, paths absolute, units resolved. */
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
};

export type Limits = {
  readonly sessionsMax: number;
  readonly sessionsPerSubjectMax: number;
  readonly loginTimeMs: number;
  readonly statementBytesMax: number;
  readonly drainTimeMs: number;
};

export type Config = {
  /** The origin of this gateway's log. */
  readonly name: string;
  /** The file it was read from, absolute. */
  readonly file: string;
  /** The data folder, absolute. */
  readonly data: string;
  /** The policy folder, absolute. */
  readonly policies: string;
  /** The listeners that this version serves. */
  readonly listeners: readonly Listener[];
  /** The targets that this version serves. */
  readonly targets: readonly Target[];
  readonly limits: Limits;
  readonly audit: { readonly durability: Durability };
};
