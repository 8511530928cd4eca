/** The interfaces between the parts of the house: what adapters may ask of the gate, and what the gate asks of its parts. */
import type { ContentMask } from "./content.ts";
import type { Decision, Refusal, RuleId } from "./decision.ts";
import type { Given } from "./given.ts";
import type { Claim, Identity } from "./identity.ts";
import type {
  KeptKind,
  MaskObligation,
  MaskTransform,
  Meter,
  Obligations,
  Predicates,
  Requirement,
} from "./obligation.ts";
import type { Access, Facts, Operation, OperationId } from "./operation.ts";
import type { PolicyTools } from "./policy-tools.ts";
import type { Recording } from "./recording.ts";
import type { Session, SessionId, Through, TimeMs } from "./session.ts";
import type { Target } from "./target.ts";
import type { Vocabulary } from "./vocabulary.ts";

/* ---- between adapters and the gate ---- */

/**
 * The right to write to a target for one operation. Only the gate mints one; it is dead as soon as the operation's
 * outcome is recorded. Opaque to everyone else: the gate recognises its own by a private field that cannot be forged.
 */
export interface Permit {
  readonly operation: OperationId;
  /** Those of the decision; empty for the gateway's own. */
  readonly rules: readonly RuleId[];
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
  /** Bytes sent to the client for this operation; of a transferred file, those of its content, either way. */
  readonly bytes?: number;
  /**
   * Of a file that was transferred in order from its beginning: the lower-case hex SHA-256 of what was transferred,
   * all `bytes` of it.
   */
  readonly sha256?: string;
  /**
   * Of a file of which something else was transferred: which bytes of it, `r0-99,w4096-8191` (read and written, both
   * ends included, by direction and in order), or `a` for what was put at its end. ASCII; cut after RANGES_UNITS_MAX.
   */
  readonly ranges?: string;
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
  /** As write(), of what lies between the two places. */
  writePart(permit: Permit, bytes: Uint8Array, start: number, end: number): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  /**
   * Throws when write() would: for a protocol whose transport carries many operations in one encrypted stream (SSH),
   * where the stream's own bytes run under the session's permit, and each operation's are held to theirs here.
   */
  require(permit: Permit): void;
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

/**
 * A client's bytes as another protocol carries them: what a forward to a governed target hands to that target's
 * adapter. Each callback has one listener; nothing is read before the first onData.
 */
export interface ByteStream {
  /** False: stop until onDrain. The bytes must not be changed afterwards; after the end they are dropped. */
  write(bytes: Uint8Array): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  /** The client sends no more. */
  onEof(callback: () => void): void;
  /** Called once when it is gone, whoever ended it; also when it was gone before. */
  onClose(callback: () => void): void;
  pause(): void;
  resume(): void;
  /** Sends what was written, then closes. */
  end(): void;
}

/** A client that comes through a forward of another session, with the identity that it has there. */
export type Arrival = {
  readonly identity: Identity;
  readonly targetName: string;
  /** What was named of the target besides, as its protocol understands it: DATABASE of `TARGET.DATABASE`. Null: nothing. */
  readonly part: string | null;
  readonly source: string;
  /** What carries it; the session that it opens is recorded with it. */
  readonly through: Through;
  readonly limits: ListenLimits;
};

/** Where a forwarded connection would lead. */
export type Destination =
  /** To a governed target, by its name: it is handed over. */
  | { readonly kind: "target"; readonly targetName: string; readonly part: string | null }
  /** Past the gateway to what it governs, or back to the machine that would connect; `why` is what it is, in words. */
  | { readonly kind: "closed"; readonly why: string }
  | { readonly kind: "elsewhere" };

/** All that an adapter may ask of the house. */
export interface Door {
  authenticate(claim: Claim): Promise<Identity | Refusal>;
  /** Could this public key, as SSH encodes it, log somebody in? Whether the client holds its secret half is not known yet. */
  knowsKey(publicKey: Uint8Array): boolean;
  /** A client has left that tried to log in and never came as far as authenticate(), which records what it refuses. */
  loginFailed(source: string, reason: string): void;
  /** Opens a session: the target exists, limits hold, policy could permit something, and its intent is durable. The same refusal for unknown and forbidden. */
  open(request: OpenRequest): Promise<OpenSession | Refusal>;
  /** The gateway's own session with a target, outside any client's (the catalog): recorded, with its own permit. */
  openHouse(targetName: string, text: string): Promise<OpenSession | Refusal>;
  dial(session: Session, purpose: DialPurpose, endpoint: Endpoint): Promise<Upstream | Refusal>;
  /**
   * Where a forwarded connection to this host (a name or an address) would lead. Resolves names within a
   * time limit, so it is asked only for what policy has permitted: a lookup says something to others.
   */
  destinationOf(host: string, port: number): Promise<Destination>;
  /**
   * Hands the client of a forward to the adapter of the target that the forward names, where it gets a session of its
   * own with the same identity. `permit` is that of the forward. A refusal: nothing was handed over.
   */
  handOver(
    session: Session,
    permit: Permit,
    to: Extract<Destination, { kind: "target" }>,
    stream: ByteStream,
  ): Refusal | null;
  operationId(): OperationId;
  /** One line for the gateway's operator; clients never see it. */
  report(line: string): void;
  /**
   * Tells the operator a refusal's detail under its id; nothing when it has none. Of the adapter's own refusals: what the
   * gate refuses is told already. The same one is told once, and many of them become a count.
   */
  explain(refusal: Refusal): void;
  /** Decides, records and starts one operation. Synchronous; first in, first out per session. Never throws. */
  submit(session: Session, operation: Operation, exchange: Exchange): void;
  /** Its client wants this operation no more: people who are still asked for it are asked no longer, and it is refused. */
  withdraw(session: Session, operation: OperationId): void;
  /** Records a refusal of the adapter's own (a limit, a message that may not come); otherwise as submit(). */
  refuse(session: Session, operation: Operation, refusal: Refusal, exchange: Exchange): void;
  /** The gateway's own operation on a session: recorded and started like any other, but not decided by policy. */
  submitHouse(session: Session, operation: Operation, exchange: Exchange): void;
  /** As Policy.masks(), of the policy that is active now. */
  masks(session: Session, accesses: readonly Access[]): readonly (AccessMask | null)[];
  /** As Policy.maskTransforms(), of the policy that is active now. */
  maskTransforms(target: Target, accesses: readonly Access[]): readonly (readonly MaskTransform[])[];
  /** As Policy.mayCompare(), of the policy that is active now. */
  mayCompare(target: Target, accesses: readonly Access[]): readonly boolean[];
  /**
   * `callback` is called at once whenever another policy has become active and the session stays open under it, until
   * the session is closed. One that throws ends its session.
   */
  onPolicyChange(session: Session, callback: () => void): void;
  /** What an obligation masks by content, with the patterns of the policy that is active now; null: nothing. */
  contentMask(mask: MaskObligation): ContentMask | null;
  /**
   * An operation under limits has only now begun at its target: what it waited for in its adapter's own queue does not
   * count against its time.
   */
  begun(permit: Permit): void;
  /**
   * Counts rows (returned or affected) and bytes of an operation, before they reach the client. A refusal: a limit or
   * a budget would be passed; nothing was counted, nothing of it may go on, and what it did must not be committed.
   */
  spend(permit: Permit, rows: number, bytes: number): Refusal | null;
  /**
   * Where an operation is recorded: its own terminal, or the session's transcript; null when its obligations record nothing. Throws
   * RecordingFailed when the recording cannot go on: the session is being ended.
   */
  recording(permit: Permit): Recording | null;
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
  /** As in its Arrival; absent: the client came by itself. */
  readonly through?: Through;
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
  /** Private keys in PEM by which clients of SSH know the listener; empty for other protocols. */
  readonly hostKeys: readonly string[];
  /** What keys of SSH must be exchanged by; left out: by anything that is good today. */
  readonly keyExchange?: "post-quantum" | undefined;
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
  /** Whoever connects from now on is shown this certificate; who is there stays. Absent: the protocol has none. */
  renewTls?(tls: NonNullable<Listen["tls"]>): void;
  /** Stops accepting, ends idle sessions, lets running operations finish within the drain time, then ends the rest. */
  drain(): Promise<void>;
};

/** A protocol the gateway speaks. */
export type Adapter = {
  readonly name: string;
  readonly vocabularies: readonly Vocabulary[];
  /** The obligations it can really keep; the policy checker and the gate refuse any other. */
  readonly keeps: readonly KeptKind[];
  /** What it lends to the tools of policy. */
  readonly policy: PolicyTools;
  /** Binds and serves; rejects with a sentence for people when it cannot. */
  serve(door: Door, listen: Listen): Promise<Served>;
  /** Serves a client that was handed over: who it is, is proven, and it may go to this one target. Absent: none can be. */
  accept?(door: Door, stream: ByteStream, arrival: Arrival): void;
  /** Where the target is: what no forward may lead to past the gateway. */
  endpoints(target: Target): readonly Endpoint[];
  /** Can the target be reached and logged in to? Null when all is well, else a sentence for people. */
  probe(door: Door, target: Target): Promise<string | null>;
  /** What a target that can be reached shows of who it is, beside what is configured: a sentence for people; null: nothing. */
  presented?(door: Door, target: Target): Promise<string | null>;
};

/* ---- between the gate and its parts ---- */

export interface Clock {
  now(): TimeMs;
}

/** Grows by one with each record handed to the log. */
export type Sequence = number;

/** What policy could mask of one column in a session. */
export type AccessMask = { readonly transform: MaskTransform; readonly predicates: Predicates };

/** The policy that is active now. */
export interface Policy {
  /** Grows whenever another set becomes active: what was cached for an older epoch is void. */
  readonly epoch: number;
  /** Lower-case hex SHA-256 of the set. */
  readonly digest: string;
  /** The set's git commit, `dirty`, or null outside git. */
  readonly commit: string | null;
  /** `given`: what people have given for this operation; left out: nothing. */
  decide(session: Session, operation: Operation, now: TimeMs, given?: Given): Decision;
  /** The next moment after `now` at which a decision could change by time alone; Infinity when there is none. */
  nextEdge(now: TimeMs): TimeMs;
  /** Could some permit match for this identity on this target, and does no deny on `connect` apply? */
  mayConnect(session: Session, operation: Operation, now: TimeMs, given?: Given): Decision;
  /**
   * For each access (of one column): the strictest join of the masks that any rule could lay on it in this session from
   * `now` on, whatever the access's class, the time, the windows and the conditions; null: none can. An exception
   * counts only when it surely applies, always. Facts that are UNKNOWN stand for any value. `given` as decide().
   */
  masks(session: Session, accesses: readonly Access[], now: TimeMs, given?: Given): readonly (AccessMask | null)[];
  /** For each access (of one column): every transform that masks() could answer for anybody on this target, closed under joining; empty: none. */
  maskTransforms(target: Target, accesses: readonly Access[]): readonly (readonly MaskTransform[])[];
  /** For each access (of one column): could masks() answer with `predicates: equality` for anybody on this target? May say yes too often. */
  mayCompare(target: Target, accesses: readonly Access[]): readonly boolean[];
  /** Called at once whenever another set has become active. One listener: the door. */
  onChange(callback: () => void): void;
  /** The regular expression (RE2 syntax) of an author's pattern; null: there is none of this name. */
  pattern(name: string): string | null;
}

/** Which record an entry of the log holds. */
export type EventKind =
  | "login.ok"
  | "login.failed"
  | "session.refused"
  | "alert.raised"
  | "policy.activated"
  | "policy.rejected"
  | "policy.alarmed"
  | "token.created"
  | "token.revoked"
  | "gateway.started"
  | "gateway.stopped"
  | "config.loaded"
  | "clock.stepped"
  | "clock.confirmed"
  | "session.killed"
  | "loss.accepted"
  | "witness.failed"
  | "witness.recovered"
  | "ship.failed"
  | "ship.recovered"
  | "stream.failed"
  | "stream.recovered"
  | "recording.started"
  | "recording.segment"
  | "recording.ended"
  | "recording.unsealed"
  | "recording.shredded"
  | "recording.pruned";

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
  /** As Door.knowsKey(). */
  knowsKey(publicKey: Uint8Array): boolean;
}

/** Counts what rates and budgets allow. Its state survives a restart. Never throws: what cannot be counted is refused. */
export interface Meters {
  /** Takes one call from each meter of calls and looks whether the others have something left, or says which has not. */
  admit(session: Session, meters: readonly Meter[], now: TimeMs): Spending | Refusal;
  /** Forgets what was counted for a session that has ended. */
  forget(session: SessionId): void;
}

/** What one operation goes on to use of its meters. */
export interface Spending {
  /** Rows and bytes as they flow, all or nothing; a refusal when a budget has not so much left. */
  add(rows: number, bytes: number): Refusal | null;
  /** The operation has ended. May be called twice. */
  end(): void;
}

/** Asks people. Answers once; the gate decides again afterwards. When `signal` aborts, nobody waits for the answer any more. */
export interface Approvals {
  ask(
    operation: Operation,
    decision: Extract<Decision, { kind: "ask" }>,
    pending: (approval: PendingApproval) => void,
    signal: AbortSignal,
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
  writePart(bytes: Uint8Array, start: number, end: number): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  onClose(callback: (error: Error | null) => void): void;
  pause(): void;
  resume(): void;
  startTls(options: TlsOptions): Promise<TlsPeer>;
  close(): void;
}
