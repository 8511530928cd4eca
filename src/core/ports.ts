/** The interfaces between the parts of the house: what adapters may ask of the gate, and what the gate asks of its parts. */
import type { Decision, ObligationKind, Obligations, Refusal, Requirement } from "./decision.ts";
import type { Claim, Identity } from "./identity.ts";
import type { Facts, Operation, OperationId } from "./operation.ts";
import type { Session, SessionId, TimeMs } from "./session.ts";
import type { Target } from "./target.ts";
import type { Vocabulary } from "./vocabulary.ts";

/* ---- between adapters and the gate ---- */

/**
 * The right to write to a target for one operation. Only the gate mints one; it is dead as soon as the operation's
 * outcome is recorded. Opaque to everyone else: the gate recognises its own by a private field that cannot be forged.
 */
export interface Permit {
  readonly operation: OperationId;
  readonly obligations: Obligations;
}

/** How an operation ended, as recorded. */
export type Outcome = {
  /** skipped: sent, but the target did not run it, because something before it in the same pipeline failed. */
  readonly status: "done" | "failed" | "refused" | "skipped" | "cancelled" | "unknown";
  /** The protocol's own code: SQLSTATE, exit status, HTTP status. */
  readonly code?: string;
  /** Rows returned or affected. */
  readonly rows?: number;
  /** Bytes sent to the client for this operation. */
  readonly bytes?: number;
};

/**
 * The protocol's half of one operation; the gate calls these in its own order, at most one of start and refuse,
 * and per session in the order of submission.
 */
export interface Exchange {
  /** Send it. Reply bytes may arrive from now on and are held back until release(). */
  start(permit: Permit): void;
  /** The intent is durable: the reply may flow. Called once, after start() (often at once). */
  release(): void;
  /** Tell the client that people are being asked. */
  pending(approval: PendingApproval): void;
  /**
   * Tell the client no. `permit` is a house permit, recorded with the refusal, under which the adapter may make the
   * target fail too (a transaction that must not commit); the adapter ends it with finish(). It is null when nothing
   * can be recorded: then nothing more may be sent to the target for this operation.
   */
  refuse(refusal: Refusal, permit: Permit | null): void;
  /** Stop what has started: a limit was reached, a grant was taken back, the gateway is shutting down. */
  cancel(reason: Refusal): void;
}

/** An ask that waits for people. */
export type PendingApproval = {
  readonly operation: OperationId;
  readonly requirements: readonly Requirement[];
  readonly where: string;
};

/** The certificate a target presented in a TLS handshake that was verified as its settings ask. */
export type TlsPeer = { readonly certificateDer: Uint8Array | null };

export type TlsOptions = {
  /** encrypt: any certificate. ca: a chain to `ca`. full: a chain and the host's name. */
  readonly verify: "encrypt" | "ca" | "full";
  readonly serverName: string;
  /** PEM; absent: the system's authorities. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly alpn?: readonly string[];
};

/** A byte stream to a target. What the gateway itself sends (login, pins, catalog queries) runs under house permits too. */
export interface Upstream {
  /** Where it leads, for messages. */
  readonly address: string;
  /** True when the address is on this machine (a loopback address or a socket file). */
  readonly isLoopback: boolean;
  /** Queues bytes; false: stop until onDrain. Throws when the permit is not the gate's own, or dead. */
  write(permit: Permit, bytes: Uint8Array): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  /** Called once, also after an error; `error` is null on an orderly end. */
  onClose(callback: (error: Error | null) => void): void;
  pause(): void;
  resume(): void;
  /** Upgrades to TLS; rejects when the peer cannot be verified as asked, or when plaintext was already waiting. */
  startTls(permit: Permit, options: TlsOptions): Promise<TlsPeer>;
  close(): void;
}

export type DialPurpose = "session" | "cancel" | "catalog" | "raw";

/** Where a target's bytes go. A path names a Unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

/** All that an adapter may ask of the house. */
export interface Door {
  authenticate(claim: Claim): Promise<Identity | Refusal>;
  /** Opens a session: the target exists, limits hold, policy could permit something, and its intent is durable. The same refusal for unknown and forbidden. */
  open(request: OpenRequest): Promise<OpenSession | Refusal>;
  /** The gateway's own session with a target, outside any client's (the catalog): recorded, with its own permit. */
  openHouse(targetName: string, text: string): Promise<OpenSession | Refusal>;
  dial(session: Session, purpose: DialPurpose, endpoint: Endpoint): Promise<Upstream | Refusal>;
  operationId(): OperationId;
  /** One line for the gateway's operator; clients never see it. */
  report(line: string): void;
  /** Decides, records and starts one operation. Synchronous; first in, first out per session. Never throws. */
  submit(session: Session, operation: Operation, exchange: Exchange): void;
  /** Records a refusal of the adapter's own (a limit, a message that may not come); otherwise as submit(). */
  refuse(session: Session, operation: Operation, refusal: Refusal, exchange: Exchange): void;
  /** The gateway's own operation on a session: recorded and started like any other, but not decided by policy. */
  submitHouse(session: Session, operation: Operation, exchange: Exchange): void;
  /** Records the outcome and kills the permit. False: the log has failed and the session must end. */
  finish(permit: Permit, outcome: Outcome): boolean;
  /** Ends the session: its connect operation gets its outcome, open operations end as `unknown`. */
  close(session: Session, outcome: Outcome): void;
}

/** A login that wants a session. `facts` gives the adapter's facts of the connect access once the target is known, or refuses. */
export type OpenRequest = {
  readonly adapter: string;
  readonly identity: Identity;
  readonly targetName: string;
  readonly source: string;
  /** Goes into the record: what the client said it is. */
  readonly text: string;
  facts(target: Target): Facts | Refusal;
};

/** `permit` is that of the connect operation: the login and the session's own protocol housekeeping run under it. */
export type OpenSession = {
  readonly kind: "session";
  readonly session: Session;
  readonly permit: Permit;
  readonly cancelled: AbortSignal;
};

/** A configured listener, already validated. `tls` null: plaintext. */
export type Listen = {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa?: string } | null;
  readonly limits: ListenLimits;
};

