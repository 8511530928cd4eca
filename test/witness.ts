/** A `weir witness` of its own process, on a free port, for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environment, runWeir, weirCommand } from "./gateway.ts";
import { readToEnd, stopChild } from "./servers/child-end.ts";
import { freePort } from "./servers/free-port.ts";

export type WitnessProcess = {
  readonly url: string;
  readonly port: number;
  /** Its verifier key. */
  readonly key: string;
  readonly folder: string;
  /** What it has written to standard error so far. */
  log(): string;
  /** SIGTERM, or the signal given; resolves to the exit status. The folder stays unless it was made here. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

export type WitnessOptions = {
  readonly logs: readonly string[];
  /** Absent: one of its own, gone at the end. */
  readonly folder?: string;
  readonly port?: number;
  readonly args?: readonly string[];
};

const READY_TIME_MS_MAX = 180_000;

/** The verifier key of the witness in a folder, made when there is none. */
export async function witnessKey(folder: string, name = "witness.example/w1"): Promise<string> {
  const { status, stdout, stderr } = await runWeir(["witness", "--key", "--data", folder, "--name", name]);
  if (status !== 0) throw new Error(`weir witness --key: ${stderr}`);
  return stdout.trim();
}

/** Starts a witness and resolves when it serves; rejects with what it said when it does not. */
export async function startWitness(options: WitnessOptions): Promise<WitnessProcess> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), `weir-test-witness-${process.pid}-`));
  const { args = [] } = options;
  const child = Bun.spawn(
    [
      ...weirCommand(),
      "witness",
      "--json",
      "--data",
      folder,
      "--name",
      "witness.example/w1",
      "--port",
      // Of its own also while another one takes its place.
      String(options.port ?? (await freePort())),
      ...args,
      ...options.logs,
    ],
    { env: environment(), stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const kill = (): void => child.kill("SIGKILL");
  process.on("exit", kill);
  const ready = Promise.withResolvers<string>();
  let log = "";
  const read = async (stream: ReadableStream<Uint8Array>, isOutput: boolean): Promise<void> => {
    const decoder = new TextDecoder();
    let output = "";
    await readToEnd(child, stream, (chunk) => {
      const text = decoder.decode(chunk, { stream: true });
      if (!isOutput) log += text;
      else output += text;
      if (isOutput && output.includes("\n")) ready.resolve(output.slice(0, output.indexOf("\n")));
    });
  };
  const ended = Promise.all([child.exited, read(child.stdout, true), read(child.stderr, false)]).then(() => {
    process.off("exit", kill);
    ready.reject(new Error(`the witness ended with status ${child.exitCode ?? child.signalCode}:\n${log}`));
  });
  const patience = setTimeout(() => {
    ready.reject(new Error(`the witness was not ready within ${READY_TIME_MS_MAX} ms:\n${log}`));
    kill();
  }, READY_TIME_MS_MAX);
  const line = await ready.promise.finally(() => clearTimeout(patience));
  const { key, port } = JSON.parse(line) as { key: string; port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    key,
    folder,
    log: () => log,
    stop: async (signal = "SIGTERM") => {
      await stopChild(child, { name: "the witness", signal, ended, log: () => log });
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}
