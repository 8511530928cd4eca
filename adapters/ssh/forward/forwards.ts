/** The forwards of one client connection: each connection that is forwarded, and each place where the target listens, is an operation of its own. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { Outcome, Permit } from "../../../src/core/ports.ts";
import type { ClientChannel, Originator, TargetChannel } from "../channels.ts";
import { ForwardRun, type ForwardAsked, type ForwardParts, type ForwardWork } from "./forward-run.ts";
import { HandedChannel } from "./handed-channel.ts";
import { leadsNowhere, readBind, readDestination, readSocketPath, type Place } from "./place.ts";
import { Tunnel } from "./tunnel.ts";

/** Forwarded connections of one client connection at a time. */
const CONNECTIONS_MAX = 256;
/** Places where a target listens for one client connection. */
const LISTENERS_MAX = 32;
/** Refused in a minute: each is in the log, and whoever is refused as often learns nothing from more. */
const REFUSED_LISTENERS_MAX = 64;
const MINUTE_MS = 60_000;
const TEXT_CHARS_MAX = 300;

/** Opens channels towards the client; each rejects when the client does not take one. */
export interface ClientOpener {
  /** `host` and `port` as the client had asked for them; of port 0, the port that it was told. */
  forwardedTcpip(host: string, port: number, originator: Originator): Promise<ClientChannel>;
  forwardedStreamlocal(path: string): Promise<ClientChannel>;
}

export type ForwardsParts = ForwardParts & {
  readonly client: ClientOpener;
  /** No connection is being forwarded any more. */
  onIdle(): void;
};

/** A host and a port as the client writes them. */
type Asked = { readonly host: string; readonly port: number };

/** A client's request to open a channel: accept() opens it, once; otherwise reject() is called, once. */
type Opening = { readonly accept: () => ClientChannel; readonly reject: (no: Refusal) => void };

/** Ends a listener at the target; rejects when the target goes on listening. */
type Unlisten = () => Promise<void>;

/** A place where the target listens. */
type Listener = {
  readonly asked: string;
  readonly fact: string;
  /** Null: a Unix socket. Of port 0, the one that the target has chosen. */
  port: number | null;
  readonly run: ForwardRun;
  unlisten: Unlisten;
  isClosed: boolean;
};

export class Forwards {
  readonly #parts: ForwardsParts;
  readonly #connections = new Set<ForwardRun>();
  readonly #listeners = new Set<Listener>();
  #refused = 0;
  #refusedSinceMs = -Infinity;
  #isOver = false;

  constructor(parts: ForwardsParts) {
    this.#parts = parts;
  }

  /** No connection is being forwarded now. */
  get isIdle(): boolean {
    return this.#connections.size === 0;
  }

  /** A `direct-tcpip` channel (RFC 4254, section 7.2). */
  directTcpip(asked: Asked, originator: Originator, { accept, reject }: Opening): void {
    const place = readDestination(asked.host, asked.port);
    const isRefused = "code" in place;
    const where = isRefused ? written(asked) : place.fact;
    const text = `${where} from ${written({ host: originator.address, port: originator.port })}`;
    const begin: ForwardWork["begin"] = async (run, permit) =>
      isRefused ? place : this.#connectTcp(run, permit, place, originator, accept);
    this.#connection({ channel: "direct-tcpip", where, text }, { begin, refuse: reject }, isRefused ? place : null);
  }

  /** A `direct-streamlocal@openssh.com` channel (OpenSSH's PROTOCOL, section 2.4). */
  directStreamlocal(pathAsked: string, { accept, reject }: Opening): void {
    const path = readSocketPath(pathAsked);
    const isRefused = typeof path !== "string";
    const where = isRefused ? cut(pathAsked) : path;
    const begin: ForwardWork["begin"] = async (run, permit) => {
      if (isRefused) return path;
      this.#join(run, permit, await this.#parts.target.directStreamlocal(permit, path), accept);
      return null;
    };
    const what = { channel: "direct-streamlocal", where, text: where } as const;
    this.#connection(what, { begin, refuse: reject }, isRefused ? path : null);
  }

