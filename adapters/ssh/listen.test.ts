/** Tests of the SSH listener before the login, against raw connections and OpenSSH's own client. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { Client } from "ssh2";
import { type Gateway, startGateway } from "../../test/gateway.ts";

let gateway: Gateway;
/** One that gives a login so little time that none can be finished on a busy machine. */
let hasty: Gateway;
let port: number;

beforeAll(async () => {
  const listen = { postgres: { port: 0, tls: "off" }, ssh: { port: 0 } };
  gateway = await startGateway({ config: { listen } });
  hasty = await startGateway({ config: { listen }, limits: { loginTime: "1s" } });
  port = portOf(gateway);
}, 240_000);

afterAll(async () => {
  await gateway?.stop();
  await hasty?.stop();
});

function portOf(of: Gateway): number {
  return Number(/ ssh=\S+?:(\d+)/u.exec(of.log())?.[1]);
}

/** Everything that the gateway says to a client that sends this, until it hangs up. */
async function answerTo(sent: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = "";
  const socket = connect(port, "127.0.0.1", () => socket.write(sent));
  socket.on("data", (bytes) => (said += bytes.toString("latin1")));
  socket.on("close", () => resolve(said));
  socket.on("error", () => resolve(said));
  return promise;
}

test("says no version, and nothing else to whoever says nothing, until the time of a login is over", async () => {
  expect(await answerTo("", portOf(hasty))).toStartWith("SSH-2.0-OpenSSH_weir\r\n");
});

test("hangs up on what is no SSH", async () => {
  expect(await answerTo("GET / HTTP/1.1\r\n\r\n", port)).not.toContain("200");
});

test("after six failures nobody may try again", async () => {
  const client = new Client();
  const { promise, resolve } = Promise.withResolvers<string>();
  let attempts = 0;
  client.on("error", (error) => resolve(error.message));
  client.connect({
    host: "127.0.0.1",
    port,
    username: "box",
    readyTimeout: 0,
    // Asked again and again, until the gateway has had enough.
    authHandler: () => ({ type: "password", username: "box", password: `wrong-${++attempts}` }),
  });
  expect(await promise).toBe("Too many authentication failures");
  expect(attempts).toBe(6);
});

test("offers keys and passwords, and nothing that nobody answers", () => {
  const options = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "BatchMode=yes",
    "PubkeyAuthentication=no",
  ];
  const words = ["ssh", "-F", "none", "-p", `${port}`, ...options.flatMap((option) => ["-o", option])];
  const { stderr } = Bun.spawnSync([...words, "box@127.0.0.1", "true"]);
  expect(stderr.toString()).toContain("Permission denied (publickey,password).");
});
