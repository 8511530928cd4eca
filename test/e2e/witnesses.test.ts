/** Gateways and witnesses as processes: cosigned checkpoints, logs that were set back, witnesses that go away, gateways that cosign each other. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { newSigner, openNote, readCheckpoint, readVerifier } from "../../src/audit/note.ts";
import { LogTree } from "../../src/audit/tree.ts";
import { WitnessStore } from "../../src/audit/witness-store.ts";
import { keptCertificate } from "../../src/identity/kept-certificate.ts";
import { runWeir, startGateway } from "../gateway.ts";
import type { Gateway, GatewayOptions } from "../gateway.ts";
import { freePort } from "../servers/free-port.ts";
import { startPostgres } from "../servers/postgres.ts";
import type { PostgresServer } from "../servers/postgres.ts";
import { startTimeStampAuthority } from "../servers/time-stamps.ts";
import { startWitness, witnessKey } from "../witness.ts";
import type { WitnessProcess } from "../witness.ts";

setDefaultTimeout(240_000);

const NAME = "test.example.com";

let server: PostgresServer;
let top: string;
let folders = 0;
beforeAll(async () => {
  server = await startPostgres();
  top = mkdtempSync(join(tmpdir(), "weir-witnesses-"));
});
afterAll(async () => {
  await server.stop();
  rmSync(top, { recursive: true, force: true });
});

const cosignedSchema = v.nullable(v.object({ size: v.number(), time: v.string() }));
const statusSchema = v.object({
  log: v.object({
    entries: v.number(),
    cosigned: cosignedSchema,
    witnessLagMs: v.number(),
    held: v.nullable(v.string()),
    cosigner: v.nullable(v.string()),
    witnesses: v.array(v.object({ name: v.string(), cosigned: cosignedSchema, problem: v.nullable(v.string()) })),
    stamps: v.nullable(v.object({ last: v.nullable(v.object({ size: v.number(), time: v.string() })) })),
  }),
});
type LogStatus = v.InferOutput<typeof statusSchema>["log"];

async function logStatus(gateway: Gateway): Promise<LogStatus> {
  return v.parse(statusSchema, JSON.parse((await gateway.weir("status", "--json")).stdout)).log;
}

/** Resolves to the status when it is as wanted. */
async function statusWhen(gateway: Gateway, wanted: (status: LogStatus) => boolean): Promise<LogStatus> {
  const deadline = performance.now() + 180_000;
  for (;;) {
    const status = await logStatus(gateway);
    if (wanted(status)) return status;
    if (performance.now() > deadline) throw new Error(`never: ${JSON.stringify(status)}\n${gateway.log()}`);
    await Bun.sleep(50);
  }
}

/** A folder for a gateway, with the key of its log made beforehand: what its witnesses have to know. */
function newHome(name = NAME): { folder: string; vkey: string } {
  const folder = join(top, `g${folders++}`);
  mkdirSync(join(folder, "data", "keys"), { recursive: true, mode: 0o700 });
  const { signer, privateKey } = newSigner(name, "ed25519");
  writeFileSync(join(folder, "data", "keys", "log.key"), `${privateKey}\n`, { mode: 0o600 });
  return { folder, vkey: signer.verifier.vkey };
}

function witnessedBy(witnesses: readonly { readonly url: string; readonly key: string }[], more: object = {}): object {
  return { audit: { witnesses: witnesses.map(({ url, key }) => ({ url, key })), ...more } };
}

async function gatewayOf(folder: string, config: object, more: Partial<GatewayOptions> = {}): Promise<Gateway> {
  return startGateway({ postgres: server, folder, config: { ...config }, ...more });
}

/** Why a gateway did not start. */
async function refusalOf(folder: string, config: object): Promise<string> {
  try {
    const gateway = await gatewayOf(folder, config);
    await gateway.stop();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("the gateway has started");
}

function withTree<T>(folder: string, work: (tree: LogTree) => T): T {
  const tree = LogTree.open(join(folder, "data"));
  try {
    return work(tree);
  } finally {
    tree.close();
  }
}

/** The size that a witness has on its disk. */
function kept(folder: string): number | undefined {
  const store = new WitnessStore(folder);
  try {
    return store.cosigned(NAME)?.size;
  } finally {
    store.close();
  }
}

async function facts(gateway: Gateway, event: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await gateway.weir("audit", "tail", "--json", "--lines", "1000");
  const leaves = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { leaf: { event: string; facts: Record<string, unknown> } }).leaf);
  return leaves.filter((leaf) => leaf.event === event).map((leaf) => leaf.facts);
}

