/** Ports and sockets are forwarded through the gateway as they are directly. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, connect, type Server, type Socket } from "node:net";
import { rmSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { freePort } from "../../servers/free-port.ts";
import { digest, sampleBytes } from "./bytes.ts";
import { ssh } from "./clients.ts";
import { run } from "./programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

/** One of this machine's own that is not its loopback address, where no forward through the gateway may lead. */
const address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
const HERE = address ?? "127.0.0.1";

let roads: SshRoads;
let echo: Echo;
beforeAll(async () => {
  roads = await SshRoads.start();
  echo = await startEcho({ port: 0, host: HERE });
});
afterAll(async () => {
  await roads.stop();
  echo.server.close();
});

type Echo = { readonly server: Server; readonly port: number };

/** Sends back what it gets, and then the end. */
async function startEcho(where: Place): Promise<Echo> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => void server.listen(where, resolve));
  const address = server.address();
  return { server, port: address !== null && typeof address === "object" ? address.port : 0 };
}

type Place = { readonly port: number; readonly host: string } | { readonly path: string };

/** Resolves when somebody listens there: a forward from the target is made a little after the client is ready. */
async function listens(place: Place): Promise<void> {
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(place);
    socket.on("connect", () => resolve(true));
    socket.on("error", () => resolve(false));
    const isThere = await promise;
    socket.destroy();
    if (isThere) return;
    await Bun.sleep(20);
  }
}

/** Sends all, ends its half, and resolves with the digest of what came back. */
async function exchange(to: Place, bytes: Uint8Array): Promise<string> {
  await listens(to);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const received: Buffer[] = [];
  const socket: Socket = connect({ ...to, allowHalfOpen: true });
  socket.on("data", (chunk: Buffer) => void received.push(chunk));
  socket.on("end", () => resolve(digest(Buffer.concat(received))));
  socket.on("error", reject);
  socket.end(bytes);
  return promise;
}

/** Resolves when a connection was opened and closed again without a byte. */
async function refused(to: Place): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(to);
  // ssh closes it in whatever way.
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  socket.resume();
  await promise;
}

const BYTES = sampleBytes(3_000_000);

/** Runs `work` while ssh keeps these forwards open. */
async function forwarding<T>(road: Road, options: readonly string[], work: () => Promise<T>): Promise<T> {
  const master = join(road.folder, "forwards");
  const child = Bun.spawn([...ssh(road, "-N", "-M", "-S", master, "-o", "ExitOnForwardFailure=yes", ...options)], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  try {
    // The socket is there when the forwards are.
    while ((await run([...ssh(road, "-S", master, "-O", "check")])).status !== 0) {
      if (child.exitCode !== null) throw new Error(`ssh ended with status ${child.exitCode}`);
      await Bun.sleep(20);
    }
    return await work();
  } finally {
    // Not by a signal: the client misses one that comes right before it waits for what happens next.
    await run([...ssh(road, "-S", master, "-O", "exit")]);
    await child.exited;
  }
}

test("from here to there", async () => {
  const results = await roads.compare(async (road) => {
    const port = await freePort();
    return forwarding(road, ["-L", `127.0.0.1:${port}:${HERE}:${echo.port}`], () =>
      Promise.all(Array.from({ length: 5 }, () => exchange({ port, host: "127.0.0.1" }, BYTES))),
    );
  });
  expect(results).toEqual(Array.from({ length: 5 }, () => digest(BYTES)));
});

test("from there to here", async () => {
  const results = await roads.compare(async (road) => {
    const port = await freePort();
    return forwarding(road, ["-R", `127.0.0.1:${port}:${HERE}:${echo.port}`], () =>
      Promise.all(Array.from({ length: 5 }, () => exchange({ port, host: "127.0.0.1" }, BYTES))),
    );
  });
  expect(results).toEqual(Array.from({ length: 5 }, () => digest(BYTES)));
});

test("between sockets, both ways", async () => {
  const results = await roads.compare(async (road) => {
    const path = (name: string): string => join(road.folder, name);
    const far = await startEcho({ path: path("echo") });
    const options = ["-L", `${path("local")}:${path("echo")}`, "-R", `${path("remote")}:${path("echo")}`];
    try {
      return await forwarding(road, options, async () => [
        await exchange({ path: path("local") }, BYTES),
        await exchange({ path: path("remote") }, BYTES),
      ]);
    } finally {
      far.server.close();
      for (const name of ["local", "remote", "echo"]) rmSync(path(name), { force: true });
    }
  });
  expect(results).toEqual([digest(BYTES), digest(BYTES)]);
});

test("standard input and output as one connection", async () => {
  const ran = await roads.compare((road) =>
    run(ssh(road, "-W", `${HERE}:${echo.port}`), { stdin: "through standard input\n" }),
  );
  expect(ran).toEqual({ status: 0, stdout: "through standard input\n", stderr: "" });
});

test("nobody listens where a forward leads", async () => {
  const result = await roads.compare(async (road) => {
    const port = await freePort();
    const { status, stdout } = await run(ssh(road, "-W", `${HERE}:${port}`));
    return { status, stdout };
  });
  expect(result).toEqual({ status: 255, stdout: "" });
});

test("connections that nobody takes are told to the operator within bounds", async () => {
  const connections = 60;
  const [, road] = roads.all;
  const port = await freePort();
  const nobody = await freePort();
  const before = roads.gateway.log().length;
  await forwarding(road, ["-q", "-L", `127.0.0.1:${port}:${HERE}:${nobody}`], async () => {
    for (let count = 0; count < connections; count++) await refused({ port, host: "127.0.0.1" });
  });
  const lines = roads.gateway.log().slice(before).split("\n");
  const told = lines.filter((line) => line.includes("the target does not open this"));
  // Three of those with the same words have a line in a minute, and the rest is a count.
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThan(connections / 2);
});
