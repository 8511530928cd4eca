/** The local interface over a real socket: what it answers, and what it says when it cannot. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "./client.ts";
import { socketPath } from "./data-folder.ts";
import type { House, KillOrder, SessionView, Status, TokenOrder, TokenView } from "./house.ts";
import { serveApi } from "./server.ts";
import type { ApiServer } from "./server.ts";

const TOKEN: TokenView = {
  id: "abc",
  subject: "bot",
  kind: "agent",
  groups: ["g"],
  owner: null,
  created: "2026-11-20T00:00:00.000Z",
  expires: null,
  revoked: null,
};
const STATUS: Status = {
  name: "gw",
  version: "1",
  pid: 1,
  started: "2026-11-20T00:00:00.000Z",
  draining: false,
  listeners: [{ adapter: "postgres", host: "::1", port: 1, tls: true }],
  sessions: 0,
  clockSteppedByMs: null,
  targets: [{ name: "db", adapter: "postgres", problem: null }],
  policy: { digest: "d", commit: null, problems: [] },
  log: {
    durability: "strict",
    entries: 1,
    failure: null,
    witnesses: [],
    cosigned: null,
    witnessLagMs: 0,
    held: null,
    cosigner: null,
    stamps: null,
  },
  copies: [{ destination: "s3", where: "w", lagEntries: 1, lagSeconds: 2.5, failure: null, caveat: null }],
  streams: [{ stream: "otlp", where: "collector:4318", behind: 2, dropped: 0, failure: null }],
};
const SESSION: SessionView = {
  id: "s1",
  subject: "bot",
  issuer: "weir",
  kind: "agent",
  target: "db",
  adapter: "postgres",
  source: "127.0.0.1",
  through: { session: "s0", operation: "o1" },
  opened: "2026-11-20T00:00:00.000Z",
};
const ORDER: TokenOrder = { subject: "bot", kind: "agent", groups: ["g"], owner: null, expiresInMs: 1000 };

let folder: string;
let server: ApiServer;
let orders: TokenOrder[];
let kills: KillOrder[];
let custody: unknown[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-api-"));
  orders = [];
  kills = [];
  custody = [];
  const house: House = {
    listeners: STATUS.listeners,
    status: async () => STATUS,
    confirmClock: async () => 3_600_000,
    createToken: async (order) => {
      if (order.subject === "no") throw new Error("the subject must not be no");
      orders.push(order);
      return { token: "weir_x", record: TOKEN };
    },
    listTokens: async () => [TOKEN],
    recordUnsealing: async (order, keys) => void custody.push(["unsealed", order, keys]),
    shredRecording: async (order) => {
      custody.push(["shred", order]);
      return order.recording === "R-1" ? true : null;
    },
    revokeToken: async (id) => (id === "abc" ? { ...TOKEN, revoked: "2026-11-21T00:00:00.000Z" } : null),
    rotateLogKey: async () => ({ oldKey: "old", newKey: "new" }),
    pruneLog: async (before) => ({ first: 0, to: before, entries: before }),
    listSessions: async () => [SESSION],
    killSession: async (id, order) => {
      kills.push(order);
      return id === SESSION.id ? SESSION : null;
    },
  };
  server = serveApi(house, folder);
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function client(): Promise<ApiClient> {
  const connected = await ApiClient.connect(folder);
  if (connected === null) throw new Error("nobody answers");
  return connected;
}

async function ask(path: string, body?: string): Promise<Response> {
  const method = body === undefined ? "GET" : "POST";
  return fetch(`http://weir${path}`, { unix: socketPath(folder), method, ...(body === undefined ? {} : { body }) });
}

describe("the local interface", () => {
  test("answers its client", async () => {
    const api = await client();
    expect(await api.status()).toEqual(STATUS);
    expect(await api.listeners()).toEqual(STATUS.listeners);
    expect(await api.listTokens()).toEqual([TOKEN]);
    expect(await api.createToken(ORDER)).toEqual({ token: "weir_x", record: TOKEN });
    expect(orders).toEqual([ORDER]);
    expect(await api.revokeToken("abc")).toEqual({ ...TOKEN, revoked: "2026-11-21T00:00:00.000Z" });
    expect(await api.revokeToken("../status")).toBeNull();
  });

  test("has the log's key exchanged and its oldest entries taken away", async () => {
    const api = await client();
    expect(await api.rotateLogKey()).toEqual({ oldKey: "old", newKey: "new" });
    expect(await api.pruneLog(512)).toEqual({ first: 0, to: 512, entries: 512 });
    for (const body of ['{"before":-1}', '{"before":1.5}', "{}", "no JSON"]) {
      expect((await ask("/api/v1/log/prune", body)).status).toBe(400);
    }
  });

  test("lists sessions and ends them", async () => {
    const api = await client();
    const order = { user: "ann", reason: "it hangs" };
    expect(await api.listSessions()).toEqual([SESSION]);
    expect(await api.killSession("s2", order)).toBeNull();
    expect(await api.killSession("s1", order)).toEqual(SESSION);
    expect(kills).toEqual([order]);
    const tooLong = JSON.stringify({ user: null, reason: "x".repeat(501) });
    expect((await ask("/api/v1/sessions/s1/kill", tooLong)).status).toBe(400);
    expect((await ask("/api/v1/sessions/s1/kill", "{}")).status).toBe(400);
    expect((await ask("/api/v1/sessions/s2/kill", JSON.stringify(order))).status).toBe(404);
    expect(kills).toEqual([order, order]);
  });

  test("has the house record who opens a recording, and shred one", async () => {
    const api = await client();
    const order = { recording: "R-1", by: "ann (uid 1000)", reason: "case 7" };
    await api.recordUnsealing(order, ["age1x"]);
    expect(await api.shredRecording(order)).toBe(true);
    expect(await api.shredRecording({ ...order, recording: "../R-2" })).toBeNull();
    expect(custody).toEqual([
      ["unsealed", order, ["age1x"]],
      ["shred", order],
      ["shred", { ...order, recording: "../R-2" }],
    ]);
    custody = [];
    for (const body of ["x", "{}", JSON.stringify({ by: "ann", reason: "" }), JSON.stringify({ by: "ann" })]) {
      for (const what of ["unsealed", "shred"]) {
        expect((await ask(`/api/v1/recordings/R-1/${what}`, body)).status).toBe(400);
      }
    }
    expect(custody).toEqual([]);
  });

  test("passes on why something was refused", async () => {
    const api = await client();
    const message = await api.createToken({ ...ORDER, subject: "no" }).then(
      () => "made",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
    expect(message).toBe("the subject must not be no");
  });

  const wrong: readonly [name: string, body: string][] = [
    ["no JSON", "x"],
    ["a key too many", JSON.stringify({ ...ORDER, admin: true })],
    ["a kind that is none", JSON.stringify({ ...ORDER, kind: "root" })],
    ["a lifetime below nothing", JSON.stringify({ ...ORDER, expiresInMs: 0 })],
  ];
  for (const [name, body] of wrong) {
    test(`takes no order for a token with ${name}`, async () => {
      expect((await ask("/api/v1/tokens", body)).status).toBe(400);
      expect(orders).toEqual([]);
    });
  }

  test("knows nothing else", async () => {
    expect((await ask("/")).status).toBe(404);
    expect((await ask("/api/v1/tokens/none/revoke", "")).status).toBe(404);
    expect((await ask("/api/v1/tokens", "x".repeat(100_000))).status).toBe(413);
  });

  test("is gone when it was stopped, and nobody is taken for somebody", async () => {
    await server.stop();
    expect(await ApiClient.connect(folder)).toBeNull();
  });
});
