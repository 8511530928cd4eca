/** A gateway that does not start leaves nothing behind. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADAPTERS, TARGET_SCHEMAS, VOCABULARIES } from "../adapters/index.ts";
import { PERMIT_ALL } from "./gateway.ts";
import { freePort } from "./servers/free-port.ts";
import { loadConfig } from "../src/config/load.ts";
import { startGateway } from "../src/main.ts";

test("of two listeners of which the second cannot be bound, the first is closed again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-main-"));
  const taken = createServer();
  await new Promise<void>((resolve) => void taken.listen(0, "127.0.0.1", resolve));
  try {
    const address = taken.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const port = await freePort();
    for (const [path, text] of Object.entries(PERMIT_ALL)) {
      const file = join(folder, "policies", path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text);
    }
    const listen = {
      postgres: { host: "127.0.0.1", port, tls: "off" },
      ssh: { host: "127.0.0.1", port: address.port },
    };
    const file = join(folder, "weir.yaml");
    writeFileSync(file, JSON.stringify({ name: "gw", data: "./data", policies: "./policies", listen, targets: {} }));
    const { config, problems } = loadConfig(file, { adapters: TARGET_SCHEMAS, env: {} });
    if (config === null) throw new Error(JSON.stringify(problems));
    const start = startGateway({
      config,
      adapters: ADAPTERS,
      vocabularies: VOCABULARIES,
      version: "0",
      clock: { now: () => Date.now() },
      say: () => {},
    });
    await expect(start).rejects.toThrow(`cannot listen on 127.0.0.1:${address.port} for ssh`);
    const again = createServer();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    again.once("error", reject);
    again.listen({ port, host: "127.0.0.1", exclusive: true }, resolve);
    await promise;
    again.close();
  } finally {
    taken.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
