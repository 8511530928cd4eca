/** The SSH adapter under the suite that every adapter runs, in front of a real sshd. */
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type ClientChannel } from "ssh2";
import { describeAdapter } from "../../test/adapter-contract.ts";
import type { Answer, ContractTarget, RefusedLogin, Thing, Told } from "../../test/contract/harness.ts";
import type { Gateway } from "../../test/gateway.ts";
import { startSshd } from "../../test/servers/sshd.ts";
import { startTap } from "../../test/servers/tap.ts";
import { endInTime } from "../../test/end-in-time.ts";

/** What scripts see of any refusal; the words say which. */
const REFUSED = "126";
/** What clients that were not let in see. */
const NOT_LET_IN = "Permission denied";
/** Says that it runs, waits as long as the file is there, and says its word; its pipe breaks with its channel. */
const HELD_SCRIPT = `#!/bin/sh
trap 'rm -f running.$$; exit 1' PIPE HUP TERM
: > running.$$
while [ -e held ]; do echo waiting >&2 || { rm -f running.$$; exit 1; }; sleep 0.05; done
rm -f running.$$
printf %s "$1"
`;

const COMMANDS: Readonly<Record<Thing, (mark: string) => string>> = {
  permitted: (mark) => `printf %s ${mark}`,
  held: (mark) => `./contract-held ${mark}`,
  denied: (mark) => `contract-closed ${mark}`,
  unlisted: (mark) => `uname ${mark}`,
  opaque: (mark) => `printf %s "$(printf ${mark})"`,
};

describeAdapter({
  adapter: "ssh",
  actions: {
    permitted: `{ ssh: { argv: [[printf, "%s", "*"]] } }`,
    held: `{ ssh: { argv: [["./contract-held", "*"]] } }`,
    denied: "{ ssh: { programs: [contract-closed] } }",
  },
  codes: {
    denied: REFUSED,
    not_understood: REFUSED,
    login: NOT_LET_IN,
    "no target": REFUSED,
    "ended login": REFUSED,
    limit: REFUSED,
    audit_unavailable: REFUSED,
    target_unavailable: REFUSED,
    draining: REFUSED,
  },
  listen: { port: 0 },
  startTarget,
  portOf: sshPort,
  connect: async (gateway, target, secret) => {
    const session = await TestSession.open(sshPort(gateway), target, secret);
    if ("text" in session) return session;
    // Whether the session was let in is said on its first channel.
    const first = await session.run(COMMANDS.permitted("hello"));
    if (first.kind === "answered") return session;
    await session.close();
    return { code: first.code, text: first.text };
  },
});

function sshPort(gateway: Gateway): number {
  const port = / ssh=\S+?:(\d+)/u.exec(gateway.log())?.[1];
  if (port === undefined) throw new Error(`no listener for ssh: ${gateway.log()}`);
  return Number(port);
}

/** A client that keeps what it was told at the end of its connection, which ssh2 itself only mentions. */
class TestSession {
  readonly #client: Client;
  readonly ended: Promise<Told | null>;

  constructor(client: Client, goodbye: () => string | null) {
    this.#client = client;
    const { promise, resolve } = Promise.withResolvers<Told | null>();
    client.on("close", () => {
      const text = goodbye();
      resolve(text === null ? null : { code: REFUSED, text });
    });
    this.ended = promise;
  }

  static async open(port: number, username: string, password: string): Promise<TestSession | RefusedLogin> {
    const client = new Client();
    let goodbye: string | null = null;
    const debug = (line: string): void => {
      goodbye ??= /Inbound: Received DISCONNECT \(\d+, "(?<text>[^]*)"\)$/u.exec(line)?.groups?.["text"] ?? null;
    };
    const session = new TestSession(client, () => goodbye);
    const { promise, resolve } = Promise.withResolvers<TestSession | RefusedLogin>();
    client.on("ready", () => resolve(session));
    client.on("error", (error) => {
      if (goodbye !== null) resolve({ code: REFUSED, text: goodbye });
      else if (error.level === "client-authentication") resolve({ code: NOT_LET_IN, text: error.message });
      else resolve({ code: null, text: error.message });
    });
    client.on("close", () => resolve({ code: goodbye === null ? null : REFUSED, text: goodbye ?? "" }));
    const to = { host: "127.0.0.1", port, username, password };
    client.connect({ ...to, debug, authHandler: ["password"], readyTimeout: 0 });
    return promise;
  }

  async ask(thing: Thing, mark: string): Promise<Answer> {
    return this.run(COMMANDS[thing](mark));
  }

  async run(command: string): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    void this.ended.then((told) => resolve({ kind: "refused", code: told?.code ?? "", text: told?.text ?? "" }));
    this.#client.exec(command, (error, channel) => {
      if (error === undefined) collect(channel, resolve);
      else resolve({ kind: "refused", code: REFUSED, text: error.message });
    });
    return promise;
  }

  async close(): Promise<void> {
    this.#client.end();
    await endInTime("a client", this.ended);
  }
}

function collect(channel: ClientChannel, answer: (answer: Answer) => void): void {
  let stdout = "";
  let stderr = "";
  channel.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  channel.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  channel.on("close", () => {
    const at = stderr.indexOf("weir: ");
    if (at < 0) answer({ kind: "answered", value: stdout });
    else answer({ kind: "refused", code: REFUSED, text: stderr.slice(at) });
  });
  channel.end();
}

async function startTarget(): Promise<ContractTarget> {
  const server = await startSshd();
  const tap = await startTap(server.port);
  const script = join(server.home, "contract-held");
  writeFileSync(script, HELD_SCRIPT);
  chmodSync(script, 0o755);
  const held = join(server.home, "held");
  const running = (): number => readdirSync(server.home).filter((name) => name.startsWith("running.")).length;
  const letGo = async (): Promise<void> => rmSync(held, { force: true });
  return {
    settings: {
      ssh: {
        host: tap.host,
        port: tap.port,
        user: server.user,
        key: server.privateKey,
        hostKeys: server.hostKeys,
        shell: "posix",
      },
    },
    // One line of it: what is told has other line ends.
    credential: server.privateKey.split("\n")[2] ?? "",
    saw: (mark) => server.commands().join("\n").split(mark).length - 1,
    hold: async () => writeFileSync(held, ""),
    letGo,
    untilHeld: async (count) => {
      while (running() !== count) await Bun.sleep(10);
    },
    vanish: () => tap.vanish(),
    comeBack: () => tap.comeBack(),
    stop: async () => {
      if (existsSync(server.home)) await letGo();
      await tap.stop();
      await server.stop();
    },
  };
}
