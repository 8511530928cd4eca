/** Tests of plain connections: reaching, failing to reach, backpressure in both directions, and ends of every kind. */
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/servers/free-port.ts";
import type { Connection, Endpoint } from "../core/ports.ts";
import { DialError } from "./dial-error.ts";
import { DirectDialer } from "./direct.ts";

const TIMEOUT_MS = 10_000;
const dialer = new DirectDialer();
const servers: Server[] = [];
const folder = mkdtempSync(join(tmpdir(), "weir-dial-"));

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

/** A server on a free port, or on a socket file. */
async function serve(onConnection: (socket: Socket) => void, path?: string): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  servers.push(server);
  const { promise, resolve } = Promise.withResolvers<null>();
  if (path === undefined) server.listen(0, "127.0.0.1", () => resolve(null));
  else server.listen(path, () => resolve(null));
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") return { path: address ?? "" };
  return { host: "127.0.0.1", port: address.port };
}

const dial = async (endpoint: Endpoint, timeoutMs = TIMEOUT_MS): Promise<Connection> =>
  dialer.dial(endpoint, timeoutMs);

/** As dial(), whose short limit is for what comes later: a machine that is busy may pass it already while it connects. */
async function dialWithin(endpoint: Endpoint, timeoutMs: number): Promise<Connection> {
  for (;;) {
    try {
      return await dial(endpoint, timeoutMs);
    } catch (error) {
      if (!(error instanceof DialError) || !error.message.includes("no answer within")) throw error;
    }
  }
}

/** Everything that comes, until the end; rejects when the end is not orderly. */
async function collect(connection: Connection): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  connection.onData((bytes) => chunks.push(bytes));
  connection.onClose((error) => (error === null ? resolve(Buffer.concat(chunks)) : reject(error)));
  return promise;
}

async function closed(connection: Connection): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  connection.onClose(resolve);
  return promise;
}

const failure = async (endpoint: Endpoint, timeoutMs = TIMEOUT_MS): Promise<string> =>
  dial(endpoint, timeoutMs).then(
    () => "connected",
    (error: unknown) => (error instanceof DialError ? error.message : `not a DialError: ${String(error)}`),
  );

describe("reaching", () => {
  test("over TCP, by address and by name", async () => {
    const endpoint = await serve((socket) => socket.end("hello"));
    const { port } = endpoint as { port: number };
    for (const host of ["127.0.0.1", "localhost"]) {
      const connection = await dial({ host, port });
      expect(connection.address).toBe(`${host}:${port}`);
      expect(connection.isLoopback).toBe(true);
      expect((await collect(connection)).toString()).toBe("hello");
    }
  });

  test("over a socket file, which counts as this machine", async () => {
    const path = join(folder, "reach.sock");
    await serve((socket) => socket.end("hello"), path);
    const connection = await dial({ path });
    expect(connection.address).toBe(path);
    expect(connection.isLoopback).toBe(true);
    expect((await collect(connection)).toString()).toBe("hello");
    expect(existsSync(path)).toBe(true);
  });

  test("what cannot be reached is named, with the reason", async () => {
    const port = await freePort();
    expect(await failure({ host: "127.0.0.1", port })).toBe(
      `127.0.0.1:${port}: connection refused: nothing listens there`,
    );
    expect(await failure({ host: "::1", port })).toStartWith(`[::1]:${port}: `);
    // Whoever is asked for the name may be slow to answer, or may not answer at first.
    expect(await failure({ host: "nowhere.invalid", port }, 60_000)).toBe(
      `nowhere.invalid:${port}: the host name cannot be resolved`,
    );
    const path = join(folder, "none.sock");
    expect(await failure({ path })).toBe(`${path}: there is no such socket`);
  });

  test("nobody is waited for longer than the limit, and who comes too late is sent away", async () => {
    const { promise: left, resolve } = Promise.withResolvers<string>();
    const endpoint = await serve((socket) => {
      socket.on("close", () => resolve("left"));
      socket.resume();
    });
    const { promise: late, resolve: connectNow } = Promise.withResolvers<null>();
    const slow = new DirectDialer(async (options) => {
      await late;
      return "unix" in options ? Bun.connect(options) : Bun.connect(options);
    });
    const { port } = endpoint as { port: number };
    await expect(slow.dial(endpoint, 5)).rejects.toThrow(new DialError(`127.0.0.1:${port}: no answer within 5 ms`));
    connectNow(null);
    expect(await left).toBe("left");
  });
});

