/** Tests of weir check and weir status against real SSH servers: what is said of a target that cannot be used. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Gateway, startGateway } from "../../test/gateway.ts";
import { type SshServer, startSshd } from "../../test/servers/sshd.ts";

let server: SshServer;
let gateway: Gateway;
const OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

beforeAll(async () => {
  server = await startSshd({ hostKeyTypes: ["rsa"] });
  const ssh = { host: server.host, port: server.port, user: server.user, key: server.privateKey, shell: "posix" };
  gateway = await startGateway({
    targets: {
      good: { ssh: { ...ssh, hostKeys: server.hostKeys } },
      "other-type": { ssh: { ...ssh, hostKeys: [OTHER] } },
      "other-login": { ssh: { ...ssh, user: "nobody-here", hostKeys: server.hostKeys } },
    },
  });
}, 240_000);

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

test("each target's key is shown beside the configured ones, and another one is an error", async () => {
  const { status, stdout, stderr } = await gateway.weir("check", "--json");
  const { ok, problems, presented } = JSON.parse(stdout) as {
    ok: boolean;
    problems: { code: string; message: string }[];
    presented: { target: string; text: string }[];
  };
  expect({ status, ok, stderr }).toEqual({ status: 1, ok: false, stderr: "" });
  const line = `it presents ${server.hostKeys[0]?.trim()} (${server.hostKeyFingerprints[0]})`;
  const text = `${line}, and hostKeys has ssh-rsa ${server.hostKeyFingerprints[0]}`;
  expect(presented).toEqual([{ target: "good", text }]);
  const messages = problems.filter(({ code }) => code === "TARGET_UNREACHABLE").map(({ message }) => message);
  expect(messages).toHaveLength(2);
  const [key = "", login = ""] = messages;
  expect(key).toStartWith('other-type: the target "other-type" cannot be used: its host key is not one of those');
  expect(key).toContain(line);
  expect(key).toContain("hostKeys has ssh-ed25519 SHA256:");
  expect(login).toContain("the target does not let the gateway in: the target does not take its key for nobody-here");
}, 240_000);
