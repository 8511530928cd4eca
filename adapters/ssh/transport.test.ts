/** Tests that two transports understand each other, also while keys change under much traffic. */
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { isSameKey, readPublicKeyBlob } from "../../src/core/ssh-public-key.ts";
import { clientOffer } from "./algorithms.ts";
import { ExchangeRate } from "./exchange-rate.ts";
import { readHostKeys } from "./host-keys.ts";
import { Transport, type TransportListener, type TransportSide } from "./transport.ts";

const PACKETS = 400;
const PACKET_BYTES = 20_000;
const REKEY_BYTES = 500_000;
const DATA = 94;

/** One side, whose bytes reach the other in the order they were written, each write in a turn of its own. */
class Side {
  readonly transport: Transport;
  readonly ready = Promise.withResolvers<void>();
  readonly failed = Promise.withResolvers<never>();
  readonly received: Uint8Array[] = [];
  exchanges = 0;
  /** Takes nothing more. */
  isStuck = false;
  peer: Side | null = null;
  onReceived: (() => void) | null = null;
  #onDrain: (() => void) | null = null;

  constructor(side: TransportSide, rekeyBytes: number, rate?: ExchangeRate) {
    const listener: TransportListener = {
      write: (bytes) => {
        if (this.isStuck) return false;
        setImmediate(() => this.peer?.transport.receive(bytes));
        return true;
      },
      onReady: () => this.ready.resolve(),
      onMessage: (_type, payload) => {
        this.received.push(payload.slice());
        this.onReceived?.();
      },
      onDrain: () => {
        this.exchanges++;
        this.#onDrain?.();
      },
      onDisconnect: (message) => this.failed.reject(new Error(`disconnected: ${message}`)),
      onError: (error) => this.failed.reject(error),
    };
    this.transport = new Transport(side, listener, rekeyBytes, rate);
  }

  async sendAll(): Promise<void> {
    for (let n = 0; n < PACKETS; n++) {
      if (!this.transport.isWritable) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#onDrain = resolve;
        await promise;
      }
      this.transport.sendData(n, new Uint8Array(PACKET_BYTES).fill(n % 256), 0, PACKET_BYTES, false);
      if (n % 50 === 0) await Bun.sleep(0);
    }
  }

  async receiveAll(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.received.length === PACKETS) resolve();
    };
    this.onReceived = look;
    look();
    await promise;
  }
}

async function pair(serverBytes: number, clientBytes: number, rate?: ExchangeRate): Promise<[Side, Side]> {
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const { byAlgorithm, offers } = readHostKeys([pem]);
  const blob = byAlgorithm["ssh-ed25519"]?.blob ?? Buffer.alloc(0);
  const key = readPublicKeyBlob(blob);
  if (typeof key === "string") throw new Error(key);
  const server = new Side({ kind: "server", hostKeys: byAlgorithm, offers }, serverBytes, rate);
  const verify = (shown: Uint8Array): boolean => isSameKey(shown, blob);
  const client = new Side({ kind: "client", offer: clientOffer([key.type]), verify }, clientBytes);
  server.peer = client;
  client.peer = server;
  await Promise.all([server.transport.start(), client.transport.start()]);
  await Promise.race([Promise.all([server.ready.promise, client.ready.promise]), server.failed.promise]);
  return [server, client];
}

for (const [name, serverBytes, clientBytes] of [
  ["the server", REKEY_BYTES, Infinity],
  ["the client", Infinity, REKEY_BYTES],
  ["whoever is first", REKEY_BYTES, REKEY_BYTES],
] as const) {
  test(`${name} wants new keys while both sides send`, async () => {
    const [server, client] = await pair(serverBytes, clientBytes);
    const all = [server, client].flatMap((side) => [side.sendAll(), side.receiveAll()]);
    await Promise.race([Promise.all(all), server.failed.promise, client.failed.promise]);
    for (const side of [server, client]) {
      expect(side.exchanges).toBeGreaterThan(3);
      for (const [n, payload] of side.received.entries()) {
        expect([payload[0], payload.length, payload.at(-1)]).toEqual([DATA, PACKET_BYTES + 9, n % 256]);
      }
      side.transport.close();
    }
  });
}

test("a peer that asks and does not take the answers is given up", async () => {
  const [server, client] = await pair(Infinity, Infinity);
  server.isStuck = true;
  const answer = new Uint8Array(100);
  // Of which the first finds out that there is no room.
  for (let n = 0; n < 30_000; n++) {
    server.transport.send(answer);
    if (n % 1_000 === 0) await Bun.sleep(0);
  }
  await expect(server.failed.promise).rejects.toThrow("does not take the answers");
  for (const side of [server, client]) side.transport.close();
});

test("what was sent goes out also when the connection is closed in the same breath", async () => {
  const [server, client] = await pair(Infinity, Infinity);
  const { promise, resolve } = Promise.withResolvers<void>();
  client.transport.send(Uint8Array.of(DATA, 1));
  client.transport.close();
  // What carries it is closed right behind it.
  client.isStuck = true;
  server.onReceived = resolve;
  await promise;
  expect(server.received).toEqual([Uint8Array.of(DATA, 1)]);
  server.transport.close();
});

test("a peer that asks for new keys again and again for nothing is given up", async () => {
  const [server, client] = await pair(Infinity, 1, new ExchangeRate(20));
  const errors: string[] = [];
  void server.failed.promise.catch((error: unknown) => errors.push(String(error)));
  for (let n = 0; n < 2_000 && errors.length === 0; n++) {
    client.transport.send(Uint8Array.of(DATA));
    await Bun.sleep(0);
  }
  expect(errors.join("")).toContain("new keys too often");
  for (const side of [server, client]) side.transport.close();
});

test("a peer that asks for new keys after each few packets goes on", async () => {
  const [server, client] = await pair(Infinity, PACKET_BYTES, new ExchangeRate(2));
  await Promise.race([Promise.all([client.sendAll(), server.receiveAll()]), server.failed.promise]);
  expect(client.exchanges).toBeGreaterThan(4);
  for (const side of [server, client]) side.transport.close();
});

test("what keys were made of is forgotten when they are made", async () => {
  const keys = (): number => {
    Bun.gc(true);
    const { PrivateKeyObject: classical = 0, CryptoKey: postQuantum = 0 } = heapStats().objectTypeCounts;
    return classical + postQuantum;
  };
  const before = keys();
  const pairs: [Side, Side][] = [];
  for (let n = 0; n < 20; n++) pairs.push(await pair(Infinity, Infinity));
  // Each pair has its own host key; without this each side would have one more.
  expect(keys() - before).toBeLessThan(30);
  for (const side of pairs.flat()) side.transport.close();
});
