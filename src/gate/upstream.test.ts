/** A target behind permits: nothing is sent or secured without one, and all else passes as it is. */
import { describe, expect, test } from "bun:test";
import type { Connection, TlsOptions, TlsPeer } from "../core/ports.ts";
import { MintedPermit, PermitRequired } from "./permit.ts";
import { PermittedUpstream } from "./upstream.ts";

const PEER: TlsPeer = { certificateDer: new Uint8Array([1]) };
const TLS: TlsOptions = { verify: "full", serverName: "db" };

/** A connection that notes what is asked of it, and calls back when told to. */
class NotingConnection implements Connection {
  readonly address = "10.0.0.9:5432";
  readonly isLoopback = true;
  readonly asked: unknown[] = [];
  arrive: (bytes: Uint8Array) => void = () => {};
  drained: () => void = () => {};
  closed: (error: Error | null) => void = () => {};

  write(bytes: Uint8Array): boolean {
    this.asked.push(bytes);
    return false;
  }
  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    this.asked.push([bytes, start, end]);
    return false;
  }
  async startTls(options: TlsOptions): Promise<TlsPeer> {
    this.asked.push(options);
    return PEER;
  }
  onData(callback: (bytes: Uint8Array) => void): void {
    this.arrive = callback;
  }
  onDrain(callback: () => void): void {
    this.drained = callback;
  }
  onClose(callback: (error: Error | null) => void): void {
    this.closed = callback;
  }
  pause(): void {
    this.asked.push("pause");
  }
  resume(): void {
    this.asked.push("resume");
  }
  close(): void {
    this.asked.push("close");
  }
}

function upstreamOf(): { readonly connection: NotingConnection; readonly upstream: PermittedUpstream } {
  const connection = new NotingConnection();
  return { connection, upstream: new PermittedUpstream(connection, "S") };
}

describe("what needs a permit", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const living = new MintedPermit("x", {}, "S", 1);

  test("passes with a living one of the session, with the connection's own answer", async () => {
    const { connection, upstream } = upstreamOf();
    expect(upstream.write(living, bytes)).toBe(false);
    expect(upstream.writePart(living, bytes, 1, 2)).toBe(false);
    expect(await upstream.startTls(living, TLS)).toBe(PEER);
    expect(connection.asked).toEqual([bytes, [bytes, 1, 2], TLS]);
  });

  test("touches nothing with a dead one, or one of another session", () => {
    const dead = new MintedPermit("y", {}, "S", 2);
    dead.kill();
    for (const permit of [dead, new MintedPermit("z", {}, "T", 3)]) {
      const { connection, upstream } = upstreamOf();
      expect(() => upstream.write(permit, bytes)).toThrow(PermitRequired);
      expect(() => upstream.writePart(permit, bytes, 0, 1)).toThrow(PermitRequired);
      expect(() => upstream.startTls(permit, TLS)).toThrow(PermitRequired);
      expect(connection.asked).toEqual([]);
    }
  });
});

test("what arrives, room to write and the end are told, and reading is held back and ended as asked", () => {
  const { connection, upstream } = upstreamOf();
  const told: unknown[] = [];
  upstream.onData((bytes) => told.push(bytes));
  upstream.onDrain(() => told.push("room"));
  upstream.onClose((error) => told.push(error));
  const bytes = new Uint8Array([7]);
  connection.arrive(bytes);
  connection.drained();
  connection.closed(null);
  expect(told).toEqual([bytes, "room", null]);
  upstream.pause();
  upstream.resume();
  upstream.close();
  expect(connection.asked).toEqual(["pause", "resume", "close"]);
  expect(upstream.address).toBe("10.0.0.9:5432");
  expect(upstream.isLoopback).toBe(true);
});
