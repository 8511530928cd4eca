/** The local interface over a real socket: what it answers, and what it says when it cannot. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "./client.ts";
import { socketPath } from "./data-folder.ts";
import type { House, Status, TokenOrder, TokenView } from "./house.ts";
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
  targets: [{ name: "db", adapter: "postgres", problem: null }],
  policy: { digest: "d", commit: null, problems: [] },
  log: { durability: "strict", entries: 1, failure: null, lastWitness: null },
};
const ORDER: TokenOrder = { subject: "bot", kind: "agent", groups: ["g"], owner: null, expiresInMs: 1000 };

let folder: string;
let server: ApiServer;
let orders: TokenOrder[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-api-"));
  orders = [];
  const house: House = {
    listeners: STATUS.listeners,
    status: async () => STATUS,
    createToken: async (order) => {
      if (order.subject === "no") throw new Error("the subject must not be no");
      orders.push(order);
      return { token: "weir_x", record: TOKEN };
    },
    listTokens: async () => [TOKEN],
    revokeToken: async (id) => (id === "abc" ? { ...TOKEN, revoked: "2026-11-21T00:00:00.000Z" } : null),
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
