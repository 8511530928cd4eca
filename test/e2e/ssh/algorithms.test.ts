/** What both sides of the gateway agree on: today's algorithms and no others, in the strict order that Terrapin asks for. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { type Gateway, startGateway } from "../../gateway.ts";
import { ssh } from "./clients.ts";
import { missing, run } from "./programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const HYBRID = "mlkem768x25519-sha256";

let roads: SshRoads;
let road: Road;
/** To the same server by a listener that takes nobody without a post-quantum exchange. */
let demanding: Gateway;
let demandingRoad: Road;
beforeAll(async () => {
  roads = await SshRoads.start();
  [, road] = roads.all;
  const here = { host: "127.0.0.1", port: 0 };
  const listen = { postgres: { ...here, tls: "off" }, ssh: { ...here, keyExchange: "post-quantum" } };
  const keys = [{ subject: "ann", publicKey: roads.server.publicKey }];
  demanding = await startGateway({ ssh: roads.server, keys, config: { listen } });
  const knownHostsFile = join(demanding.folder, "data/ssh_known_hosts");
  demandingRoad = { ...road, port: demanding.sshPort, knownHostsFile };
});
afterAll(async () => {
  await demanding.stop();
  await roads.stop();
});

/** All that are installed: the distribution's, and a newer one from elsewhere. */
const AUDITS = (process.env["PATH"] ?? "")
  .split(":")
  .map((folder) => join(folder, "ssh-audit"))
  .filter((file) => existsSync(file));
const DISTINCT_AUDITS = [...new Set(AUDITS.map((file) => realpathSync(file)))];

/** What an ssh-audit says that does not know these: the first is no algorithm, but asks for strict counting. */
const UNKNOWN_TO_OLDER = [
  "(kex) kex-strict-s-v00@openssh.com -- [warn] unknown algorithm",
  "(kex) mlkem768x25519-sha256 -- [warn] unknown algorithm",
];
/** For clients that have no post-quantum exchange, as ssh-audit says of itself. */
const CLASSICAL = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
const NOT_POST_QUANTUM = CLASSICAL.map(
  (name) => `(kex) ${name} -- [warn] does not provide protection against post-quantum attacks`,
);

/** The names of the exchanges that it saw, and every line with a fault, a warning or an advice. */
async function auditOf(audit: string, { host, port }: Road): Promise<{ exchanges: string[]; complaints: string[] }> {
  // How many connections it gets a second would depend on the machine, and could turn away those of the next test.
  const { stdout: help } = await run([audit, "--help"]);
  const options = help.includes("--skip-rate-test") ? ["--skip-rate-test"] : [];
  // Its own patience ends after five seconds.
  const patience = ["--timeout", `${TEST_TIME_MS_MAX / 1000}`];
  const { stdout } = await run([audit, "--no-colors", ...options, ...patience, "--port", `${port}`, host]);
  const lines = stdout.split("\n").map((line) => line.split(" ").filter(Boolean).join(" "));
  const begin = /^\((?:rec|cve|sec)\) /u;
  return {
    exchanges: lines.filter((line) => line.startsWith("(kex) ")).map((line) => line.split(" ")[1] ?? ""),
    complaints: lines.filter((line) => /\[(?:fail|warn)\]/u.test(line) || begin.test(line)),
  };
}

// It is in a package of its own.
describe.skipIf(DISTINCT_AUDITS.length === 0)("ssh-audit has no complaint", () => {
  for (const audit of DISTINCT_AUDITS) {
    test(`but that old clients are taken: ${audit}`, async () => {
      const { exchanges, complaints } = await auditOf(audit, road);
      expect(exchanges).toEqual([HYBRID, ...CLASSICAL, "kex-strict-s-v00@openssh.com"]);
      const known = new Set([...UNKNOWN_TO_OLDER, ...NOT_POST_QUANTUM]);
      expect(complaints.filter((line) => !known.has(line))).toEqual([]);
    });

    test(`where they are not: ${audit}`, async () => {
      const { exchanges, complaints } = await auditOf(audit, demandingRoad);
      expect(exchanges).toEqual([HYBRID, "kex-strict-s-v00@openssh.com"]);
      expect(complaints.filter((line) => !UNKNOWN_TO_OLDER.includes(line))).toEqual([]);
    });
  }
});

test("packets are counted strictly from the first (Terrapin)", async () => {
  const { status, stderr } = await run([...ssh(road, "-vvv"), "true"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining("will use strict KEX ordering") });
});

