/** Forwards through a real gateway under policies: what is let through whole, what is refused, and how each ends. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Client as Ssh2Client } from "ssh2";
import { freePort } from "../../servers/free-port.ts";
import { forwardsPermit, type PolicedSsh, rulesOf, runProgram, startPolicedSsh, withForwards } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

/** One of this machine's own that is not its loopback address, where no forward may lead. */
const HERE = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
/** With --long under the limits that client and gateway have by themselves; else keys are exchanged all the more often. */
const MEBIBYTES = IS_LONG ? 1024 : 128;
const KEYS = IS_LONG ? [] : ["-o", "RekeyLimit=16M"];
const LOAD_BYTES = MEBIBYTES * 1024 * 1024;
/** What passes in ten seconds here takes minutes on a slow machine that has much else to do. */
const LOAD_TIME_MS_MAX = 600_000;
const BLOCK = createHash("sha512").update("weir").digest();
const CHUNK = Buffer.alloc(1024 * 1024, BLOCK);

let world: PolicedSsh;
let folder: string;
let echo: Place;
/** Reads all there is, then sends as much of its own and the digest of what it read. */
let mirror: Place;

type Place = { readonly server: Server; readonly port: number };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-forwards-"));
  echo = await serve((socket) => void socket.pipe(socket));
  mirror = await serve((socket) => {
    const read = createHash("sha256");
    socket.on("data", (chunk: Buffer) => void read.update(chunk));
    socket.on("end", () => {
      socket.write(`${read.digest("hex")}\n`);
      void sendLoad(socket);
    });
  });
  world = await startPolicedSsh({ "permits/all.yaml": permits() });
});
afterAll(async () => {
  await world?.stop();
  for (const place of [echo, mirror]) place?.server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What is permitted of each kind. */
function permits(): string {
  return rulesOf(
    "Permits",
    forwardsPermit("direct-tcpip", `${HERE}:*`, "nowhere.example:80"),
    forwardsPermit("tcpip-forward", "127.0.0.1:*"),
    forwardsPermit("direct-streamlocal", `${folder}/permitted`),
    forwardsPermit("streamlocal-forward", `${folder}/permitted-far`),
  );
}

async function serve(serving: (socket: Socket) => void, path?: string): Promise<Place> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    serving(socket);
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, HERE, resolve);
    else server.listen(path, resolve);
  });
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

async function sendLoad(socket: Socket): Promise<void> {
  for (let sent = 0; sent < LOAD_BYTES; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end();
}

/** Sends the text, ends its half, and resolves with what came back, null when the connection broke first. */
async function exchange(to: { port: number } | { path: string }, text: string): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connect({ host: "127.0.0.1", ...to, allowHalfOpen: true });
  let received = "";
  socket.on("data", (chunk: Buffer) => void (received += chunk.toString()));
  socket.on("end", () => resolve(received));
  socket.on("error", () => resolve(null));
  socket.end(text);
  return promise;
}

/** Sends something, and resolves when anything has come back. */
async function answered(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once("data", resolve).write("x"));
}