  /** A `tcpip-forward` request (RFC 4254, section 7.1); the answer is the port, or null for no. */
  tcpipForward(asked: Asked, answer: (port: number | null) => void): void {
    const place = readBind(asked.host, asked.port);
    const { target, client, opened } = this.#parts;
    const where = "code" in place ? written(asked) : place.fact;
    const listen = async (permit: Permit, listener: Listener): Promise<Unlisten | Refusal> => {
      if ("code" in place) return place;
      const { host } = place;
      const port = await target.listenTcp(permit, host, place.port, (channel, originator) => {
        const from = written({ host: originator.address, port: originator.port });
        this.#incoming(listener, `${where} reached from ${from}`, channel, () =>
          client.forwardedTcpip(asked.host, listener.port ?? asked.port, originator),
        );
      });
      listener.port = port;
      // To end something is the session's own affair: the listener's permit may be dead by then.
      return () => target.unlistenTcp(opened.permit, host, port);
    };
    const what = { channel: "tcpip-forward", where, text: where } as const;
    this.#listener(what, keyOf(asked), asked.port, "code" in place ? place : null, listen, (listener) =>
      answer(listener?.port ?? null),
    );
  }

  /** A `cancel-tcpip-forward` request; `port` may be the one that was asked for, or the one that was answered. */
  cancelTcpipForward({ host, port }: Asked, answer: (isDone: boolean) => void): void {
    const isMeant = (each: Listener): boolean =>
      each.asked === keyOf({ host, port }) || (each.asked === keyOf({ host, port: 0 }) && each.port === port);
    this.#cancelListener(isMeant, answer);
  }

  /** A `streamlocal-forward@openssh.com` request. */
  streamlocalForward(pathAsked: string, answer: (isDone: boolean) => void): void {
    const path = readSocketPath(pathAsked);
    const { target, client, opened } = this.#parts;
    const where = typeof path === "string" ? path : cut(pathAsked);
    const listen = async (permit: Permit, listener: Listener): Promise<Unlisten | Refusal> => {
      if (typeof path !== "string") return path;
      await target.listenStreamlocal(permit, path, (channel) =>
        this.#incoming(listener, where, channel, () => client.forwardedStreamlocal(pathAsked)),
      );
      return () => target.unlistenStreamlocal(opened.permit, path);
    };
    const what = { channel: "streamlocal-forward", where, text: where } as const;
    this.#listener(what, pathAsked, null, typeof path === "string" ? null : path, listen, (listener) =>
      answer(listener !== null),
    );
  }

  /** A `cancel-streamlocal-forward@openssh.com` request. */
  cancelStreamlocalForward(path: string, answer: (isDone: boolean) => void): void {
    this.#cancelListener(({ asked }) => asked === path, answer);
  }

  /**
   * The client's connection is closed (null), or is about to be: everything ends. To be called before the session is
   * closed; may be called twice.
   */
  end(reason: Refusal | null): void {
    this.#isOver = true;
    for (const { run } of this.#listeners) run.stop(reason);
    for (const run of this.#connections) run.stop(reason);
  }

  /* ---- connections ---- */

  async #connectTcp(
    run: ForwardRun,
    permit: Permit,
    place: Place,
    originator: Originator,
    accept: () => ClientChannel,
  ): Promise<Refusal | null> {
    const { door, opened, target } = this.#parts;
    const to = await door.destinationOf(place.written, place.port);
    if (run.hasEnded) return null;
    switch (to.kind) {
      case "closed":
        return leadsNowhere(place.fact, to.why);
      case "target": {
        const stream = new HandedChannel({ door, permit, accept, onEnd: (outcome) => run.finish(outcome) });
        const no = door.handOver(opened.session, permit, to, stream);
        if (no === null) run.running((reason) => stream.stop(reason));
        return no;
      }
      case "elsewhere":
        this.#join(run, permit, await target.directTcpip(permit, place.host, place.port, originator), accept);
        return null;
    }
  }

  /** A connection has come to where the target listens. */
  #incoming(listener: Listener, text: string, target: TargetChannel, open: () => Promise<ClientChannel>): void {
    if (listener.isClosed) return target.close();
    const { fact } = listener;
    const channel = listener.port === null ? "streamlocal-forward" : "tcpip-forward";
    this.#connection(
      { channel, where: fact, text },
      {
        begin: async (run, permit) => {
          const client = await open().catch(() => null);
          if (client === null) {
            run.stop(refusal("cancelled", "the client does not take this connection"));
            return null;
          }
          if (run.hasEnded) client.close();
          this.#join(run, permit, target, () => client);
          return null;
        },
        refuse: () => target.close(),
      },
      null,
    );
  }

  #connection(asked: ForwardAsked, work: ForwardWork, no: Refusal | null): void {
    const run: ForwardRun = new ForwardRun(this.#parts, asked, work, () => {
      this.#connections.delete(run);
      if (this.isIdle) this.#parts.onIdle();
    });
    const isFull = this.#connections.size >= CONNECTIONS_MAX;
    this.#connections.add(run);
    run.submit(isFull ? tooMany(`connections are being forwarded`, CONNECTIONS_MAX) : no);
  }

  #join(run: ForwardRun, permit: Permit, target: TargetChannel, accept: () => ClientChannel): void {
    if (run.hasEnded) return target.close();
    let client: ClientChannel;
    try {
      client = accept();
    } catch (error) {
      target.close();
      throw error;
    }
    const tunnel = new Tunnel({
      door: this.#parts.door,
      permit,
      client,
      target,
      record: run.record,
      onEnd: (outcome) => run.finish(outcome),
    });
    run.running((reason) => tunnel.stop(reason));
    tunnel.begin();
  }

  /* ---- listeners ---- */

  #listener(
    what: ForwardAsked & { readonly where: string },
    asked: string,
    port: number | null,
    no: Refusal | null,
    listen: (permit: Permit, listener: Listener) => Promise<Unlisten | Refusal>,
    answer: (listener: Listener | null) => void,
  ): void {
    let isRefused = false;
    const run: ForwardRun = new ForwardRun(
      this.#parts,
      what,
      {
        begin: async (_, permit) => {
          const unlisten = await listen(permit, listener);
          if (typeof unlisten !== "function") return unlisten;
          listener.unlisten = unlisten;
          if (run.hasEnded) {
            void this.#unlisten(listener);
            return null;
          }
          run.running((reason) => this.#closeListener(listener, reason));
          answer(listener);
          return null;
        },
        refuse: () => {
          isRefused = true;
          answer(null);
        },
      },
      () => {
        listener.isClosed = true;
        this.#listeners.delete(listener);
        if (isRefused) this.#listenerRefused();
      },
    );
    const listener: Listener = { asked, fact: what.where, port, run, unlisten: async () => {}, isClosed: false };
    // Port 0 is another one each time.
    const isThere = port !== 0 && [...this.#listeners].some((each) => each.asked === asked);
    const isFull = this.#listeners.size >= LISTENERS_MAX;
    this.#listeners.add(listener);
    if (isThere) return run.submit(refusal("denied", `the target listens on ${what.where} already`));
    run.submit(isFull ? tooMany(`places are being listened on`, LISTENERS_MAX) : no);
  }

  /** Nobody waits for the answer of a request that wants none: only its refusals tell how many there are. */
  #listenerRefused(): void {
    const nowMs = performance.now();
    if (nowMs - this.#refusedSinceMs >= MINUTE_MS) {
      this.#refusedSinceMs = nowMs;
      this.#refused = 0;
    }
    if (++this.#refused !== REFUSED_LISTENERS_MAX) return;
    const message = `${REFUSED_LISTENERS_MAX} places to listen on were refused within a minute`;
    this.#parts.endSession(refusal("limit", message));
  }

  #closeListener(listener: Listener, reason: Refusal | null): void {
    const outcome: Outcome = reason === null ? { status: "done" } : { status: "cancelled", code: reason.code };
    // With the client's connection the target's is closed, which then listens no more.
    if (this.#isOver) return listener.run.finish(outcome);
    void this.#unlisten(listener).finally(() => listener.run.finish(outcome));
  }

  async #unlisten(listener: Listener): Promise<boolean> {
    // Whether or not the target goes on listening, nothing of it reaches the client any more.
    listener.isClosed = true;
    try {
      await listener.unlisten();
      return true;
    } catch {
      return false;
    }
  }

  #cancelListener(isMeant: (listener: Listener) => boolean, answer: (isDone: boolean) => void): void {
    const listener = [...this.#listeners].find((each) => isMeant(each) && !each.isClosed);
    if (listener === undefined) return answer(false);
    void this.#unlisten(listener).then((isDone) => {
      listener.run.finish({ status: isDone ? "done" : "failed" });
      answer(isDone);
    });
  }
}

function tooMany(what: string, most: number): Refusal {
  return refusal("limit", `${most} ${what} on this connection, the most there may be`, {
    hint: "Close some, or open another connection.",
  });
}

function keyOf({ host, port }: Asked): string {
  return `${host}\n${port}`;
}

/** As the client wrote it, for the record. */
function written({ host, port }: Asked): string {
  return cut(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
}

function cut(text: string): string {
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}...` : text;
}
