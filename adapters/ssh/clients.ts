/** The clients of one gateway: bounds their logins, and keeps their connections until they are drained. */
import { refusal } from "../../src/core/decision.ts";
import type { Arrival, Clock, Door, ListenLimits } from "../../src/core/ports.ts";
import type { ClientLink } from "./client-link.ts";
import type { ClientSocket } from "./client-socket.ts";
import { Connection } from "./connection.ts";
import type { HostKeys } from "./host-keys.ts";
import { Startups } from "./startups.ts";

export type ClientsParts = {
  readonly door: Door;
  readonly clock: Clock;
  readonly hostKeys: HostKeys;
  readonly limits: ListenLimits;
};

export class Clients {
  readonly #parts: ClientsParts;
  readonly #connections = new Set<Connection>();
  readonly #startups = new Startups();
  #isDraining = false;
  #whenEmpty: (() => void) | null = null;

  constructor(parts: ClientsParts) {
    this.#parts = parts;
  }

  /** A socket has been accepted. */
  accepted(socket: ClientSocket): void {
    if (this.#isDraining || !this.#startups.enter(socket.source)) return socket.terminate();
    this.#begin(socket, null, () => this.#startups.leave(socket.source));
  }

  /** A forward leads here: whoever comes so has logged in before, so strangers can neither crowd it out, nor come this way. */
  arrived(link: ClientLink, arrival: Arrival): void {
    if (this.#isDraining) link.end();
    else this.#begin(link, arrival, () => {});
  }

  /** Ends idle connections at once, and the rest when they are idle or the drain time has passed. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size === 0) return;
    const { drainTimeMs } = this.#parts.limits;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty = resolve;
    const timer = setTimeout(() => {
      const late = refusal("draining", `the gateway is shutting down and ${drainTimeMs} ms have passed`);
      for (const connection of this.#connections) connection.end(late);
    }, drainTimeMs);
    await promise;
    clearTimeout(timer);
  }

  /** `startupOver` is called once: when the client has logged in, or is gone. */
  #begin(socket: ClientLink, arrival: Arrival | null, startupOver: () => void): void {
    const { limits } = this.#parts;
    const loginOver = once(() => {
      clearTimeout(timer);
      startupOver();
    });
    const connection: Connection = new Connection({
      ...this.#parts,
      socket,
      arrival,
      onLoggedIn: loginOver,
      onEnd: () => {
        loginOver();
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#whenEmpty?.();
      },
    });
    const late = refusal("limit", `no login within ${limits.loginTimeMs} ms`);
    const timer = setTimeout(() => connection.end(late), limits.loginTimeMs);
    this.#connections.add(connection);
    connection.begin();
  }
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}
