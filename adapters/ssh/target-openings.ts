/** Channels that a target opens by itself: connections to where it listens, to the client's agent and to its display. */
import type { Upstream } from "../../src/core/ports.ts";
import type { OpenAsked } from "./channel-table.ts";
import type { Originator, TargetChannel, TargetService } from "./channels.ts";
import { PermittedChannel } from "./permitted-channel.ts";
import { OPEN_FAILURE } from "./protocol/messages.ts";

const HOST_BYTES_MAX = 1_024;
const NOWHERE: Originator = { address: "", port: 0 };

/** Takes a connection to where the target was asked to listen. */
export type Listener = (channel: TargetChannel, originator: Originator) => void;

export class TargetOpenings {
  readonly #upstream: Upstream;
  readonly #tcp = new Map<string, Listener>();
  readonly #sockets = new Map<string, Listener>();
  /** Those that the target was asked for, the newest last. */
  #services: TargetService[] = [];
  #isOver = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  hasTcp(host: string, port: number): boolean {
    return this.#tcp.has(placeOf(host, port));
  }

  addTcp(host: string, port: number, listener: Listener): void {
    this.#tcp.set(placeOf(host, port), listener);
  }

  removeTcp(host: string, port: number): void {
    this.#tcp.delete(placeOf(host, port));
  }

  addSocket(path: string, listener: Listener): void {
    this.#sockets.set(path, listener);
  }

  removeSocket(path: string): void {
    this.#sockets.delete(path);
  }

  addService(service: TargetService): void {
    this.#services = [...this.#services.filter(({ permit }) => permit !== null), service];
  }

  /** The connection is gone: nothing that is still asked for is accepted. */
  end(): void {
    this.#isOver = true;
  }

  /** The target wants to open a channel (RFC 4254, sections 6.3.2 and 7.2; OpenSSH's PROTOCOL, section 2.4). */
  asked(asked: OpenAsked): void {
    const { type, fields } = asked;
    switch (type) {
      case "forwarded-tcpip": {
        const place = placeOf(fields.utf8(), fields.u32());
        return this.#connected(asked, () => this.#tcp.get(place), { address: fields.utf8(), port: fields.u32() });
      }
      case "forwarded-streamlocal@openssh.com": {
        const path = fields.utf8();
        return this.#connected(asked, () => this.#sockets.get(path), NOWHERE);
      }
      case "auth-agent@openssh.com":
        return this.#reached(asked, "agent-forward", NOWHERE);
      case "x11":
        return this.#reached(asked, "x11", { address: fields.utf8(HOST_BYTES_MAX), port: fields.u32() });
      default:
        unasked(asked);
    }
  }

  /** The messages do not say for which session channel it comes: it is the newest's that asked. */
  #reached(asked: OpenAsked, kind: TargetService["kind"], originator: Originator): void {
    const service = this.#services.findLast((each) => each.kind === kind && each.takesConnections);
    if (service === undefined) return unasked(asked);
    const accept = (): TargetChannel => new PermittedChannel(asked.accept(true), this.#upstream);
    service.connected({ accept, reject: asked.reject }, originator);
  }

  /**
   * The first connection may come together with the answer that the target listens: it waits until whoever asked for
   * that has heard it.
   */
  #connected(asked: OpenAsked, find: () => Listener | undefined, originator: Originator): void {
    setImmediate(() => {
      const listener = this.#isOver ? undefined : find();
      if (listener === undefined) return unasked(asked);
      listener(new PermittedChannel(asked.accept(true), this.#upstream), originator);
    });
  }
}

function unasked(asked: OpenAsked): void {
  asked.reject(OPEN_FAILURE.prohibited, "nobody asked for this");
}

function placeOf(host: string, port: number): string {
  return `${host} ${port}`;
}