async function psql(gateway: Gateway, token: string): Promise<{ stdout: string; stderr: string; status: number }> {
  const args = ["psql", "--config", gateway.configFile, "db", "-X", "-At", "-c", "select 6 * 7"];
  return runWeir(args, { cwd: gateway.folder, env: { WEIR_TOKEN: token } });
}

describe("a gateway with witnesses", () => {
  test("has its checkpoints cosigned by all of them, the last one too, and shows it", async () => {
    const { folder, vkey } = newHome();
    const witnesses = [await startWitness({ logs: [vkey] }), await startWitness({ logs: [vkey] })];
    try {
      const gateway = await gatewayOf(folder, witnessedBy(witnesses));
      const status = await statusWhen(
        gateway,
        ({ witnesses: each, entries, witnessLagMs }) =>
          witnessLagMs === 0 && each.every(({ cosigned }) => cosigned?.size === entries),
      );
      expect(status.witnesses.map(({ problem }) => problem)).toEqual([null, null]);
      expect((await gateway.weir("status")).stdout).toContain(
        `${status.entries} entries cosigned at ${status.cosigned?.time ?? ""}, nothing signed since`,
      );
      const keys = witnesses.flatMap(({ key }) => ["--witness", key]).slice(0, 2);
      expect(await gateway.weir("audit", "verify", "--key", vkey, ...keys)).toMatchObject({ status: 0 });
      await gateway.stop();
      withTree(folder, (tree) => {
        const { note = "" } = tree.cosigned().find(({ size }) => size === status.entries) ?? {};
        const verifiers = [vkey, ...witnesses.map(({ key }) => key)].map(readVerifier);
        const { text, verified } = openNote(note, verifiers);
        expect(verified.map(({ verifier }) => verifier.vkey).toSorted()).toEqual(
          verifiers.map((each) => each.vkey).toSorted(),
        );
        expect(readCheckpoint(text)).toMatchObject({
          origin: NAME,
          size: status.entries,
          root: tree.root(status.entries),
        });
      });
      // The log's last checkpoint comes while it is being closed, and its witnesses get it still.
      const size = withTree(folder, (tree) => tree.size);
      expect(size).toBeGreaterThan(status.entries);
      expect(witnesses.map((witness) => kept(witness.folder))).toEqual([size, size]);
    } finally {
      for (const witness of witnesses) await witness.stop("SIGKILL");
    }
  });

  test("without any says so", async () => {
    const { folder } = newHome();
    const gateway = await gatewayOf(folder, {});
    try {
      expect((await gateway.weir("status")).stdout).toContain(
        "witness   none: whoever holds the log's key could cut or rewrite it unseen",
      );
      expect((await logStatus(gateway)).witnesses).toEqual([]);
    } finally {
      await gateway.stop();
    }
  });
});

