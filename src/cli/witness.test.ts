/** `weir witness` as a process: what it prints and serves, two requests at once, and what a crash leaves behind. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { runWeir } from "../../test/gateway.ts";
import { createAuthority } from "../../test/servers/certificates.ts";
import { ToyLog } from "../../test/toy-log.ts";
import { startWitness, witnessKey } from "../../test/witness.ts";
import type { WitnessProcess } from "../../test/witness.ts";
import { addSignatures, openNote, readVerifier } from "../audit/note.ts";
import { formatRequest } from "../audit/witness-request.ts";

setDefaultTimeout(240_000);

const top = mkdtempSync(join(tmpdir(), "weir-witness-command-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => join(top, `w${folders++}`);

async function withWitness(
  options: Parameters<typeof startWitness>[0],
  work: (witness: WitnessProcess) => Promise<void>,
): Promise<void> {
  const witness = await startWitness(options);
  try {
    await work(witness);
  } finally {
    await witness.stop();
  }
}

function requestFor(log: ToyLog, oldSize: number, size = log.size): string {
  return formatRequest({ oldSize, proof: log.proof(oldSize, size), note: log.note(size) });
}

async function ask(url: string, body: string): Promise<{ status: number; type: string | null; body: string }> {
  const response = await fetch(`${url}/add-checkpoint`, { method: "POST", body });
  return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
}

/** The size the witness has on its disk. */
function kept(folder: string, origin: string): number {
  const database = new Database(join(folder, "witness.db"), { readonly: true });
  try {
    const [size] = database.prepare("SELECT size FROM cosigned WHERE origin = ?").raw(true).all([origin]).flat();
    return typeof size === "number" ? size : 0;
  } finally {
    database.close();
  }
}

describe("weir witness", () => {
  test("makes its key once, for itself alone, and prints the public half", async () => {
    const folder = newFolder();
    const key = await witnessKey(folder);
    expect(readVerifier(key)).toMatchObject({ name: "witness.example/w1", kind: "cosignature" });
    expect(await witnessKey(folder, "another name")).toBe(key);
    expect(readFileSync(join(folder, "cosigner.vkey"), "utf8")).toBe(`${key}\n`);
    expect(statSync(join(folder, "keys", "cosigner.key")).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "keys")).mode & 0o777).toBe(0o700);
    await withWitness({ folder, logs: [new ToyLog("log").vkey] }, async (witness) => {
      expect(witness.key).toBe(key);
    });
  });

  test("answers with a cosignature, and with the size in its own type when the old size is another", async () => {
    const log = new ToyLog("log", 5);
    const file = join(top, "logs.txt");
    writeFileSync(file, `# ours\n\n${log.vkey}\n`);
    await withWitness({ logs: [], args: ["--logs", file] }, async (witness) => {
      const first = await ask(witness.url, requestFor(log, 0));
      expect(first.status).toBe(200);
      const { verified } = openNote(addSignatures(log.note(), [first.body]), [readVerifier(witness.key)]);
      expect(verified).toHaveLength(1);
      expect(await ask(witness.url, requestFor(log, 0))).toEqual({
        status: 409,
        type: "text/x.tlog.size",
        body: "5\n",
      });
      expect((await ask(witness.url, requestFor(new ToyLog("other", 1), 0))).status).toBe(404);
      expect((await ask(witness.url, "hello")).status).toBe(400);
      expect((await ask(witness.url, "x".repeat(1_000_000))).status).toBe(413);
      expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(404);
    });
  });

  test("answers over TLS", async () => {
    const authority = createAuthority();
    const { cert, key } = authority.issue("localhost", { names: ["DNS:localhost"] });
    const [certFile, keyFile] = [join(top, "tls.crt"), join(top, "tls.key")];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const log = new ToyLog("log", 5);
    await withWitness({ logs: [log.vkey], args: ["--tls-cert", certFile, "--tls-key", keyFile] }, async ({ port }) => {
      const response = await fetch(`https://localhost:${port}/add-checkpoint`, {
        method: "POST",
        body: requestFor(log, 0),
        tls: { ca: authority.cert },
      });
      expect(response.status).toBe(200);
    });
  });

  test("lets one of many through that start from the same size at once", async () => {
    const log = new ToyLog("log", 40);
    await withWitness({ logs: [log.vkey] }, async (witness) => {
      await ask(witness.url, requestFor(log, 0, 8));
      const sizes = Array.from({ length: 30 }, (_, index) => 10 + index);
      const answers = await Promise.all(sizes.map(async (size) => ask(witness.url, requestFor(log, 8, size))));
      const won = sizes.filter((_, index) => answers[index]?.status === 200);
      expect(won).toHaveLength(1);
      const lost = answers.filter(({ status }) => status !== 200);
      expect(new Set(lost.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set([`409 ${won[0] ?? 0}\n`]));
    });
  });

  const refused: readonly (readonly [what: string, args: readonly string[], status: number, message: string])[] = [
    ["no logs", [], 2, "which logs is it to cosign?"],
    ["a log that is none", ["nonsense"], 1, "not a verifier key"],
    ["half of TLS", ["--tls-cert", "x", new ToyLog("log").vkey], 2, "--tls-cert and --tls-key come together"],
    ["a file that is not there", ["--logs", "/nowhere/logs"], 1, "--logs /nowhere/logs cannot be read"],
    ["a port that is none", ["--port", "70000", new ToyLog("log").vkey], 2, "--port is a number"],
  ];
  for (const [what, args, status, message] of refused) {
    test(`refuses ${what}`, async () => {
      const result = await runWeir(["witness", "--data", newFolder(), ...args]);
      expect(result.stderr).toContain(message);
      expect(result.status).toBe(status);
    });
  }

  test("shares its folder with nobody", async () => {
    const log = new ToyLog("log");
    await withWitness({ logs: [log.vkey] }, async ({ folder }) => {
      const { status, stderr } = await runWeir(["witness", "--data", folder, "--port", "0", log.vkey]);
      expect([status, stderr]).toEqual([1, expect.stringContaining("another weir uses")]);
    });
  });
});

