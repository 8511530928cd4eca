/** One client's connection from its login to its end: one session at the house, one connection to the target, many channels. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Arrival, Clock, Door, ListenLimits, OpenSession } from "../../src/core/ports.ts";
import type { ChannelParts } from "./channel-parts.ts";
import { ChannelTable, type GlobalAsked, type OpenAsked } from "./channel-table.ts";
import type { TargetConnection } from "./channels.ts";
import type { ClientLink } from "./client-link.ts";
import { Conversation } from "./conversation.ts";
import { Forwards } from "./forward/forwards.ts";
import { askForward, clientOpener, openForward, serviceOpener } from "./forward/requests.ts";
import type { HostKeys } from "./host-keys.ts";
import { KeepAlive } from "./keep-alive.ts";
import { type LoggedIn, Login } from "./login.ts";
import { openSession, reasonOf } from "./open-session.ts";
import { DISCONNECT, OPEN_FAILURE } from "./protocol/messages.ts";
import { refusalLine } from "./refuse.ts";
import { loginOf, settingsOf, type SshSettings } from "./settings.ts";
import { ProtocolError, Transport } from "./transport.ts";
import { connectTarget } from "./upstream.ts";

/** OpenSSH's MaxSessions is 10; a ControlMaster needs more. */
const SESSIONS_MAX = 64;
/** Beside sessions, the connections that are forwarded: a browser behind a SOCKS forward opens dozens. */
const CHANNELS_MAX = 384;
/** A client that says nothing is asked so often, and given up after this many unanswered questions. */
const ALIVE_MS = 30_000;
const ALIVE_UNANSWERED_MAX = 3;
/** How long a client may take to show what it was told before its connection is closed. */
const LAST_WORDS_TIME_MS = 2_000;
/** Above every message of the login (RFC 4250, section 4.1.2). */
const FIRST_CONNECTION_MESSAGE = 80;

export type ConnectionParts = {
  readonly door: Door;
  readonly clock: Clock;
  readonly socket: ClientLink;
  /** It comes through a forward, which has named the target; null: by itself. */
  readonly arrival: Arrival | null;
  readonly hostKeys: HostKeys;
  readonly limits: ListenLimits;
  onLoggedIn(): void;
  /** Called once. */
  onEnd(): void;
};

const NOTHING = new Uint8Array(0);

/** What all channels of an open session share. */
type Session = Omit<ChannelParts, "lane">;