export type ListenLimits = {
  readonly sessionsMax: number;
  readonly loginTimeMs: number;
  readonly statementBytesMax: number;
  readonly drainTimeMs: number;
};

/** A listener that serves. */
export type Served = {
  /** The port actually bound. */
  readonly port: number;
  /** Stops accepting, ends idle sessions, lets running operations finish within the drain time, then ends the rest. */
  drain(): Promise<void>;
};

/** A protocol the gateway speaks. */
export type Adapter = {
  readonly name: string;
  readonly vocabularies: readonly Vocabulary[];
  /** The obligations it can really keep; the policy checker and the gate refuse any other. */
  readonly keeps: readonly ObligationKind[];
  /** Binds and serves; rejects with a sentence for people when it cannot. */
  serve(door: Door, listen: Listen): Promise<Served>;
  /** Can the target be reached and logged in to? Null when all is well, else a sentence for people. */
  probe(door: Door, target: Target): Promise<string | null>;
};

/* ---- between the gate and its parts ---- */

export interface Clock {
  now(): TimeMs;
}

/** Grows by one with each record handed to the log. */
export type Sequence = number;

/** The policy that is active now. */
export interface Policy {
  /** Grows whenever another set becomes active: what was cached for an older epoch is void. */
  readonly epoch: number;
  /** Lower-case hex SHA-256 of the set. */
  readonly digest: string;
  /** The set's git commit, `dirty`, or null outside git. */
  readonly commit: string | null;
  decide(session: Session, operation: Operation, now: TimeMs): Decision;
  /** The next moment after `now` at which a decision could change by time alone; Infinity when there is none. */
  nextEdge(now: TimeMs): TimeMs;
  /** Could some permit match for this identity on this target, and does no deny on `connect` apply? */
  mayConnect(session: Session, operation: Operation, now: TimeMs): Decision;
}

/** Which record an entry of the log holds. */
export type EventKind =
  | "login.ok"
  | "login.failed"
  | "session.refused"
  | "policy.activated"
  | "policy.rejected"
  | "token.created"
  | "token.revoked"
  | "gateway.started"
  | "gateway.stopped";

/**
 * The log, as the gate sees it. Every method that writes throws `AuditUnavailable` when the log has failed;
 * nothing is then recorded and nothing may be done.
 */
export interface Audit {
  /** Hands over an intent (or a refusal, when the decision denies; `house` when there is none). Returns at once. */
  intent(operation: Operation, decision: Decision | "house", policy: Policy): Sequence;
  outcome(intent: Sequence, outcome: Outcome): Sequence;
  event(
    kind: EventKind,
    facts: Readonly<Record<string, string | number | boolean | null | readonly string[]>>,
  ): Sequence;
  /** Everything up to and including this sequence is fsynced. */
  readonly durable: Sequence;
  /** The last sequence handed over. */
  readonly handedOver: Sequence;
  /** Age of the oldest record that is handed over and not yet durable; 0 when there is none. */
  readonly lagMs: number;
  /** Null while the log works, else why it does not. */
  readonly failure: Error | null;
  /**
   * Called in the main thread whenever `durable` has grown or the log has failed or recovered; on a failure always
   * before anything is accepted again, so that what was handed over and lost can be refused. One listener: the gate.
   */
  onProgress(callback: () => void): void;
  /** Forgets what was cached for a session that has ended. */
  forget(session: SessionId): void;
}

/** The log cannot be written; nothing may be done until it can. */
export class AuditUnavailable extends Error {
  readonly code = "AUDIT_UNAVAILABLE";
}

export interface Authenticator {
  authenticate(claim: Claim): Promise<Identity | Refusal>;
  /** Is this identity still good now (not expired, not revoked)? */
  stillValid(identity: Identity, now: TimeMs): boolean;
}

/** Asks people. Answers once; the gate decides again afterwards. */
export interface Approvals {
  ask(
    operation: Operation,
    decision: Extract<Decision, { kind: "ask" }>,
    pending: (approval: PendingApproval) => void,
  ): Promise<"approved" | Refusal>;
}

/** Opens connections to targets. The gate wraps them, so that every write needs a permit. */
export interface Dialer {
  dial(endpoint: Endpoint, timeoutMs: number): Promise<Connection>;
}

/** A raw connection, before the gate puts its check in front of it. */
export interface Connection {
  readonly address: string;
  readonly isLoopback: boolean;
  write(bytes: Uint8Array): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  onClose(callback: (error: Error | null) => void): void;
  pause(): void;
  resume(): void;
  startTls(options: TlsOptions): Promise<TlsPeer>;
  close(): void;
}