describe("a witness that is killed", () => {
  test("after it has kept a checkpoint and before its answer was read knows the checkpoint still", async () => {
    const folder = newFolder();
    const log = new ToyLog("log", 9);
    const witness = await startWitness({ folder, logs: [log.vkey] });
    // Sends, and never reads.
    const socket = connect(witness.port, "127.0.0.1");
    socket.on("error", () => {});
    const body = requestFor(log, 0);
    socket.pause();
    socket.write(
      `POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    while (kept(folder, "log") === 0) await Bun.sleep(1);
    await witness.stop("SIGKILL");
    socket.destroy();
    await withWitness({ folder, logs: [log.vkey] }, async ({ url }) => {
      expect(await ask(url, requestFor(log, 0))).toMatchObject({ status: 409, body: "9\n" });
      expect((await ask(url, requestFor(log, 9))).status).toBe(200);
    });
  });

  test("at any moment has kept all that it has cosigned", async () => {
    const folder = newFolder();
    const log = new ToyLog("log", 400);
    let cosigned = 0;
    for (let round = 0; round < 5; round++) {
      const witness = await startWitness({ folder, logs: [log.vkey] });
      const until = cosigned + 3 + round * 2;
      const far = Promise.withResolvers<void>();
      const rounds = (async (): Promise<void> => {
        for (;;) {
          const size = cosigned + 1;
          const answer = await ask(witness.url, requestFor(log, cosigned, size)).catch(() => null);
          if (answer === null) return;
          cosigned = answer.status === 200 ? size : Number(answer.body);
          if (cosigned >= until) far.resolve();
        }
      })();
      await far.promise;
      await witness.stop("SIGKILL");
      await rounds;
      // At most the one whose answer was lost is there in addition.
      expect([cosigned, cosigned + 1]).toContain(kept(folder, "log"));
    }
  });
});
