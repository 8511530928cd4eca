/** Many SSH sessions come and go, and the gateway is no larger afterwards. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Client } from "ssh2";
import { type Gateway, startGateway } from "../gateway.ts";
import { type SshServer, startSshd } from "../servers/sshd.ts";

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const SESSIONS_A_ROUND = 200;
const AT_ONCE = 10;
/** Rounds before the first look, of the first look, between both, and of the second. */
const [WARM, FIRST, BETWEEN, SECOND] = [5, 5, 5, 5];
/** A session that is kept whole takes more. */
const KIBIBYTES_A_SESSION_MAX = 20;

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

function residentBytes({ pid }: Gateway): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1]) * 1024;
}

// It takes minutes, and elsewhere than on Linux nothing says how large a process is.
test.skipIf(!IS_LONG || process.platform !== "linux")(
  "sessions that come and go do not make the gateway grow",
  async () => {
    const server = await startSshd({ shell: null });
    try {
      const gateway = await startGateway({
        ssh: server,
        keys: [{ subject: "ann", publicKey: server.publicKey }],
        limits: { sessionsMax: 1000, sessionsPerSubjectMax: 1000 },
        // Every collection is of the whole heap: garbage that has outlived one looks like a leak for a long time.
        env: { BUN_JSC_useGenerationalGC: "false" },
      });
      try {
        const socketsBefore = openSockets(gateway);
        /** The least that the gateway holds after any of so many rounds. */
        const rounds = async (count: number): Promise<number> => {
          let least = Infinity;
          for (let round = 0; round < count; round++) {
            for (let done = 0; done < SESSIONS_A_ROUND; done += AT_ONCE) {
              await Promise.all(Array.from({ length: AT_ONCE }, () => session(gateway, server)));
            }
            while (openSockets(gateway) > socketsBefore + 4) await Bun.sleep(20);
            least = Math.min(least, residentBytes(gateway));
          }
          return least;
        };
        // What has a bound begins to fill: the ring and the tables of the log, the pages of its files, compiled code.
        await rounds(WARM);
        const before = await rounds(FIRST);
        await rounds(BETWEEN);
        const after = await rounds(SECOND);
        const between = (BETWEEN + SECOND) * SESSIONS_A_ROUND;
        expect((after - before) / between / 1024).toBeLessThan(KIBIBYTES_A_SESSION_MAX);
      } finally {
        await gateway.stop();
      }
    } finally {
      await server.stop();
    }
  },
  1_200_000,
);
