/** The same sshd by two roads: directly, and through the gateway. */
import { expect } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Gateway, type GatewayOptions, startGateway } from "../../gateway.ts";
import { fingerprint, type SshdOptions, type SshServer, startSshd } from "../../servers/sshd.ts";
import { missing, run } from "./programs.ts";

export type Road = {
  readonly name: "direct" | "gateway";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The same key in the formats of OpenSSH, dropbear and PuTTY; the latter two only where these are installed. */
  readonly keyFile: string;
  readonly dropbearKeyFile: string;
  readonly puttyKeyFile: string;
  readonly knownHostsFile: string;
  /** Of the key that clients take; the only one there is. */
  readonly hostKeyFingerprint: string;
  /** For what a client keeps; empty at first. */
  readonly folder: string;
};

/** Real programs on machines that may be busy. */
export const TEST_TIME_MS_MAX = 240_000;

export type SshRoadsOptions = {
  readonly sshd?: SshdOptions;
  readonly gateway?: Omit<GatewayOptions, "ssh" | "keys">;
};

export class SshRoads {
  readonly server: SshServer;
  readonly gateway: Gateway;
  readonly all: readonly [direct: Road, gateway: Road];
  readonly #folder: string;

  private constructor(server: SshServer, gateway: Gateway, all: SshRoads["all"], folder: string) {
    this.server = server;
    this.gateway = gateway;
    this.all = all;
    this.#folder = folder;
  }

  static async start(options: SshRoadsOptions = {}): Promise<SshRoads> {
    const folder = mkdtempSync(join(tmpdir(), `weir-test-ssh-${process.pid}-`));
    const server = await startSshd(options.sshd);
    const keys = [{ subject: "ann", publicKey: server.publicKey }];
    const gateway = await startGateway({ ...options.gateway, ssh: server, keys });
    const shared = { host: server.host, keyFile: server.keyFile, ...convertKey(server.keyFile, folder) };
    const direct: Road = {
      ...shared,
      name: "direct",
      port: server.port,
      user: server.user,
      knownHostsFile: server.knownHostsFile,
      hostKeyFingerprint: server.hostKeyFingerprints[0] ?? "",
      folder: join(folder, "direct"),
    };
    const hostKey = await scanHostKey(gateway.host, gateway.sshPort);
    const knownHostsFile = join(folder, "known_hosts");
    writeFileSync(knownHostsFile, `[${gateway.host}]:${gateway.sshPort} ${hostKey}\n`);
    const through: Road = {
      ...shared,
      name: "gateway",
      port: gateway.sshPort,
      user: "box",
      knownHostsFile,
      hostKeyFingerprint: fingerprint(hostKey),
      folder: join(folder, "gateway"),
    };
    for (const road of [direct, through]) mkdirSync(road.folder);
    return new SshRoads(server, gateway, [direct, through], folder);
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Empties the home on the target, so that each scenario begins with the same. */
  reset(): void {
    for (const name of readdirSync(this.server.home)) rmSync(join(this.server.home, name), { recursive: true });
  }

  /** Runs a scenario on every road, each from an empty home, expects the same result of each, and resolves with it. */
  async compare<T>(scenario: (road: Road) => Promise<T>): Promise<T> {
    const results: { readonly road: Road["name"]; readonly result: T }[] = [];
    for (const road of this.all) {
      this.reset();
      results.push({ road: road.name, result: await scenario(road) });
    }
    const [first, ...others] = results;
    if (first === undefined) throw new Error("there is no road");
    for (const { road, result } of others) expect({ road, result }).toEqual({ road, result: first.result });
    return first.result;
  }
}

/** A listener's ed25519 key, as `ssh-ed25519 AAAA...`. */
export async function scanHostKey(host: string, port: number): Promise<string> {
  const { stdout, stderr } = await run(["ssh-keyscan", "-T", "30", "-t", "ed25519", "-p", `${port}`, host]);
  const line = stdout.split("\n").find((candidate) => candidate.includes(" ssh-ed25519 "));
  if (line === undefined) throw new Error(`the listener showed no ed25519 key: ${stdout}${stderr}`);
  return line.split(" ").slice(1, 3).join(" ");
}

function convertKey(keyFile: string, folder: string): Pick<Road, "dropbearKeyFile" | "puttyKeyFile"> {
  const dropbearKeyFile = join(folder, "key.dropbear");
  const puttyKeyFile = join(folder, "key.ppk");
  if (missing("dropbearconvert") === null)
    convert(["dropbearconvert", "openssh", "dropbear", keyFile, dropbearKeyFile]);
  if (missing("puttygen") === null) convert(["puttygen", keyFile, "-O", "private", "-o", puttyKeyFile]);
  return { dropbearKeyFile, puttyKeyFile };
}

function convert(command: readonly string[]): void {
  const result = Bun.spawnSync([...command], { stdout: "ignore", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}: ${result.stderr.toString()}`);
}
