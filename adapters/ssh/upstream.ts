/** The gateway's own connection to a target: dialled, its host key compared with the pinned ones, logged in; every byte needs a permit. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Door, OpenSession, Permit, Upstream } from "../../src/core/ports.ts";
import { isSameKey } from "../../src/core/ssh-public-key.ts";
import { messageOf } from "../../src/core/message-of.ts";
import { clientOffer } from "./algorithms.ts";
import { ChannelTable, type GlobalAsked, OpenRefused } from "./channel-table.ts";
import {
  type Originator,
  type RunOptions,
  type TargetChannel,
  type TargetConnection,
  TargetRefused,
  type TargetService,
} from "./channels.ts";
import { FieldWriter } from "./protocol/fields.ts";
import { askHome } from "./home.ts";
import { KeepAlive } from "./keep-alive.ts";
import { encodePty, encodeService, PermittedChannel } from "./permitted-channel.ts";
import { endpointOf, type SshSettings } from "./settings.ts";
import type { SshChannel } from "./ssh-channel.ts";
import { TargetOpenings, type Listener } from "./target-openings.ts";
import { TargetLogin } from "./target-login.ts";
import { Transport } from "./transport.ts";

/** For the key exchange and the login together. */
const LOGIN_TIME_MS_MAX = 15_000;
/** As many as a client may have, and the gateway's own. */
const CHANNELS_MAX = 512;
/** A target that says nothing is asked so often, and given up after this many unanswered questions. */
const ALIVE_MS = 15_000;
const ALIVE_UNANSWERED_MAX = 3;
const PORT_MAX = 65_535;

const HOST_KEY_PROBLEM = "its host key is not one of those that are configured";
/** In ssh2's words. */
const NO_SUCH_HOST_KEY = "no matching host key format";

/** True for a refusal of connectTarget() that is about who the target is. */
export function isOfHostKey(no: Refusal): boolean {
  return no.message.endsWith(HOST_KEY_PROBLEM);
}

/** Dials a target and logs in; a refusal says why not, with what only the operator may see in `detail`. */
export async function connectTarget(
  door: Door,
  opened: OpenSession,
  settings: SshSettings,
  login: string,
): Promise<TargetConnection | Refusal> {
  const upstream = await door.dial(opened.session, "session", endpointOf(settings));
  if (isRefusal(upstream)) return upstream;
  const connection = new SshTarget(upstream, opened.permit, settings, login);
  try {
    await connection.logIn();
    return connection;
  } catch (error) {
    connection.close();
    const { name } = opened.session.target;
    const isWords = error instanceof TargetRefused;
    return refusal(
      "target_unavailable",
      `the target "${name}" cannot be used: ${isWords ? error.message : "the connection failed"}`,
      {
        event: opened.session.id,
        hint: "The gateway's operator finds the reason under this id.",
        detail: isWords ? error.detail : messageOf(error),
      },
    );
  }
}

class SshTarget implements TargetConnection {
  readonly #upstream: Upstream;
  readonly #permit: Permit;
  readonly #transport: Transport;
  readonly #table: ChannelTable;
  readonly #keepAlive: KeepAlive;
  readonly #login: TargetLogin;
  readonly #ready = Promise.withResolvers<void>();
  readonly #openings: TargetOpenings;
  #hasAgent = false;
  #isLoggedIn = false;
  #hostKeyProblem: string | null = null;
  #home: Promise<string | null> | null = null;
  #isClosed = false;
  #error: Error | null = null;
  #onClose: ((error: Error | null) => void) | null = null;

