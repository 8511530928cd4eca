/** One conversation of the package ssh2 with a server: arguments are the login and what to do, as JSON. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { Client, type SFTPWrapper } from "ssh2";
import type { FileStep } from "./clients.ts";

type Login = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly hostKeyFingerprint: string;
};
type Work = { readonly exec: string } | { readonly files: readonly FileStep[] };

const login = JSON.parse(process.argv[2] ?? "") as Login;
const work = JSON.parse(process.argv[3] ?? "") as Work;

const client = new Client();
client.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(255);
});
client.on("ready", () => ("exec" in work ? execute(work.exec) : move(work.files)));
client.connect({
  host: login.host,
  port: login.port,
  username: login.user,
  privateKey: readFileSync(login.keyFile),
  // As long as it takes: machines may be busy.
  readyTimeout: 0,
  hostVerifier: (key: Buffer) => {
    const print = createHash("sha256").update(key).digest("base64").replaceAll("=", "");
    return `SHA256:${print}` === login.hostKeyFingerprint;
  },
});

function execute(command: string): void {
  client.exec(command, (error, channel) => {
    if (error) return leave(255, error.message);
    process.stdin.pipe(channel);
    channel.stdout.pipe(process.stdout, { end: false });
    channel.stderr.pipe(process.stderr, { end: false });
    let status = 255;
    channel.on("exit", (code: number | null, signal?: string) => {
      status = code ?? 128 + constants.signals[`SIG${signal?.replace(/^SIG/u, "") ?? ""}` as NodeJS.Signals];
    });
    channel.on("close", () => leave(status));
  });
}

function move(steps: readonly FileStep[]): void {
  client.sftp((error, sftp) => {
    if (error) return leave(255, error.message);
    void takeAll(sftp, steps);
  });
}

async function takeAll(sftp: SFTPWrapper, steps: readonly FileStep[]): Promise<void> {
  try {
    for (const step of steps) await take(sftp, step);
    leave(0);
  } catch (error) {
    leave(1, String(error));
  }
}

function take(sftp: SFTPWrapper, step: FileStep): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    switch (step.do) {
      case "put":
        return sftp.fastPut(step.local, step.remote, done);
      case "get":
        return sftp.fastGet(step.remote, step.local, done);
      case "rename":
        return sftp.rename(step.from, step.to, done);
      case "remove":
        return sftp.unlink(step.remote, done);
      default:
        return sftp[step.do](step.remote, done);
    }
  });
}

function leave(status: number, message?: string): void {
  if (message !== undefined) process.stderr.write(`${message}\n`);
  client.end();
  process.exitCode = status;
}