export class Connection {
  readonly #parts: ConnectionParts;
  readonly #transport: Transport;
  readonly #login: Login;
  readonly #table: ChannelTable;
  readonly #keepAlive: KeepAlive;
  readonly #conversations = new Set<Conversation>();
  #session: Promise<Session | Refusal> | null = null;
  #opened: OpenSession | null = null;
  #target: TargetConnection | null = null;
  #forwards: Forwards | null = null;
  #lanes = 0;
  #takesSessions = true;
  #isDraining = false;
  #ending: Refusal | null = null;
  #isOver = false;
  #endTimer: Timer | null = null;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    const { socket, door, hostKeys } = parts;
    this.#transport = new Transport(
      { kind: "server", hostKeys: hostKeys.byAlgorithm, offers: hostKeys.offers },
      {
        write: (bytes) => socket.write(bytes),
        onReady: () => {},
        onMessage: (type, payload) => this.#receive(type, payload),
        onDrain: () => this.#table.drained(),
        onDisconnect: () => this.#over(),
        onError: () => this.#over(),
      },
    );
    this.#login = new Login({
      door,
      transport: this.#transport,
      source: socket.source,
      proven: parts.arrival?.identity ?? null,
      onLoggedIn: (login) => this.#loggedIn(login),
      onRefused: () => this.#over(),
    });
    this.#table = new ChannelTable({
      transport: this.#transport,
      channelsMax: CHANNELS_MAX,
      onOpen: (asked) => this.#openAsked(asked),
      onGlobalRequest: (asked) => this.#globalRequest(asked),
      onClosed: () => this.#endIfDrained(),
    });
    this.#keepAlive = new KeepAlive({
      table: this.#table,
      everyMs: ALIVE_MS,
      unansweredMax: ALIVE_UNANSWERED_MAX,
      onGone: () => this.#over(),
    });
    socket.onClose(() => this.#over());
    socket.onDrain(() => this.#transport.drained());
  }

  begin(): void {
    const { socket } = this.#parts;
    void this.#transport.start().then(() => {
      socket.onData((bytes) => {
        this.#keepAlive.heard();
        this.#transport.receive(bytes);
      });
    });
  }

  get isLoggedIn(): boolean {
    return this.#session !== null;
  }

  /** Ends when what runs has ended; at once when nothing does. */
  drain(): void {
    this.#isDraining = true;
    this.#takesSessions = false;
    this.#endIfDrained();
  }

  /** Stops what runs, says why, and closes. */
  end(reason: Refusal): void {
    if (this.#isOver || this.#ending !== null) return;
    this.#ending = reason;
    this.#parts.door.explain(reason);
    this.#takesSessions = false;
    this.#forwards?.end(reason);
    const conversations = [...this.#conversations];
    for (const conversation of conversations) conversation.end(reason);
    // A client that had channels shows what each was told, and leaves; one that had none is told now.
    if (conversations.length === 0) this.#sayGoodbye();
    else this.#endTimer = setTimeout(() => this.#sayGoodbye(), LAST_WORDS_TIME_MS);
  }

  #sayGoodbye(): void {
    const reason = this.#ending ?? refusal("internal", "the session has ended");
    this.#transport.disconnect(DISCONNECT.byApplication, refusalLine(reason));
    this.#over();
  }

  #receive(type: number, payload: Uint8Array): void {
    if (this.#session === null) return this.#login.receive(type, payload);
    // RFC 4252, section 5.1: what a client still asks for after its login is ignored.
    if (type < FIRST_CONNECTION_MESSAGE) return;
    if (!this.#table.receive(type, payload)) this.#transport.unimplemented();
  }

  #loggedIn(login: LoggedIn): void {
    this.#keepAlive.begin();
    this.#session = this.#open(login).catch((error: unknown) => {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const event = this.#opened?.session.id ?? this.#parts.door.operationId();
      return refusal("internal", "the gateway could not open this session", { event, detail });
    });
    void this.#session.then((session) => {
      if (!isRefusal(session)) return;
      // Of a client that has left, the detail is that nothing is sent for it any more.
      if (!this.#isOver) this.#parts.door.explain(session);
      this.#refused(session);
    });
    this.#parts.onLoggedIn();
  }

  /** Whoever opens a channel in time is told there, and everybody else by the end of the connection. */
  #refused(no: Refusal): void {
    if (this.#isOver || this.#ending !== null) return;
    this.#ending = no;
    this.#endTimer = setTimeout(() => this.#sayGoodbye(), LAST_WORDS_TIME_MS);
  }

  async #open(loggedIn: LoggedIn): Promise<Session | Refusal> {
    const { door, clock, limits, socket, arrival } = this.#parts;
    const { opened, asked } = await openSession(door, loggedIn, socket.source, arrival);
    if (isRefusal(opened)) return opened;
    if (this.#isOver) {
      door.close(opened.session, { status: "cancelled" });
      return refusal("cancelled", "the client has left");
    }
    this.#opened = opened;
    if (opened.cancelled.aborted) this.end(reasonOf(opened.cancelled));
    else opened.cancelled.addEventListener("abort", () => this.end(reasonOf(opened.cancelled)), { once: true });
    const settings: SshSettings = settingsOf(opened.session.target);
    const login = loginOf(settings, asked) ?? settings.user;
    const target = await connectTarget(door, opened, settings, login);
    if (isRefusal(target)) {
      this.#close("failed");
      return target;
    }
    if (this.#isOver) {
      target.close();
      return refusal("cancelled", "the client has left");
    }
    this.#target = target;
    target.onClose((error) => this.#targetLost(error));
    return { door, opened, clock, settings, login, target, limits, endSession: (reason) => this.end(reason) };
  }

  #targetLost(error: Error | null): void {
    if (this.#isOver) return;
    const event = this.#opened?.session.id ?? "";
    const detail = error?.message ?? "";
    const hint = "Connect again.";
    this.end(refusal("target_unavailable", "the connection to the target is lost", { event, hint, detail }));
  }

  #openAsked(asked: OpenAsked): void {
    const session = this.#session;
    if (session === null) throw new ProtocolError("a channel before the login");
    if (openForward(asked, this.#forwardsOf(session))) return;
    if (asked.type !== "session") return asked.reject(OPEN_FAILURE.unknownType, "weir: this is not served here");
    if (!this.#takesSessions) return asked.reject(OPEN_FAILURE.prohibited, "weir: no more sessions on this connection");
    if (this.#conversations.size >= SESSIONS_MAX) return asked.reject(OPEN_FAILURE.shortage, "weir: too many sessions");
    const lane = ++this.#lanes;
    const conversation: Conversation = new Conversation({
      channel: asked.accept(false),
      ready: session.then((shared) => (isRefusal(shared) ? shared : { ...shared, lane })),
      commandBytesMax: this.#parts.limits.statementBytesMax,
      nextLane: () => ++this.#lanes,
      services: serviceOpener(this.#table),
      onEnd: () => {
        this.#conversations.delete(conversation);
        this.#endIfDrained();
      },
    });
    this.#conversations.add(conversation);
  }

  #globalRequest(asked: GlobalAsked): void {
    const session = this.#session;
    if (session === null) throw new ProtocolError("a request before the login");
    if (asked.type === "no-more-sessions@openssh.com") {
      this.#takesSessions = false;
      return asked.reply(NOTHING);
    }
    if (!askForward(asked, this.#forwardsOf(session))) asked.reply(null);
  }

  async #forwardsOf(session: Promise<Session | Refusal>): Promise<Forwards | Refusal> {
    const shared = await session;
    if (isRefusal(shared)) return shared;
    if (this.#ending !== null) return this.#ending;
    if (this.#isDraining || this.#isOver) return refusal("draining", "this connection is about to be closed");
    return (this.#forwards ??= new Forwards({
      ...shared,
      nextLane: () => ++this.#lanes,
      client: clientOpener(this.#table),
      onIdle: () => this.#endIfDrained(),
    }));
  }

  /**
   * OpenSSH's client drops what it has read and not shown yet, and the exit status, when it is told of the end in the
   * same breath. It has shown all of a channel that it has closed in its turn.
   */
  #endIfDrained(): void {
    if (!this.#isDraining || this.#isOver || this.#table.isClosing) return;
    if ([...this.#conversations].some((conversation) => conversation.isBusy)) return;
    if (this.#forwards?.isIdle === false) return;
    this.end(refusal("draining", "the gateway is shutting down", { hint: "Connect again in a moment." }));
  }

  #close(status: "done" | "failed" | "cancelled"): void {
    if (this.#opened === null) return;
    this.#parts.door.close(this.#opened.session, { status });
    this.#opened = null;
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#keepAlive.stop();
    clearTimeout(this.#endTimer ?? undefined);
    const { failure } = this.#login;
    if (this.#session === null && failure !== null) this.#parts.door.loginFailed(this.#parts.socket.source, failure);
    this.#forwards?.end(this.#ending);
    this.#table.lost();
    this.#transport.close();
    this.#parts.socket.end();
    this.#target?.close();
    this.#close("done");
    this.#parts.onEnd();
  }
}