describe("an older copy of the data folder", () => {
  async function cosignedAndSetBack(): Promise<{
    folder: string;
    vkey: string;
    witness: WitnessProcess;
    seen: number;
  }> {
    const { folder, vkey } = newHome();
    const witness = await startWitness({ folder: join(top, `w${folders++}`), logs: [vkey] });
    await (await gatewayOf(folder, witnessedBy([witness]))).stop();
    cpSync(join(folder, "data"), join(folder, "copy"), { recursive: true });
    await (await gatewayOf(folder, witnessedBy([witness]))).stop();
    const seen = withTree(folder, (tree) => tree.size);
    rmSync(join(folder, "data"), { recursive: true });
    cpSync(join(folder, "copy"), join(folder, "data"), { recursive: true });
    return { folder, vkey, witness, seen };
  }

  test("does not start, says what to do, and is not changed by the attempt", async () => {
    const { folder, witness, seen } = await cosignedAndSetBack();
    try {
      const left = withTree(folder, (tree) => tree.size);
      expect(left).toBeLessThan(seen);
      for (let attempt = 0; attempt < 2; attempt++) {
        const refusal = await refusalOf(folder, witnessedBy([witness]));
        expect(refusal).toContain(`has seen ${seen} entries of ${NAME}; here it has ${left}`);
        expect(refusal).toContain("Put the newest copy of ");
        expect(refusal).toContain("weir up --accept-loss");
      }
      expect(withTree(folder, (tree) => tree.size)).toBe(left);
    } finally {
      await witness.stop();
    }
  });

  test("that has gone on without its witness does not start either when it meets it again", async () => {
    const { folder, witness, seen } = await cosignedAndSetBack();
    try {
      while (withTree(folder, (tree) => tree.size) <= seen) await (await gatewayOf(folder, {})).stop();
      const left = withTree(folder, (tree) => tree.size);
      expect(await refusalOf(folder, witnessedBy([witness]))).toContain(
        `has seen ${seen} entries of ${NAME} that are not those here`,
      );
      expect(withTree(folder, (tree) => tree.size)).toBe(left);
    } finally {
      await witness.stop();
    }
  });

  test("begins a new log with --accept-loss, which says what was lost, and its witness takes the new one", async () => {
    const { folder, vkey, witness, seen } = await cosignedAndSetBack();
    const before = withTree(folder, (tree) => ({
      size: tree.size,
      root: Buffer.from(tree.root(tree.size)).toString("hex"),
    }));
    const gateway = await gatewayOf(folder, witnessedBy([witness]), { args: ["--accept-loss"] });
    let newKey: string;
    try {
      await gateway.said(`the log goes on as ${NAME}/2; the old one lies in audit.lost-2`);
      const lost = await facts(gateway, "loss.accepted");
      expect(lost).toEqual([
        {
          oldOrigin: NAME,
          oldSize: before.size,
          oldRoot: before.root,
          seen: [expect.stringContaining(`has seen ${seen} entries of ${NAME}; here it has ${before.size}`)],
        },
      ]);
      expect(withTree(folder, (tree) => tree.origin)).toBe(`${NAME}/2`);
      newKey = readFileSync(join(folder, "data", "log.vkey"), "utf8").trim();
      expect(readVerifier(newKey).name).toBe(`${NAME}/2`);
      const { witnesses } = await statusWhen(gateway, (status) => status.witnesses[0]?.problem !== null);
      expect(witnesses[0]?.problem).toContain("does not know this log: it needs the line of log.vkey");
    } finally {
      await gateway.stop();
    }
    const aside = join(folder, "data", "audit.lost-2");
    expect(readFileSync(join(aside, "log.vkey"), "utf8").trim()).toBe(vkey);
    expect(existsSync(join(aside, "log.key"))).toBeTrue();
    const old = LogTree.open(aside);
    expect([old.origin, old.size]).toEqual([NAME, before.size]);
    old.close();

    await witness.stop();
    const informed = await startWitness({ folder: witness.folder, logs: [vkey, newKey], port: witness.port });
    try {
      const again = await gatewayOf(folder, witnessedBy([informed]));
      const { cosigned } = await statusWhen(again, (status) => status.cosigned !== null);
      expect(cosigned?.size).toBeGreaterThan(0);
      expect(await facts(again, "loss.accepted")).toHaveLength(1);
      await again.stop();
    } finally {
      await informed.stop();
    }
  });

  test("is not accepted as lost when nothing is", async () => {
    const { folder, vkey } = newHome();
    const witness = await startWitness({ logs: [vkey] });
    try {
      await (await gatewayOf(folder, witnessedBy([witness]))).stop();
      const gateway = await gatewayOf(folder, witnessedBy([witness]), { args: ["--accept-loss"] });
      expect(await facts(gateway, "loss.accepted")).toEqual([]);
      await gateway.stop();
      expect(withTree(folder, (tree) => tree.origin)).toBe(NAME);
    } finally {
      await witness.stop();
    }
  });

  test("of which the log is gone and the key is left does not start", async () => {
    const { folder, witness, seen } = await cosignedAndSetBack();
    try {
      for (const end of ["", "-wal", "-shm"]) rmSync(join(folder, "data", `audit.db${end}`), { force: true });
      expect(await refusalOf(folder, witnessedBy([witness]))).toContain(
        `has seen ${seen} entries of ${NAME}; here it has 0`,
      );
    } finally {
      await witness.stop();
    }
  });
});

