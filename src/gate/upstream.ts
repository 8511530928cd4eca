/** A connection to a target behind the check that every write carries a living permit of the same session. */
import type { Connection, Permit, TlsOptions, TlsPeer, Upstream } from "../core/ports.ts";
import type { SessionId } from "../core/session.ts";
import { MintedPermit, PermitRequired } from "./permit.ts";

export class PermittedUpstream implements Upstream {
  readonly #connection: Connection;
  readonly #session: SessionId;

  constructor(connection: Connection, session: SessionId) {
    this.#connection = connection;
    this.#session = session;
  }

  get address(): string {
    return this.#connection.address;
  }

  get isLoopback(): boolean {
    return this.#connection.isLoopback;
  }

  write(permit: Permit, bytes: Uint8Array): boolean {
    this.require(permit);
    return this.#connection.write(bytes);
  }

  writePart(permit: Permit, bytes: Uint8Array, start: number, end: number): boolean {
    this.require(permit);
    return this.#connection.writePart(bytes, start, end);
  }

  startTls(permit: Permit, options: TlsOptions): Promise<TlsPeer> {
    this.require(permit);
    return this.#connection.startTls(options);
  }

  onData(callback: (bytes: Uint8Array) => void): void {
    this.#connection.onData(callback);
  }

  onDrain(callback: () => void): void {
    this.#connection.onDrain(callback);
  }

  onClose(callback: (error: Error | null) => void): void {
    this.#connection.onClose(callback);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  close(): void {
    this.#connection.close();
  }

  /** A permit of another session is no better than none: its record would name the wrong identity. */
  require(permit: Permit): void {
    if (!MintedPermit.isAlive(permit))
      throw new PermitRequired("nothing is written to a target without a living permit");
    if (permit.session !== this.#session) throw new PermitRequired("this permit belongs to another session");
  }
}
