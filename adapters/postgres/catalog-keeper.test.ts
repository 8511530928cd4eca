/** Tests of how the catalog is kept: when it is loaded, what is given out while it cannot be, and when nothing is done. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connectCatalog, type TestCatalogSource } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { type CatalogConnection, CatalogKeeper, type Timers } from "./catalog-keeper.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

/** Time that passes when the test says so. */
class ManualTime implements Timers {
  nowMs = 1_000_000;
  readonly #due: { atMs: number; callback: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const entry = { atMs: this.nowMs + delayMs, callback };
    this.#due.push(entry);
    return () => {
      const index = this.#due.indexOf(entry);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** Delays of what is waiting, in order. */
  get waitingMs(): readonly number[] {
    return this.#due.map(({ atMs }) => atMs - this.nowMs).toSorted((a, b) => a - b);
  }

  pass(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (;;) {
      const next = this.#due.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#due.splice(this.#due.indexOf(next), 1);
      next.callback();
    }
    this.nowMs = untilMs;
  }
}

type Gate = { readonly promise: Promise<void>; readonly resolve: () => void };

/** A keeper of one new table's name, whose connections can be held up, broken and counted. */
async function setUp(table: string) {
  const time = new ManualTime();
  const state = {
    opened: 0,
    closed: 0,
    queries: 0,
    /** Connecting fails with this. */
    down: null as Error | null,
    /** The next queries wait for it. */
    gate: null as Gate | null,
    last: null as TestCatalogSource | null,
  };
  const open = async (): Promise<CatalogConnection> => {
    state.opened++;
    if (state.down !== null) throw state.down;
    const source = await connectCatalog(server);
    state.last = source;
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {});
    return {
      async query(sql) {
        state.queries++;
        if (state.gate !== null) await Promise.race([state.gate.promise, broken.promise]);
        if (state.down !== null) throw state.down;
        return source.query(sql);
      },
      close() {
        state.closed++;
        broken.reject(new Error("closed"));
        source.close();
      },
    };
  };
  const keeper = new CatalogKeeper({ open, clock: time, timers: time, staleMsMax: 60_000, loadMsMax: 30_000 });
  server.psql(`drop table if exists ${table}; create table ${table} (a int)`);
  const settled = async (): Promise<void> => {
    // A call that arrives while a load runs is answered by the one after it.
    await keeper.refresh().catch(() => {});
  };
  return { keeper, time, state, settled, columns: () => keeper.current?.relation("public", table)?.columns };
}

test("nothing is loaded before somebody uses the target or asks", async () => {
  const { keeper, time, state } = await setUp("t1");
  keeper.start(5000);
  time.pass(100_000);
  expect([state.opened, keeper.current]).toEqual([0, null]);
  const picture = await keeper.refresh();
  expect(keeper.current).toBe(picture);
  keeper.stop();
  expect(state.closed).toBe(1);
});

test("while somebody uses the target it is polled, then no more, and the connection is closed after a while", async () => {
  const { keeper, time, state, settled, columns } = await setUp("t2");
  keeper.start(5000);
  keeper.acquire();
  keeper.acquire();
  expect(time.waitingMs).toEqual([0]);
  time.pass(0);
  await settled();
  expect(columns()).toEqual(["a"]);
  server.psql("alter table t2 rename a to b");
  expect(time.waitingMs).toEqual([5000]);
  time.pass(4999);
  expect(columns()).toEqual(["a"]);
  time.pass(1);
  await settled();
  expect(columns()).toEqual(["b"]);
  keeper.release();
  expect(time.waitingMs).toEqual([5000]);
  keeper.release();
  expect(time.waitingMs).toEqual([60_000]);
  const queries = state.queries;
  // Somebody comes back in time: the connection is still good.
  time.pass(30_000);
  keeper.acquire();
  time.pass(0);
  await settled();
  expect(state.queries).toBeGreaterThan(queries);
  expect([state.opened, state.closed]).toEqual([1, 0]);
  keeper.release();
  time.pass(60_000);
  expect([state.opened, state.closed, time.waitingMs.length]).toEqual([1, 1, 0]);
  expect(() => keeper.release()).toThrow("released more often");
  keeper.stop();
});

test("calls that arrive while a load runs share the next one, which began after them", async () => {
  const { keeper, state } = await setUp("t3");
  await keeper.refresh();
  const gate = Promise.withResolvers<void>();
  state.gate = gate;
  const first = keeper.refresh();
  server.psql("alter table t3 rename a to b");
  const queries = state.queries;
  const later = [keeper.refresh(), keeper.refresh(), keeper.refresh()];
  expect(new Set(later).size).toBe(1);
  expect(later[0]).not.toBe(first);
  // Nothing of the next load has begun.
  expect(state.queries).toBe(queries);
  state.gate = null;
  gate.resolve();
  await first;
  const [second] = await Promise.all(later);
  expect(second?.relation("public", "t3")?.columns).toEqual(["b"]);
  keeper.stop();
});

