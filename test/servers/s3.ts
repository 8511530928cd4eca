/** Starts S3-compatible storage for tests: versitygw where it is installed, and a stand-in that is always there and can be told to fail. */
import { type Subprocess, which } from "bun";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePath, signedHeaders } from "../../src/audit/ship/signature.ts";
import { freePort } from "./free-port.ts";
import { startStandIn } from "./s3-stand-in.ts";

export const S3_KEYS = { accessKeyId: "test-access", secretAccessKey: "test-secret", region: "us-east-1" };

export type S3Server = {
  readonly kind: "versitygw" | "stand-in";
  readonly port: number;
  readonly endpoint: string;
  /** Makes a bucket; `lock`: one whose objects can be locked, with all their versions kept. */
  makeBucket(name: string, options?: { readonly lock?: boolean }): Promise<void>;
  /** The newest version of every object, by its key. */
  objects(bucket: string): ReadonlyMap<string, Uint8Array>;
  /** Ends it without warning. */
  kill(): Promise<void>;
  /** Starts it again with what it holds, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** Where versitygw is (https://github.com/versity/versitygw); null: it is not installed. `./dev test --long` installs it where there is Go. */
export function findVersitygw(): string | null {
  const own = join(import.meta.dir, "../../.cache/go/versitygw");
  return existsSync(own) ? own : which("versitygw");
}

/** Sends one signed request. */
async function request(endpoint: string, method: string, path: string, headers: Record<string, string>): Promise<void> {
  const url = new URL(`${endpoint}/${encodePath(path)}`);
  const signed = signedHeaders({ method, url, headers, payload: new Uint8Array(0) }, S3_KEYS, Date.now());
  const response = await fetch(url, { method, headers: signed });
  if (response.status !== 200) throw new Error(`${method} ${url.href}: ${response.status} ${await response.text()}`);
}

export async function makeBucket(endpoint: string, name: string, lock: boolean): Promise<void> {
  await request(endpoint, "PUT", name, lock ? { "x-amz-bucket-object-lock-enabled": "true" } : {});
}

export async function startS3(kind: S3Server["kind"]): Promise<S3Server> {
  if (kind === "stand-in") {
    const standIn = await startStandIn(S3_KEYS);
    return {
      ...standIn,
      kind,
      makeBucket: async (name, { lock = false } = {}) => makeBucket(standIn.endpoint, name, lock),
    };
  }
  return startVersitygw();
}

async function startVersitygw(): Promise<S3Server> {
  const binary = findVersitygw();
  if (binary === null) throw new Error("versitygw is not installed");
  const folder = mkdtempSync(join(tmpdir(), "weir-test-s3-"));
  const [root, versions] = [join(folder, "root"), join(folder, "versions")];
  for (const path of [root, versions]) mkdirSync(path);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let child: Subprocess | null = null;
  const start = async (): Promise<void> => {
    const arguments_ = ["--port", `127.0.0.1:${port}`, "--region", S3_KEYS.region, "--quiet"];
    const started = Bun.spawn([binary, ...arguments_, "posix", "--versioning-dir", versions, root], {
      env: { ROOT_ACCESS_KEY: S3_KEYS.accessKeyId, ROOT_SECRET_KEY: S3_KEYS.secretAccessKey },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    child = started;
    while (started.exitCode === null) {
      if (await answers(endpoint)) return;
      await Bun.sleep(20);
    }
    throw new Error(`versitygw ended with ${started.exitCode}`);
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
  await start();
  return {
    kind: "versitygw",
    port,
    endpoint,
    makeBucket: async (name, { lock = false } = {}) => makeBucket(endpoint, name, lock),
    objects: (bucket) => filesIn(join(root, bucket)),
    kill,
    restart: start,
    stop: async () => {
      await kill();
      // Locked objects may be read-only.
      chmodSync(folder, 0o700);
      rmSync(folder, { recursive: true, force: true });
      process.off("exit", onExit);
    },
  };
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    await fetch(endpoint);
    return true;
  } catch {
    return false;
  }
}

function filesIn(folder: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const item of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(item.parentPath, item.name);
    if (item.isFile()) files.set(path.slice(folder.length + 1), readFileSync(path));
  }
  return files;
}
