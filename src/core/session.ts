/** One identity talking to one target over one client connection. */
import type { Identity } from "./identity.ts";
import type { Target } from "./target.ts";

export type SessionId = string;

/** Milliseconds since the epoch, from the injected clock. */
export type TimeMs = number;

export type Session = {
  readonly id: SessionId;
  readonly identity: Identity;
  readonly target: Target;
  readonly openedAtMs: TimeMs;
  /** The peer's address without its port. */
  readonly source: string;
};