test("a refresh after a commit always sees it", async () => {
  const { keeper } = await setUp("t4");
  keeper.acquire();
  const changes = await connectCatalog(server, { searchPath: "public" });
  for (let i = 0; i < 20; i++) {
    const running = keeper.refresh();
    await changes.query(`alter table t4 rename ${i === 0 ? "a" : `c${i - 1}`} to c${i}`);
    expect((await keeper.refresh()).relation("public", "t4")?.columns).toEqual([`c${i}`]);
    await running;
  }
  changes.close();
  keeper.stop();
});

test("a lost connection is opened again at once, an unreachable target less and less often", async () => {
  const { keeper, time, state, settled, columns } = await setUp("t5");
  keeper.start(5000);
  keeper.acquire();
  time.pass(0);
  await settled();
  // The server ends it; the next load opens another without anybody noticing.
  server.psql(
    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
  );
  await keeper.refresh();
  expect([state.opened, keeper.failure]).toEqual([2, null]);

  state.down = new Error("no route");
  expect(await keeper.refresh().catch(String)).toBe("Error: no route");
  expect(keeper.failure?.message).toBe("no route");
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    pauses.push(...time.waitingMs);
    const before = state.opened;
    // In the pause nobody waits for a connection: the answer is known.
    expect(await keeper.refresh().catch(String)).toBe("Error: no route");
    expect(state.opened).toBe(before);
    time.pass(pauses.at(-1) ?? 0);
    await settled();
    expect(state.opened).toBe(before + 1);
  }
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  server.psql("alter table t5 rename a to b");
  state.down = null;
  time.pass(30_000);
  await settled();
  expect([columns(), keeper.failure]).toEqual([["b"], null]);
  expect(time.waitingMs).toEqual([5000]);
  keeper.stop();
  expect(state.closed).toBe(3);
});

test("a picture that could not be confirmed for too long is not given out", async () => {
  const { keeper, time, state, settled } = await setUp("t6");
  const told: (string | null)[] = [];
  const end = keeper.onChange((current) => told.push(current?.digest ?? null));
  keeper.start(5000);
  keeper.acquire();
  time.pass(0);
  await settled();
  const good = keeper.current;
  expect(good).not.toBeNull();
  state.down = new Error("gone");
  for (let i = 0; i < 10 && keeper.failure === null; i++) {
    time.pass(5000);
    await settled();
  }
  time.pass(keeper.current === null ? 0 : 60_000 - 5000);
  expect(keeper.current).toBe(good);
  time.pass(5001);
  await settled();
  expect(keeper.current).toBeNull();
  state.down = null;
  time.pass(time.waitingMs[0] ?? 0);
  await settled();
  expect(keeper.current?.digest).toBe(good?.digest ?? "");
  expect(told).toEqual([good?.digest ?? "", null, good?.digest ?? ""]);
  // The clock was set back: how old the picture is cannot be said.
  time.nowMs -= 3_600_000;
  expect(keeper.current).toBeNull();
  end();
  keeper.stop();
});

test("listeners hear of changes only", async () => {
  const { keeper } = await setUp("t7");
  const told: (readonly string[] | undefined)[] = [];
  const end = keeper.onChange((current) => told.push(current?.relation("public", "t7")?.columns));
  await keeper.refresh();
  await keeper.refresh();
  server.psql("insert into t7 values (1)");
  await keeper.refresh();
  server.psql("alter table t7 rename a to b");
  await keeper.refresh();
  end();
  server.psql("alter table t7 rename b to c");
  await keeper.refresh();
  expect(told).toEqual([["a"], ["b"]]);
  keeper.stop();
});

test("a load that does not end is given up, and its connection with it", async () => {
  const { keeper, time, state } = await setUp("t8");
  state.gate = Promise.withResolvers<void>();
  const loading = keeper.refresh().catch(String);
  while (state.queries === 0) await Bun.sleep(1);
  time.pass(30_000);
  expect(await loading).toContain("could not be read within 30000 ms");
  expect([state.opened, state.closed]).toEqual([1, 1]);
  state.gate = null;
  time.pass(500);
  await keeper.refresh();
  expect(keeper.current).not.toBeNull();
  keeper.stop();
});

test("stop ends what is under way; start begins again", async () => {
  const { keeper, state } = await setUp("t9");
  await keeper.refresh();
  state.gate = Promise.withResolvers<void>();
  const loading = keeper.refresh().catch(String);
  keeper.stop();
  expect(await loading).toContain("no longer kept");
  state.gate = null;
  expect([state.opened, state.closed]).toEqual([1, 1]);
  expect(await keeper.refresh().catch(String)).toContain("no longer kept");
  expect(() => keeper.start(60_000)).toThrow("less than");
  keeper.stop();
});
