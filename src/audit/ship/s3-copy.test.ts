/** The copy in S3-compatible storage is the log as tlog-tiles has it, and holds at every moment what its checkpoint covers. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { findVersitygw, makeBucket, S3_KEYS, type S3Server, startS3 } from "../../../test/servers/s3.ts";
import { type StandIn, startStandIn } from "../../../test/servers/s3-stand-in.ts";
import { SampleLog } from "../../../test/ship/sample-log.ts";
import { entriesPath, TILE_WIDTH, tilePath } from "../tiles.ts";
import { CopyForked } from "./bounded-fetch.ts";
import { checkpointIn, conflictOf } from "./copied-checkpoint.ts";
import { S3Copy } from "./s3-copy.ts";

setDefaultTimeout(240_000);

for (const kind of ["versitygw", "stand-in"] as const) {
  // That server is built for minutes, which only `./dev test --long` does; the stand-in is there everywhere.
  describe.skipIf(kind === "versitygw" && findVersitygw() === null)(
    kind === "versitygw" ? "on versitygw (where it is installed; ./dev test --long installs it)" : `on a ${kind}`,
    () => {
      let server: S3Server;
      let sample: SampleLog;
      let buckets = 0;
      let bucket = "";
      beforeAll(async () => {
        server = await startS3(kind);
      });
      afterAll(async () => server.stop());
      beforeEach(async () => {
        bucket = `bucket-${buckets++}`;
        await server.makeBucket(bucket);
        sample = await SampleLog.open("gw-1");
      });
      afterEach(async () => {
        await sample.close();
        sample.remove();
      });

      const copyTo = (options: { prefix?: string; publishMsMin?: number } = {}): S3Copy =>
        new S3Copy(
          { ...S3_KEYS, endpoint: server.endpoint, bucket, prefix: options.prefix ?? "logs", lockMs: null },
          { publishMsMin: options.publishMsMin ?? 0 },
        );
      const ship = async (copy: S3Copy): Promise<number> => {
        for (;;) {
          const { size, isMore } = await copy.step(sample.source, true);
          if (!isMore && sample.source.lastNote("checkpoint", sample.source.size)?.size === size) return size;
        }
      };
      /** Ends the log and opens it again: both sign checkpoints. */
      const reopen = async (): Promise<void> => {
        const { origin } = sample.source;
        await sample.close();
        sample = await SampleLog.open(origin, sample.folder);
      };
      /** All that a reader needs to believe the copy's checkpoint is there; answers its size. */
      const expectWhole = (prefix = "logs/gw-1/"): number => {
        const objects = server.objects(bucket);
        const note = objects.get(`${prefix}checkpoint`);
        if (note === undefined) return 0;
        const checkpoint = checkpointIn(note);
        if (checkpoint === null) throw new Error("it cannot be read");
        const { size } = checkpoint;
        expect(conflictOf(checkpoint, sample.source)).toBeNull();
        for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
          for (let index = 0; index * TILE_WIDTH < count; index++) {
            const width = Math.min(TILE_WIDTH, count - index * TILE_WIDTH);
            const tile = Buffer.from(sample.source.tile(level, index, width));
            expect(objects.get(prefix + tilePath(level, index, width))).toEqual(tile);
            if (level > 0) continue;
            const bundle = Buffer.from(sample.source.entryBundle(index, width) ?? []);
            expect(objects.get(prefix + entriesPath(index, width))).toEqual(bundle);
          }
        }
        return size;
      };

      test("the log is there as tlog-tiles lays it out", async () => {
        await sample.add(900);
        await reopen();
        const size = await ship(copyTo());
        expect(expectWhole()).toBe(size);
        expect(size).toBeGreaterThan(3 * TILE_WIDTH);
        const { objects } = server;
        expect(objects(bucket).get(`logs/gw-1/checkpoints/${size}`)).toEqual(
          objects(bucket).get("logs/gw-1/checkpoint") ?? Buffer.alloc(0),
        );
      });

      test("without a prefix too", async () => {
        await reopen();
        const size = await ship(copyTo({ prefix: "" }));
        expect(expectWhole("gw-1/")).toBe(size);
      });

      test("tiles that have become full replace those that were not", async () => {
        await sample.add(100);
        await reopen();
        const copy = copyTo();
        await ship(copy);
        const partial = (): string[] => [...server.objects(bucket).keys()].filter((key) => key.includes(".p/"));
        expect(partial()).not.toEqual([]);
        const before = partial();
        await sample.add(300);
        await reopen();
        await ship(copyTo());
        expectWhole();
        for (const key of before) expect(partial()).not.toContain(key);
      });

      test("is not published more often than it may, but when the gateway ends", async () => {
        await reopen();
        const copy = copyTo({ publishMsMin: 3_600_000 });
        const { size } = await copy.step(sample.source, false);
        expect(size).toBeGreaterThan(0);
        await sample.add(10);
        await reopen();
        expect((await copy.step(sample.source, false)).size).toBe(size);
        expect((await copy.step(sample.source, true)).size).toBeGreaterThan(size);
        expectWhole();
      });

      test("another log of the same origin is refused, and changes nothing", async () => {
        await sample.add(20);
        await reopen();
        await ship(copyTo());
        const objects = new Map(server.objects(bucket));
        for (const operations of [5, 40]) {
          const other = await SampleLog.open("gw-1");
          try {
            await other.add(operations);
            await expect(copyTo().step(other.source, true)).rejects.toThrow(CopyForked);
          } finally {
            await other.close();
            other.remove();
          }
        }
        expect(new Map(server.objects(bucket))).toEqual(objects);
      });

      test("storage that was killed gets the rest when it is back", async () => {
        await sample.add(300);
        await reopen();
        const copy = copyTo();
        await ship(copy);
        await server.kill();
        await sample.add(300);
        await reopen();
        await expect(copy.step(sample.source, true)).rejects.toThrow("cannot be reached");
        await server.restart();
        const size = await ship(copy);
        expect(expectWhole()).toBe(size);
      });

      test("a bucket that is not there, and a key that is wrong, are refused in words", async () => {
        const place = { ...S3_KEYS, endpoint: server.endpoint, bucket: "nowhere", prefix: "", lockMs: null };
        await expect(new S3Copy(place).step(sample.source, true)).rejects.toThrow("NoSuchBucket");
        await expect(
          new S3Copy({ ...place, bucket, secretAccessKey: "wrong" }).step(sample.source, true),
        ).rejects.toThrow("SignatureDoesNotMatch");
      });

      test("what the copy has seen", async () => {
        expect(await copyTo().seen(sample.source)).toEqual({ size: 0, conflict: null });
        await reopen();
        const size = await ship(copyTo());
        expect(await copyTo().seen(sample.source)).toEqual({ size, conflict: null });
      });
    },
  );
}

