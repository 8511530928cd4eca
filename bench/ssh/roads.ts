/** Three roads to one sshd: directly, by ProxyJump through a second sshd, and through weir. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type ClientChannel } from "ssh2";
import { scanHostKey } from "../../test/e2e/ssh/roads.ts";
import { type Gateway, startGateway } from "../../test/gateway.ts";
import { type SshServer, startSshd } from "../../test/servers/sshd.ts";

export const ROAD_NAMES = ["direct", "jump", "weir"] as const;
export type RoadName = (typeof ROAD_NAMES)[number];

export type BenchRoad = {
  readonly name: RoadName;
  /** What `ssh -F FILE` calls it. */
  readonly sshArgs: readonly string[];
  /** Logs in with the package ssh2 in this process. */
  connect(): Promise<Client>;
};

export class BenchRoads {
  readonly all: readonly BenchRoad[];
  readonly target: SshServer;
  readonly hop: SshServer;
  readonly gateway: Gateway;
  /** As many bytes as the transfers take. */
  readonly file: string;
  readonly #folder: string;

  private constructor(target: SshServer, hop: SshServer, gateway: Gateway, folder: string, file: string) {
    this.target = target;
    this.hop = hop;
    this.gateway = gateway;
    this.file = file;
    this.#folder = folder;
    const config = join(folder, "config");
    const key = target.privateKey;
    const toTarget = { port: target.port, username: target.user, privateKey: key };
    const connects: Readonly<Record<RoadName, () => Promise<Client>>> = {
      direct: () => logIn({ ...toTarget, host: target.host }),
      jump: () =>
        jump({ port: hop.port, username: hop.user, privateKey: hop.privateKey, host: hop.host }, toTarget, target),
      weir: () => logIn({ host: gateway.host, port: gateway.sshPort, username: "box", privateKey: key }),
    };
    this.all = ROAD_NAMES.map((name) => ({ name, sshArgs: ["-F", config, name], connect: connects[name] }));
  }

  static async start(fileBytes: number): Promise<BenchRoads> {
    const folder = mkdtempSync(join(tmpdir(), "weir-bench-ssh-"));
    const settings = { LogLevel: "INFO" };
    const [target, hop] = await Promise.all([
      startSshd({ shell: null, settings }),
      startSshd({ shell: null, settings }),
    ]);
    const keys = [{ subject: "ann", publicKey: target.publicKey }];
    const limits = { sessionsPerSubjectMax: 1000 };
    const gateway = await startGateway({ ssh: target, keys, limits, durability: "strict" });
    const gatewayKey = await scanHostKey(gateway.host, gateway.sshPort);
    const hosts = [
      { name: "direct", port: target.port, user: target.user, keyFile: target.keyFile, more: "" },
      { name: "hop", port: hop.port, user: hop.user, keyFile: hop.keyFile, more: "" },
      { name: "jump", port: target.port, user: target.user, keyFile: target.keyFile, more: "ProxyJump hop" },
      { name: "weir", port: gateway.sshPort, user: "box", keyFile: target.keyFile, more: "" },
    ];
    const lines = hosts.map(
      ({ name, port, user, keyFile, more }) =>
        `Host ${name}\n Hostname 127.0.0.1\n Port ${port}\n User ${user}\n IdentityFile ${keyFile}\n ${more}\n`,
    );
    const knownHosts = join(folder, "known_hosts");
    lines.push(`Host *\n UserKnownHostsFile ${knownHosts}\n IdentitiesOnly yes\n BatchMode yes\n`);
    writeFileSync(join(folder, "config"), lines.join(""));
    const known = [target, hop].map((server) => readFileSync(server.knownHostsFile, "utf8"));
    writeFileSync(knownHosts, `${known.join("")}[127.0.0.1]:${gateway.sshPort} ${gatewayKey}\n`);
    const file = join(target.home, "big");
    writeBig(file, fileBytes);
    return new BenchRoads(target, hop, gateway, folder, file);
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await Promise.all([this.target.stop(), this.hop.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function writeBig(path: string, bytes: number): void {
  const block = new Uint8Array(1_000_000).map((_, i) => (i * 7) % 251);
  const file = openSync(path, "w");
  for (let written = 0; written < bytes; written += block.length) writeSync(file, block);
  closeSync(file);
}

type Login = Parameters<Client["connect"]>[0];

function logIn(login: Login): Promise<Client> {
  const client = new Client();
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  client.once("ready", () => resolve(client));
  client.once("error", reject);
  client.connect(login);
  return promise;
}

/** As `ssh -J`: a connection inside a forward of another. */
async function jump(hop: Login, login: Login, target: SshServer): Promise<Client> {
  const outer = await logIn(hop);
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  outer.forwardOut("127.0.0.1", 0, target.host, target.port, (error, channel) =>
    error === undefined ? resolve(channel) : reject(error),
  );
  const inner = await logIn({ ...login, sock: await promise });
  inner.once("close", () => outer.end());
  return inner;
}
