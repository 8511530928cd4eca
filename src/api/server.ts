/** Serves the gateway's local interface on a socket in the data folder that only its owner can open. */
import { chmodSync } from "node:fs";
import { Hono } from "hono";
import { removeStaleSocket, socketPath } from "./data-folder.ts";
import type { House } from "./house.ts";
import { recordingRoutes } from "./recordings.ts";
import { logRoutes } from "./log.ts";
import { sessionRoutes } from "./sessions.ts";
import { tokenRoutes } from "./tokens.ts";

const BODY_BYTES_MAX = 65_536;

export type ApiServer = { stop(): Promise<void> };

/** The routes. */
function apiRoutes(house: House): Hono {
  const app = new Hono();
  app.get("/api/v1/health", (c) => c.json({ ok: true }));
  app.get("/api/v1/listeners", (c) => c.json({ listeners: house.listeners }));
  app.get("/api/v1/status", async (c) => c.json(await house.status()));
  app.post("/api/v1/clock/confirm", async (c) => c.json({ byMs: await house.confirmClock() }));
  app.route("/api/v1/tokens", tokenRoutes(house));
  app.route("/api/v1/sessions", sessionRoutes(house));
  app.route("/api/v1/recordings", recordingRoutes(house));
  app.route("/api/v1/log", logRoutes(house));
  app.notFound((c) => c.json({ error: { message: "there is no such thing here" } }, 404));
  app.onError((error, c) => c.json({ error: { message: error.message } }, 503));
  return app;
}

/** Binds the socket. The caller holds the lock of the data folder, so a socket that is there already is a dead one. */
export function serveApi(house: House, folder: string): ApiServer {
  const path = socketPath(folder);
  removeStaleSocket(folder);
  const app = apiRoutes(house);
  // Whoever connects between bind and chmod would have to get through the folder, which is the owner's only.
  const server = Bun.serve({
    unix: path,
    maxRequestBodySize: BODY_BYTES_MAX,
    fetch: async (request) => app.fetch(request),
  });
  chmodSync(path, 0o600);
  return {
    stop: async () => {
      await server.stop(true);
      removeStaleSocket(folder);
    },
  };
}
