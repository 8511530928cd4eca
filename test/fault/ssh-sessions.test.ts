/** Many SSH sessions come and go, and leave nothing in the gateway. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { Client } from "ssh2";
import { type Gateway, startGateway } from "../gateway.ts";
import { type SshServer, startSshd } from "../servers/sshd.ts";
import { liveHeap } from "./live-heap.ts";

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
/** Before the first look, and between it and the second. */
const [WARM, BETWEEN] = [100, 200];
const AT_ONCE = 10;
/** Each leaves about one behind in the log's tables, which have a bound; a session that is kept whole takes more than 20. */
const KIBIBYTES_A_SESSION_MAX = 6;

/** One command on a connection of its own. */
async function session(gateway: Gateway, server: SshServer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const client = new Client();
  let status: number | null = null;
  client.once("error", reject);
  client.once("close", () => (status === 0 ? resolve() : reject(new Error(`the command ended with ${status}`))));
  client.once("ready", () =>
    client.exec("true", (error, channel) => {
      if (error !== undefined) return reject(error);
      channel.resume();
      channel.once("exit", (code: number | null) => (status = code));
      channel.once("close", () => client.end());
    }),
  );
  client.connect({ host: gateway.host, port: gateway.sshPort, username: "box", privateKey: server.privateKey });
  return promise;
}

function openSockets({ pid }: Gateway): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => linkOf(`${folder}/${name}`).startsWith("socket:")).length;
}

/** Empty for what was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

// It takes minutes where the machine is busy, and elsewhere than on Linux nothing tells of another process's sockets.
test.skipIf(!IS_LONG || process.platform !== "linux")(
  "sessions that come and go leave nothing alive in the gateway",
  async () => {
    const server = await startSshd({ shell: null });
    const heap = liveHeap();
    try {
      const gateway = await startGateway({
        ssh: server,
        keys: [{ subject: "ann", publicKey: server.publicKey }],
        env: heap.env,
      });
      try {
        const socketsBefore = openSockets(gateway);
        const holdsAfter = async (sessions: number): Promise<number> => {
          for (let done = 0; done < sessions; done += AT_ONCE) {
            await Promise.all(Array.from({ length: AT_ONCE }, () => session(gateway, server)));
          }
          while (openSockets(gateway) > socketsBefore) await Bun.sleep(20);
          return heap.bytes();
        };
        const before = await holdsAfter(WARM);
        const after = await holdsAfter(BETWEEN);
        expect((after - before) / BETWEEN / 1024).toBeLessThan(KIBIBYTES_A_SESSION_MAX);
      } finally {
        await gateway.stop();
      }
    } finally {
      heap.remove();
      await server.stop();
    }
  },
  1_200_000,
);