describe("what is permitted", () => {
  test(
    `comes whole: ${MEBIBYTES} MiB each way, each half for itself`,
    async () => {
      const port = await freePort();
      await withForwards(world, [...KEYS, "-L", `127.0.0.1:${port}:${HERE}:${mirror.port}`], async () => {
        const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
        const received = createHash("sha256");
        let head = "";
        let bytes = 0;
        const { promise, resolve } = Promise.withResolvers<void>();
        socket.on("data", (chunk: Buffer) => {
          let rest = chunk;
          if (!head.endsWith("\n")) {
            const end = chunk.indexOf(10) + 1 || chunk.length;
            head += chunk.subarray(0, end).toString();
            rest = chunk.subarray(end);
          }
          bytes += rest.length;
          received.update(rest);
        });
        socket.on("end", resolve);
        await sendLoad(socket);
        await promise;
        const whole = createHash("sha256");
        for (let sent = 0; sent < LOAD_BYTES; sent += CHUNK.length) whole.update(CHUNK);
        const digest = whole.digest("hex");
        expect({ bytes, head, received: received.digest("hex") }).toEqual({
          bytes: LOAD_BYTES,
          head: `${digest}\n`,
          received: digest,
        });
      });
    },
    LOAD_TIME_MS_MAX,
  );

  test("goes through one SSH connection two hundred times at once", async () => {
    const port = await freePort();
    const texts = Array.from({ length: 200 }, (_, at) => `connection ${at}`);
    const answers = await withForwards(world, ["-L", `127.0.0.1:${port}:${HERE}:${echo.port}`], () =>
      Promise.all(texts.map((text) => exchange({ port }, text))),
    );
    expect(answers).toEqual(texts);
  });

  test("is found by SOCKS", async () => {
    const port = await freePort();
    const web = Bun.serve({ hostname: HERE ?? "", port: 0, fetch: () => new Response("found") });
    try {
      const curl = await withForwards(world, ["-D", `127.0.0.1:${port}`], () =>
        runProgram(["curl", "-sS", "--socks5-hostname", `127.0.0.1:${port}`, `http://${HERE}:${web.port}/`]),
      );
      expect(curl).toEqual({ status: 0, stdout: "found", stderr: "" });
    } finally {
      await web.stop(true);
    }
  });

  test("comes from where the target listens, also at a port of its own choice", async () => {
    const client = new Ssh2Client();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    client.on("ready", resolve).on("error", reject);
    client.on("tcp connection", (_info, accept) => {
      const channel = accept();
      channel.pipe(channel);
    });
    const { privateKey } = world.server;
    client.connect({ host: "127.0.0.1", port: world.port, username: "box", privateKey, readyTimeout: 0 });
    await ready;
    const forwardIn = (bind: string, port: number): Promise<number> =>
      new Promise((resolve, reject) =>
        client.forwardIn(bind, port, (error, chosen) => (error ? reject(error) : resolve(chosen))),
      );
    try {
      const chosen = await forwardIn("127.0.0.1", 0);
      expect(await exchange({ port: chosen }, "to the client and back")).toBe("to the client and back");
      // Policy names one address only.
      expect(await forwardIn("0.0.0.0", 0).catch((error: Error) => error.message)).toContain("Unable to bind");
      await new Promise<void>((resolve, reject) =>
        client.unforwardIn("127.0.0.1", chosen, (error) => (error ? reject(error) : resolve())),
      );
      expect(await exchange({ port: chosen }, "late")).toBeNull();
    } finally {
      client.end();
    }
  });

  test("connects sockets, by the paths that policy names", async () => {
    const far = await serve((socket) => void socket.pipe(socket), join(folder, "permitted"));
    const other = await serve((socket) => void socket.pipe(socket), join(folder, "other"));
    const local = (name: string): string => join(folder, `local-${name}`);
    const options = ["permitted", "other"].flatMap((name) => ["-L", `${local(name)}:${join(folder, name)}`]);
    try {
      await withForwards(world, options, async () => {
        expect(await exchange({ path: local("permitted") }, "through")).toBe("through");
        expect((await exchange({ path: local("other") }, "through")) ?? "").toBe("");
      });
    } finally {
      far.server.close();
      other.server.close();
    }
  });

  test("lets the target listen at a socket, and no other", async () => {
    const path = join(folder, "permitted-far");
    const answer = await withForwards(world, ["-R", `${path}:${HERE}:${echo.port}`], () => exchange({ path }, "back"));
    expect(answer).toBe("back");
    const refused = withForwards(
      world,
      ["-R", `${join(folder, "not-permitted")}:${HERE}:${echo.port}`],
      async () => "open",
    );
    expect(await refused.catch((error: Error) => error.message)).toContain("ssh has ended");
    expect(existsSync(join(folder, "not-permitted"))).toBe(false);
  });
});

describe("an end comes to what is open", () => {
  test("when policy changes", async () => {
    const port = await freePort();
    await withForwards(world, ["-L", `127.0.0.1:${port}:${HERE}:${echo.port}`], async () => {
      const socket = connect({ host: "127.0.0.1", port });
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      await answered(socket);
      world.gateway.writePolicy("permits/all.yaml", rulesOf("Permits", forwardsPermit("direct-tcpip", "elsewhere:1")));
      await promise;
    });
    world.gateway.writePolicy("permits/all.yaml", permits());
    await world.gateway.policyTaken();
  });

  test("when an administrator ends the session", async () => {
    const port = await freePort();
    await withForwards(world, ["-L", `127.0.0.1:${port}:${HERE}:${echo.port}`], async (child) => {
      const socket = connect({ host: "127.0.0.1", port });
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      await answered(socket);
      const { stdout } = await world.gateway.weir("sessions", "list", "--json");
      const id = /"id":"([^"]+)"/u.exec(stdout)?.[1] ?? "";
      expect((await world.gateway.weir("sessions", "kill", id)).status).toBe(0);
      await promise;
      expect(await child.exited).toBe(255);
    });
  });
});

test("a name that the target cannot resolve either is refused in the target's words for people", async () => {
  const { status, stderr } = await runProgram([
    ...world.ssh,
    "-o",
    "LogLevel=INFO",
    "-W",
    "nowhere.example:80",
    "box@127.0.0.1",
  ]);
  expect(status).toBe(255);
  expect(stderr).toContain("connect failed: weir: ");
});