/** Bytes that show every loss, doubling and exchange. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff;
  return bytes;
}

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("backpressure", () => {
  test("write says when the peer does not read, drain when it does again, and every byte arrives once", async () => {
    const wanted = pattern(20_000_000);
    const { promise: arrived, resolve } = Promise.withResolvers<string>();
    const { promise: accepted, resolve: accept } = Promise.withResolvers<Socket>();
    const endpoint = await serve(accept);
    const connection = await dial(endpoint);
    const { promise: drained, resolve: onDrain } = Promise.withResolvers<null>();
    connection.onDrain(() => onDrain(null));
    // Small and large pieces take different ways.
    const sizes = [1, 60_000, 5, 8192, 8193, 300, 200_000];
    let hasSaidFull = false;
    for (let at = 0, piece = 0; at < wanted.length; piece++) {
      const size = sizes[piece % sizes.length] ?? 1;
      hasSaidFull = !connection.write(wanted.subarray(at, at + size)) || hasSaidFull;
      at += size;
    }
    expect(hasSaidFull).toBe(true);
    const sum = createHash("sha256");
    const peer = await accepted;
    peer.on("data", (chunk) => sum.update(chunk));
    peer.on("end", () => {
      peer.end();
      resolve(sum.digest("hex"));
    });
    await drained;
    connection.close();
    expect(await arrived).toBe(hash(wanted));
  });

  test("nothing comes after pause, and nothing is lost by it, though the peer has left meanwhile", async () => {
    const wanted = pattern(3_000_000);
    const endpoint = await serve((socket) => socket.end(wanted));
    const connection = await dial(endpoint);
    const chunks: Uint8Array[] = [];
    let isPaused = false;
    let cameWhilePaused = 0;
    const first = Promise.withResolvers<null>();
    const end = Promise.withResolvers<Error | null>();
    connection.onData((bytes) => {
      chunks.push(bytes);
      if (isPaused) cameWhilePaused++;
      if (chunks.length > 1) return;
      isPaused = true;
      connection.pause();
      first.resolve(null);
    });
    connection.onClose(end.resolve);
    await first.promise;
    // Another connection's whole life passes meanwhile.
    await collect(await dial(await serve((socket) => socket.end("x"))));
    expect(cameWhilePaused).toBe(0);
    isPaused = false;
    connection.resume();
    expect(await end.promise).toBeNull();
    expect(hash(Buffer.concat(chunks))).toBe(hash(wanted));
  });

  test("what comes before anybody listens waits, and so does the end behind it", async () => {
    const path = join(folder, "early.sock");
    await serve((socket) => socket.end("early"), path);
    const connection = await dial({ path });
    const events: string[] = [];
    const end = Promise.withResolvers<null>();
    connection.onClose(() => {
      events.push("close");
      end.resolve(null);
    });
    await collect(await dial({ path }));
    await collect(await dial({ path }));
    expect(events).toEqual([]);
    connection.onData((bytes) => events.push(Buffer.from(bytes).toString()));
    await end.promise;
    expect(events).toEqual(["early", "close"]);
  });

  test("a reset reaches a paused connection at once, yet nobody hears of it before the bytes that came first", async () => {
    const { promise: left, resolve: onLeft } = Promise.withResolvers<null>();
    const endpoint = await serve((socket) => {
      socket.write("last words", () => socket.resetAndDestroy());
      socket.on("close", () => onLeft(null));
    });
    const connection = await dial(endpoint);
    connection.pause();
    const events: string[] = [];
    const end = Promise.withResolvers<null>();
    connection.onData((bytes) => events.push(Buffer.from(bytes).toString()));
    connection.onClose((error) => {
      events.push(error === null ? "closed" : "reset");
      end.resolve(null);
    });
    await left;
    await collect(await dial(await serve((socket) => socket.end("x"))));
    expect(events).toEqual([]);
    connection.resume();
    await end.promise;
    expect(events).toEqual(["last words", "reset"]);
  });

  test("a listener that pauses in the middle of what waited gets the rest later", async () => {
    const endpoint = await serve((socket) => socket.write("a"));
    const connection = await dial(endpoint);
    connection.pause();
    const seen: string[] = [];
    const { promise, resolve } = Promise.withResolvers<null>();
    connection.onData((bytes) => {
      seen.push(Buffer.from(bytes).toString());
      resolve(null);
    });
    await collect(await dial(await serve((socket) => socket.end("x"))));
    expect(seen).toEqual([]);
    connection.resume();
    await promise;
    expect(seen).toEqual(["a"]);
    connection.close();
  });
});

describe("the end", () => {
  test("close sends what was written in the same turn", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const endpoint = await serve((socket) => {
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("end", () => resolve(text));
    });
    const connection = await dial(endpoint);
    connection.write(Buffer.from("one "));
    connection.write(Buffer.from("two"));
    connection.close();
    expect(await promise).toBe("one two");
  });

  test("a peer that does not take the last bytes is left after the limit", async () => {
    const endpoint = await serve((socket) => socket.pause());
    const connection = await dialWithin(endpoint, 200);
    const end = closed(connection);
    expect(connection.write(new Uint8Array(20_000_000))).toBe(false);
    connection.close();
    expect(await end).toBeNull();
  });

  test("nothing is delivered after close, and writing is no error", async () => {
    const endpoint = await serve((socket) => socket.on("data", (chunk) => socket.write(chunk)));
    const connection = await dial(endpoint);
    let delivered = 0;
    connection.onData(() => delivered++);
    const end = closed(connection);
    connection.write(Buffer.from("x"));
    connection.close();
    expect(connection.write(Buffer.from("y"))).toBe(false);
    connection.close();
    await end;
    expect(delivered).toBe(0);
  });

  test("a reset is told as an error, and to whoever asks late", async () => {
    const endpoint = await serve((socket) => socket.resetAndDestroy());
    const connection = await dial(endpoint);
    expect((await closed(connection))?.message).toContain("ECONNRESET");
    expect((await closed(connection))?.message).toContain("ECONNRESET");
  });

  test("a listener that throws ends the connection with its error", async () => {
    const endpoint = await serve((socket) => socket.write("x"));
    const connection = await dial(endpoint);
    const end = closed(connection);
    connection.onData(() => {
      throw new Error("a fault of the listener");
    });
    expect((await end)?.message).toBe("a fault of the listener");
  });
});