  constructor(upstream: Upstream, permit: Permit, settings: SshSettings, login: string) {
    this.#upstream = upstream;
    this.#permit = permit;
    this.#openings = new TargetOpenings(upstream);
    this.#transport = new Transport(
      {
        kind: "client",
        offer: clientOffer(
          settings.hostKeys.map(({ type }) => type),
          settings.keyExchange,
        ),
        verify: (presented) => {
          if (settings.hostKeys.some(({ blob }) => isSameKey(blob, presented))) return true;
          const type = Buffer.from(presented).toString("latin1", 4, 4 + (presented[3] ?? 0));
          this.#hostKeyProblem = `it presented ${type} ${Buffer.from(presented).toString("base64")}`;
          return false;
        },
      },
      {
        write: (bytes) => this.#write(bytes),
        onReady: () => this.#ready.resolve(),
        onMessage: (type, payload) => this.#receive(type, payload),
        onDrain: () => this.#table.drained(),
        onDisconnect: (message) => this.#lost(new Error(`the target has ended the connection: ${message}`)),
        onError: (error) => this.#lost(error),
      },
    );
    this.#login = new TargetLogin(this.#transport, settings, login);
    this.#table = new ChannelTable({
      transport: this.#transport,
      channelsMax: CHANNELS_MAX,
      onOpen: (asked) => this.#openings.asked(asked),
      onGlobalRequest: (asked) => answerTarget(asked),
    });
    this.#keepAlive = new KeepAlive({
      table: this.#table,
      everyMs: ALIVE_MS,
      unansweredMax: ALIVE_UNANSWERED_MAX,
      onGone: () => this.#lost(new Error("the target does not answer any more")),
    });
    // Nobody may be waiting any more when it fails.
    this.#ready.promise.catch(() => {});
    upstream.onClose((error) => this.#lost(error));
    upstream.onDrain(() => this.#transport.drained());
  }

  /** Rejects with TargetRefused, or with what broke the connection. */
  async logIn(): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new TargetRefused("it did not answer in time", `no login within ${LOGIN_TIME_MS_MAX} ms`)),
      LOGIN_TIME_MS_MAX,
    );
    try {
      await this.#transport.start();
      this.#upstream.onData((bytes) => {
        this.#keepAlive.heard();
        this.#transport.receive(bytes);
      });
      await Promise.race([this.#ready.promise, late.promise]);
      await Promise.race([this.#login.begin(), late.promise]);
      this.#isLoggedIn = true;
      this.#keepAlive.begin();
    } catch (error) {
      const isOtherType = error instanceof Error && error.message.includes(NO_SUCH_HOST_KEY);
      const problem = isOtherType ? "it has no key of the configured types" : this.#hostKeyProblem;
      throw problem === null ? error : new TargetRefused(HOST_KEY_PROBLEM, problem);
    } finally {
      clearTimeout(timer);
    }
  }

  async exec(permit: Permit, command: string, options: RunOptions): Promise<TargetChannel> {
    return this.#session(permit, options, (channel) => channel.request("exec", true).string(command));
  }

  async shell(permit: Permit, options: RunOptions): Promise<TargetChannel> {
    return this.#session(permit, options, (channel) => channel.request("shell", true));
  }

  async subsystem(permit: Permit, name: string): Promise<TargetChannel> {
    const options = { pty: null, environment: {}, services: [] };
    return this.#session(permit, options, (channel) => channel.request("subsystem", true).string(name));
  }

  async directTcpip(permit: Permit, host: string, port: number, from: Originator): Promise<TargetChannel> {
    const fields = new FieldWriter().string(host).u32(port).string(from.address).u32(from.port).take();
    return new PermittedChannel(await this.#open(permit, "direct-tcpip", fields), this.#upstream);
  }

  async directStreamlocal(permit: Permit, path: string): Promise<TargetChannel> {
    const fields = new FieldWriter().string(path).string("").u32(0).take();
    return new PermittedChannel(await this.#open(permit, "direct-streamlocal@openssh.com", fields), this.#upstream);
  }

  async listenTcp(permit: Permit, host: string, port: number, onConnection: Listener): Promise<number> {
    this.#require(permit);
    // A connection may come right behind the answer.
    const isEarly = port !== 0 && !this.#openings.hasTcp(host, port);
    if (isEarly) this.#openings.addTcp(host, port, onConnection);
    const answer = await this.#table.ask("tcpip-forward", new FieldWriter().string(host).u32(port).take());
    if (answer === null) {
      if (isEarly) this.#openings.removeTcp(host, port);
      throw new TargetRefused("the target does not listen there");
    }
    const bound = port === 0 ? answer.u32() : port;
    if (bound === 0 || bound > PORT_MAX) throw new TargetRefused("the target names a port that does not exist");
    this.#openings.addTcp(host, bound, onConnection);
    return bound;
  }

  async unlistenTcp(permit: Permit, host: string, port: number): Promise<void> {
    this.#require(permit);
    this.#openings.removeTcp(host, port);
    await this.#table.ask("cancel-tcpip-forward", new FieldWriter().string(host).u32(port).take());
  }

  async listenStreamlocal(permit: Permit, path: string, onConnection: (channel: TargetChannel) => void): Promise<void> {
    this.#require(permit);
    const answer = await this.#table.ask("streamlocal-forward@openssh.com", new FieldWriter().string(path).take());
    if (answer === null) throw new TargetRefused("the target does not listen there");
    this.#openings.addSocket(path, (channel) => onConnection(channel));
  }

  async unlistenStreamlocal(permit: Permit, path: string): Promise<void> {
    this.#require(permit);
    this.#openings.removeSocket(path);
    await this.#table.ask("cancel-streamlocal-forward@openssh.com", new FieldWriter().string(path).take());
  }

  async home(): Promise<string | null> {
    this.#home ??= this.subsystem(this.#permit, "sftp").then(
      async (channel) => askHome(channel, this.#permit),
      () => null,
    );
    return this.#home;
  }

  onClose(callback: (error: Error | null) => void): void {
    this.#onClose = callback;
    if (this.#isClosed) queueMicrotask(() => callback(this.#error));
  }

  close(): void {
    if (!this.#isClosed) this.#lost(null);
  }

  async #session(
    permit: Permit,
    options: RunOptions,
    request: (channel: SshChannel) => FieldWriter,
  ): Promise<TargetChannel> {
    const channel = await this.#open(permit, "session", new Uint8Array(0));
    const permitted = new PermittedChannel(channel, this.#upstream);
    try {
      this.#require(permit);
      for (const [name, value] of Object.entries(options.environment)) {
        channel.message(channel.request("env", false).string(name).string(value).take());
      }
      if (options.pty !== null && !(await channel.ask(encodePty(channel, options.pty)))) {
        throw new TargetRefused("the target gives no terminal");
      }
      for (const service of options.services) await this.#serve(channel, service);
      this.#require(permit);
      if (!(await channel.ask(request(channel)))) throw new TargetRefused("the target does not start this");
      return permitted;
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  /** The command is run also when the target does not do this. */
  async #serve(channel: SshChannel, service: TargetService): Promise<void> {
    if (service.permit === null) return;
    this.#require(service.permit);
    const isMade = await channel.ask(encodeService(channel, service));
    // Of OpenSSH there is one agent's socket for all channels of a connection: it refuses to make another.
    if (!isMade && !(service.kind === "agent-forward" && this.#hasAgent)) return service.unavailable();
    this.#hasAgent ||= service.kind === "agent-forward";
    service.made();
    this.#openings.addService(service);
  }

  /** Rejects with TargetRefused. */
  async #open(permit: Permit, type: string, fields: Uint8Array): Promise<SshChannel> {
    this.#require(permit);
    try {
      return await this.#table.open(type, fields);
    } catch (error) {
      if (!(error instanceof OpenRefused)) throw error;
      throw new TargetRefused("the target does not open this", `${error.reason}: ${error.message}`);
    }
  }

  #require(permit: Permit): void {
    this.#upstream.require(permit);
  }

  #write(bytes: Uint8Array): boolean {
    try {
      return this.#upstream.write(this.#permit, bytes);
    } catch (error) {
      // The session is over: nothing more goes out.
      this.#lost(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
  }

  #receive(type: number, payload: Uint8Array): void {
    if (!this.#isLoggedIn && type < 80) return this.#login.receive(type, payload);
    if (!this.#table.receive(type, payload)) this.#transport.unimplemented();
  }

  #lost(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#openings.end();
    this.#error = error;
    this.#keepAlive.stop();
    const why = error ?? new Error("the target has closed the connection");
    this.#ready.reject(why);
    this.#login.fail(why);
    this.#transport.close();
    this.#upstream.close();
    this.#table.lost();
    this.#onClose?.(error);
  }
}

/** What servers ask of clients: whether they are there, and to learn their other keys, which are pinned here. */
function answerTarget({ reply }: GlobalAsked): void {
  reply(null);
}