const OLD: Readonly<Record<string, readonly string[]>> = {
  "an exchange with SHA-1": ["-o", "KexAlgorithms=diffie-hellman-group14-sha1"],
  "an exchange in a small group": ["-o", "KexAlgorithms=diffie-hellman-group1-sha1"],
  CBC: ["-o", "Ciphers=aes128-cbc"],
  "3DES": ["-o", "Ciphers=3des-cbc"],
  "a MAC with SHA-1": ["-o", "MACs=hmac-sha1", "-o", "Ciphers=aes128-ctr"],
  "an exchange in a group so large that it would stop everybody else": [
    "-o",
    "KexAlgorithms=diffie-hellman-group18-sha512",
  ],
  "a MAC before encryption": ["-o", "MACs=hmac-sha2-256", "-o", "Ciphers=aes128-ctr"],
  "a host key signed with SHA-1": ["-o", "HostKeyAlgorithms=ssh-rsa"],
};
for (const [name, options] of Object.entries(OLD)) {
  test(`${name} is not agreed on`, async () => {
    const { status, stderr } = await run([...ssh(road, ...options), "true"]);
    expect({ status, stderr }).toEqual({ status: 255, stderr: expect.stringContaining("no matching") });
  });
}

const TODAY: Readonly<Record<string, readonly string[]>> = {
  ChaCha20: ["-o", "Ciphers=chacha20-poly1305@openssh.com"],
  curve25519: ["-o", "KexAlgorithms=curve25519-sha256"],
  "AES-GCM": ["-o", "Ciphers=aes256-gcm@openssh.com"],
  "AES-CTR with encrypt-then-MAC": ["-o", "Ciphers=aes256-ctr", "-o", "MACs=hmac-sha2-512-etm@openssh.com"],
};
for (const [name, options] of Object.entries(TODAY)) {
  test(`${name} is agreed on`, async () => {
    const ran = await run([...ssh(road, ...options), "echo agreed"]);
    expect(ran).toEqual({ status: 0, stdout: "agreed\n", stderr: "" });
  });
}

/** What the installed OpenSSH has. */
const EXCHANGES = missing("ssh") === null ? (await run(["ssh", "-Q", "kex"])).stdout.split("\n") : [];

// An OpenSSH older than 9.9 has no such exchange.
test.skipIf(!EXCHANGES.includes(HYBRID))("the post-quantum exchange is what OpenSSH comes to", async () => {
  const { status, stderr } = await run([...ssh(road, "-v"), "true"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining(`kex: algorithm: ${HYBRID}`) });
});

test("a listener that demands a post-quantum exchange takes no other", async () => {
  const { status, stderr } = await run([...ssh(demandingRoad, "-o", "KexAlgorithms=curve25519-sha256"), "true"]);
  expect({ status, stderr }).toEqual({ status: 255, stderr: expect.stringContaining("no matching key exchange") });
});

// An OpenSSH older than 9.9 has no such exchange.
test.skipIf(!EXCHANGES.includes(HYBRID))(
  "a listener that demands a post-quantum exchange takes who has it",
  async () => {
    expect(await run([...ssh(demandingRoad), "echo in"])).toEqual({ status: 0, stdout: "in\n", stderr: "" });
  },
);

test("a target that is to have a post-quantum exchange and has none is not used", async () => {
  const old = await SshRoads.start({
    sshd: { settings: { KexAlgorithms: "curve25519-sha256" } },
    gateway: { sshUpstream: { keyExchange: "post-quantum" } },
  });
  try {
    const [direct, through] = old.all;
    expect((await run([...ssh(direct), "true"])).status).toBe(0);
    const { status, stderr } = await run([...ssh(through), "true"]);
    expect({ status, stderr }).toEqual({ status: 126, stderr: expect.stringContaining("cannot be used") });
  } finally {
    await old.stop();
  }
});

describe("a target that knows one exchange alone, and wants new keys with every megabyte", () => {
  const OUTPUT_BYTES = 6_000_000;
  for (const name of [
    HYBRID,
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
  ]) {
    // An OpenSSH that does not have it does not start with it.
    test.skipIf(!EXCHANGES.includes(name))(name, async () => {
      const old = await SshRoads.start({ sshd: { settings: { KexAlgorithms: name, RekeyLimit: "1M" } } });
      try {
        const [, through] = old.all;
        const command = `head -c ${OUTPUT_BYTES} /dev/zero`;
        const { status, stdout } = await run([...ssh(through), command]);
        expect({ status, bytes: stdout.length }).toEqual({ status: 0, bytes: OUTPUT_BYTES });
        const lines = old.server.log().split("\n");
        const exchanges = lines.filter((line) => line.trimEnd().endsWith(`kex: algorithm: ${name}`));
        expect(exchanges.length).toBeGreaterThan(4);
      } finally {
        await old.stop();
      }
    });
  }
});
