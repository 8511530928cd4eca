/** What an adapter gives the suite: a real target, clients that log in to it, and its words for the causes of refusals. */
import type { Gateway } from "../gateway.ts";

/** What a client was told: the protocol's own code, and all words that came with it. */
export type Told = { readonly code: string; readonly text: string };

export type Answer = { readonly kind: "answered"; readonly value: string } | ({ readonly kind: "refused" } & Told);

/**
 * Things a client may ask for. permitted and held are permitted by policy, denied is denied by a guard, unlisted is
 * named by no rule, opaque cannot be read by the adapter; held is not answered while the target is made to hold it.
 */
export type Thing = "permitted" | "held" | "denied" | "unlisted" | "opaque";

/** A client with an open session. */
export type ContractClient = {
  /** Asks with an ordinary message of the protocol that holds `mark`, and resolves with the answer. */
  ask(thing: Thing, mark: string): Promise<Answer>;
  /** Resolves when the session was ended from the other side; null when no reason was given. */
  readonly ended: Promise<Told | null>;
  close(): Promise<void>;
};

/** A real target. */
export type ContractTarget = {
  /** Its entry in weir.yaml, credential included. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The credential, which nobody but the target may ever see. */
  readonly credential: string;
  /** How often the target was sent this text. */
  saw(mark: string): number;
  /** From now on what is `held` is not answered, until letGo(). */
  hold(): Promise<void>;
  letGo(): Promise<void>;
  /** Resolves when so many operations are held. */
  untilHeld(count: number): Promise<void>;
  /** Its connections break and no new ones are taken, until comeBack(). */
  vanish(): Promise<void>;
  comeBack(): Promise<void>;
  stop(): Promise<void>;
};

/** Why something is refused, in the words of src/core/decision.ts. */
export type Cause =
  | "denied"
  | "not_understood"
  | "login"
  | "no target"
  | "ended login"
  | "limit"
  | "audit_unavailable"
  | "target_unavailable"
  | "draining";

export type AdapterHarness = {
  readonly adapter: string;
  /** How policy names the things, as the value of `action:` in YAML's flow form. */
  readonly actions: { readonly permitted: string; readonly held: string; readonly denied: string };
  readonly codes: Readonly<Record<Cause, string>>;
  /** The adapter's listener in weir.yaml, on any free port. */
  readonly listen: Readonly<Record<string, unknown>>;
  startTarget(): Promise<ContractTarget>;
  /** Where the adapter's listener is bound, on 127.0.0.1. */
  portOf(gateway: Gateway): number;
  /** Logs in; resolves with what it was told when it is refused, `code` null when it was not even let in to ask. */
  connect(gateway: Gateway, target: string, secret: string): Promise<ContractClient | RefusedLogin>;
};

export type RefusedLogin = { readonly code: string | null; readonly text: string };