describe("a witness that cannot be reached", () => {
  test("holds up new work beyond the lag that is allowed, and no longer than that", async () => {
    const { folder, vkey } = newHome();
    const witnessFolder = join(top, `w${folders++}`);
    const key = await witnessKey(witnessFolder);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const gateway = await gatewayOf(folder, witnessedBy([{ url, key }], { witnessLagSecondsMax: 2 }));
    try {
      await gateway.said("whether the log is whole cannot be asked: the witness witness.example/w1");
      const token = await gateway.token("ann");
      await statusWhen(gateway, ({ held }) => held !== null);
      const refused = await psql(gateway, token);
      expect(refused.status).not.toBe(0);
      expect(refused.stderr).toContain("no witness has confirmed the log for");
      expect(refused.stderr).toContain("at most 2 s are allowed");
      const shown = await gateway.weir("status");
      expect([shown.status, shown.stdout]).toEqual([1, expect.stringContaining("NEW WORK IS REFUSED: no witness has")]);

      const witness = await startWitness({ folder: witnessFolder, logs: [vkey], port });
      try {
        await statusWhen(gateway, ({ held }) => held === null);
        expect((await psql(gateway, token)).stdout).toBe("42\n");
        expect(await facts(gateway, "witness.failed")).toEqual([
          { witness: "witness.example/w1", url, reason: expect.any(String) },
        ]);
        expect(await facts(gateway, "witness.recovered")).toEqual([{ witness: "witness.example/w1", url }]);
      } finally {
        await witness.stop();
      }
    } finally {
      await gateway.stop();
    }
  });
});

describe("two gateways", () => {
  test.each(["off", "auto"])("cosign each other, with tls: %s", async (tls) => {
    const homes = [newHome("one.example.com"), newHome("two.example.com")] as const;
    const ports = [await freePort(), await freePort()] as const;
    const keys = homes.map(({ folder }, index) => {
      const { signer, privateKey } = newSigner(["one.example.com", "two.example.com"][index] ?? "", "cosignature");
      writeFileSync(join(folder, "data", "keys", "cosigner.key"), `${privateKey}\n`, { mode: 0o600 });
      return signer.verifier.vkey;
    });
    const certificateOf = (home: 0 | 1): string =>
      keptCertificate(join(homes[home].folder, "data"), ["127.0.0.1"], Date.now()).cert;
    const configOf = (own: 0 | 1, other: 0 | 1): object => ({
      name: own === 0 ? "one.example.com" : "two.example.com",
      audit: {
        witnesses: [
          tls === "off"
            ? { url: `http://127.0.0.1:${ports[other]}`, key: keys[other] ?? "" }
            : { url: `https://127.0.0.1:${ports[other]}`, key: keys[other] ?? "", ca: certificateOf(other) },
        ],
        cosign: { port: ports[own], ...(tls === "off" ? { tls } : {}), logs: [homes[other].vkey] },
      },
    });
    const one = await gatewayOf(homes[0].folder, configOf(0, 1));
    try {
      const two = await gatewayOf(homes[1].folder, configOf(1, 0));
      try {
        for (const [gateway, key] of [
          [one, keys[0]],
          [two, keys[1]],
        ] as const) {
          const status = await statusWhen(
            gateway,
            ({ cosigned, witnessLagMs }) => cosigned !== null && witnessLagMs === 0,
          );
          expect(status.cosigner).toBe(key ?? "");
        }
      } finally {
        await two.stop();
      }
    } finally {
      await one.stop();
    }
    const { note = "" } = withTree(homes[0].folder, (tree) => tree.latestCosigned()) ?? {};
    expect(openNote(note, [readVerifier(keys[1] ?? "")]).verified).toHaveLength(1);
  });

  test("are two: a gateway cannot cosign its own log", async () => {
    const { folder, vkey } = newHome();
    const refusal = await refusalOf(folder, { audit: { cosign: { port: 0, logs: [vkey] } } });
    expect(refusal).toContain("audit.cosign.logs names this gateway's own log");
  });
});

describe("a time stamping authority", () => {
  test("stamps the log's checkpoints, and openssl verifies the stamps", async () => {
    const authority = startTimeStampAuthority();
    const { folder } = newHome();
    try {
      const gateway = await gatewayOf(folder, { audit: { stamps: { url: authority.url, every: "1m" } } });
      const { stamps } = await statusWhen(gateway, (status) => typeof status.stamps?.last?.size === "number");
      await gateway.stop();
      const size = stamps?.last?.size ?? -1;
      withTree(folder, (tree) => {
        const own = tree.checkpoints().find((each) => each.size === size);
        const stamp = tree.stamp(size);
        expect(authority.verify(stamp?.token ?? new Uint8Array(), own?.note ?? "")).toContain("Verification: OK");
      });
    } finally {
      await authority.stop();
    }
  });
});