describe("faults that only a stand-in can have", () => {
  let server: StandIn;
  let sample: SampleLog;
  beforeEach(async () => {
    server = await startStandIn(S3_KEYS);
    await makeBucket(server.endpoint, "audit", false);
    sample = await SampleLog.open("gw-1");
    await sample.add(20);
    await sample.close();
    sample = await SampleLog.open("gw-1", sample.folder);
  });
  afterEach(async () => {
    await sample.close();
    sample.remove();
    await server.stop();
  });
  const copy = (): S3Copy =>
    new S3Copy(
      { ...S3_KEYS, endpoint: server.endpoint, bucket: "audit", prefix: "", lockMs: null },
      { publishMsMin: 0 },
    );
  const error = (status: number, code: string): Response =>
    new Response(`<Error><Code>${code}</Code><Message>no</Message></Error>`, { status });

  const faults: Readonly<Record<string, readonly [(method: string, key: string) => Response | null, string]>> = {
    "a full disk": [(method) => (method === "PUT" ? error(507, "InsufficientStorage") : null), "InsufficientStorage"],
    "a bucket that is only read": [(method) => (method === "PUT" ? error(403, "AccessDenied") : null), "AccessDenied"],
    "storage that is not itself": [() => new Response("<html>hotel wifi</html>", { status: 200 }), "is no checkpoint"],
    "storage that keeps nothing": [(method) => (method === "PUT" ? new Response() : null), "does not have it"],
    "an answer without end": [
      (method, key) =>
        method === "GET" && key.endsWith("checkpoint") ? new Response(new Uint8Array(1_000_000)) : null,
      "larger than",
    ],
    "a way to elsewhere": [
      () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
      "HTTP 307",
    ],
  };
  for (const [name, [interfere, reason]] of Object.entries(faults)) {
    test(`${name} is said, and nothing is lost by it`, async () => {
      const shipped = copy();
      server.interfere(interfere);
      await expect(shipped.step(sample.source, true)).rejects.toThrow(reason);
      server.interfere(null);
      const { size } = await shipped.step(sample.source, true);
      expect(size).toBe(sample.source.lastNote("checkpoint", sample.source.size)?.size ?? 0);
    });
  }

  test("the checkpoint comes only when all that it covers is there", async () => {
    let puts = 0;
    for (let allowed = 0; ; allowed++) {
      puts = 0;
      server.interfere((method) => (method === "PUT" && puts++ >= allowed ? error(500, "InternalError") : null));
      const done = await copy()
        .step(sample.source, true)
        .then(() => true)
        .catch(() => false);
      const keys = [...server.objects("audit").keys()];
      if (keys.includes("gw-1/checkpoint")) {
        expect(keys.some((key) => key.startsWith("gw-1/tile/entries/"))).toBe(true);
        expect(keys.some((key) => key.startsWith("gw-1/tile/0/"))).toBe(true);
      }
      if (done) break;
    }
    expect(puts).toBeGreaterThan(3);
  });

  test("where nothing may be deleted, tiles that were not full stay, and no harm is done", async () => {
    const shipped = copy();
    await shipped.step(sample.source, true);
    await sample.add(300);
    await sample.close();
    sample = await SampleLog.open("gw-1", sample.folder);
    server.interfere((method) => (method === "DELETE" ? error(403, "AccessDenied") : null));
    await shipped.step(sample.source, true);
    const keys = [...server.objects("audit").keys()];
    expect(keys).toContain("gw-1/tile/entries/000");
    expect(keys.some((key) => key.startsWith("gw-1/tile/entries/000.p/"))).toBe(true);
  });

  test("keys of recordings are not put where they would be locked", async () => {
    server.interfere((_, key) => (key === "" ? error(403, "AccessDenied") : null));
    const shipped = copy();
    await shipped.step(sample.source, true);
    expect(shipped.caveat).toContain("keys of recordings are not copied");
  });
});
