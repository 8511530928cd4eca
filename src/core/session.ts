/** One identity talking to one target over one client connection. */
import type { Identity } from "./identity.ts";
import type { Target } from "./target.ts";

export type SessionId = string;

/** Milliseconds since the epoch, from the injected clock. */
export type TimeMs = number;

/** The forward of another session that a session came through: that session, and its operation that carries it. */
export type Through = { readonly session: SessionId; readonly operation: string };

export type Session = {
  readonly id: SessionId;
  readonly identity: Identity;
  readonly target: Target;
  readonly openedAtMs: TimeMs;
  /** The peer's address without its port. */
  readonly source: string;
  /** Absent: the client came by itself. */
  readonly through?: Through;
};
