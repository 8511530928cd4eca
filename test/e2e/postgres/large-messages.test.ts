/** Values of 200 MB pass in both directions, and the gateway's memory stays what it was. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  encodeBind,
  encodeCopyDone,
  encodeExecute,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { run } from "./messages.ts";
import { Roads } from "./roads.ts";
import { rows } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const MIB = 1024 * 1024;
const VALUE_BYTES = 200 * MIB;
const CHUNK = Buffer.alloc(MIB, "weir");
/** Less than one value: a few buffers, and what the collector has not taken back yet. */
const GROWTH_BYTES_MAX = 160 * MIB;
/** On a small machine the collector hurries; on a large one it would let more lie about than a value holds. */
const SMALL_MACHINE = { BUN_JSC_forceRAMSize: `${64 * MIB}` };
const BYTEA = 17;
const LARGE_ROW = `SELECT repeat('weir', ${VALUE_BYTES / 4})`;
const LARGE_ROW_SHA256 = digestOfRow();

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({ gateway: { env: SMALL_MACHINE } });
});

afterAll(async () => {
  await roads.stop();
});

/** The digest of a DataRow's body with one cell of `weir` over and over. */
function digestOfRow(): string {
  const head = Buffer.alloc(6);
  head.writeInt16BE(1, 0);
  head.writeInt32BE(VALUE_BYTES, 2);
  const hash = createHash("sha256").update(head);
  for (let bytes = 0; bytes < VALUE_BYTES; bytes += CHUNK.length) hash.update(CHUNK);
  return hash.digest("hex");
}

/** A number of bytes from /proc/PID/status. */
function memory(pid: number, line: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${line}:\\s*(\\d+) kB`, "u").exec(status)?.[1]) * 1024;
}

/** Runs work through one of the gateways and expects that it did not grow by more than a stream may cost. */
async function bounded(way: "plain" | "TLS", work: (client: WireClient) => Promise<void>): Promise<void> {
  const [plain, secure] = roads.gateways;
  const gateway = way === "plain" ? plain : secure;
  const client = await roads.connect(roads.all[way === "plain" ? 1 : 2]);
  const before = memory(gateway.pid, "VmRSS");
  await work(client);
  expect(memory(gateway.pid, "VmHWM") - before).toBeLessThan(GROWTH_BYTES_MAX);
  await client.terminate();
}

/** Sends so many bytes of a repeated chunk. */
async function sendValue(client: WireClient, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) await client.sendAll(CHUNK.subarray(0, bytes - sent));
}

/** The header of a message whose body is sent apart. */
function header(type: string, bodyBytes: number): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(bodyBytes + 4, 1);
  return head;
}

test.each(["plain", "TLS"] as const)("a parameter in Bind (%s)", async (way) => {
  await bounded(way, async (client) => {
    client.send(encodeParse("", "SELECT length($1)", [BYTEA]));
    const parameters = [Buffer.alloc(0)];
    const whole = encodeBind({ portal: "", statement: "", parameterFormats: [1], parameters, resultFormats: [] });
    // The empty parameter's length stands before the count of result formats.
    const before = Buffer.from(whole.subarray(5, -2));
    const after = whole.subarray(-2);
    before.writeInt32BE(VALUE_BYTES, before.length - 4);
    client.send(header("B", before.length + VALUE_BYTES + after.length), before);
    await sendValue(client, VALUE_BYTES);
    client.send(after, encodeExecute(""), encodeSync());
    expect(rows(await client.ready())).toEqual([[`${VALUE_BYTES}`]]);
  });
});

test("a cell of a row, by a simple query", async () => {
  await bounded("plain", async (client) => {
    const row = (await client.ask(encodeQuery(LARGE_ROW))).find(({ type }) => type === "D");
    expect(row?.bodyBytes).toBe(VALUE_BYTES + 6);
    expect(row?.sha256).toBe(LARGE_ROW_SHA256);
  });
});

test("a cell of a row, by the extended protocol over TLS", async () => {
  await bounded("TLS", async (client) => {
    const row = (await client.ask(run(LARGE_ROW), encodeSync())).find(({ type }) => type === "D");
    expect(row?.bodyBytes).toBe(VALUE_BYTES + 6);
    expect(row?.sha256).toBe(LARGE_ROW_SHA256);
  });
});

test("one message of COPY data", async () => {
  await bounded("plain", async (client) => {
    await client.ask(encodeQuery("CREATE TEMP TABLE big (t text)"));
    client.send(encodeQuery("COPY big FROM STDIN"));
    await client.until("G");
    client.send(header("d", VALUE_BYTES));
    await sendValue(client, VALUE_BYTES);
    client.send(encodeCopyDone());
    await client.ready();
    expect(rows(await client.ask(encodeQuery("SELECT length(t) FROM big")))).toEqual([[`${VALUE_BYTES}`]]);
  });
});

test("a result that the client does not read stays at the server", async () => {
  const [gateway] = roads.gateways;
  const client = await roads.connect(roads.all[1]);
  const before = memory(gateway.pid, "VmRSS");
  client.pause();
  client.send(encodeQuery("SELECT repeat('x', 1000) FROM generate_series(1, 200000)"));
  // The server fills all buffers and then waits for its client, which is the gateway.
  const stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'";
  while (roads.server.psql(stuck) !== "1") await Bun.sleep(10);
  expect(memory(gateway.pid, "VmHWM") - before).toBeLessThan(GROWTH_BYTES_MAX);
  client.resume();
  const messages = await client.ready();
  expect(messages.filter(({ type }) => type === "D")).toHaveLength(200_000);
  await client.terminate();
});

test("a value that is longer than PostgreSQL takes closes the session", async () => {
  const client = await roads.connect(roads.all[1]);
  client.send(header("B", 0x40000000));
  const messages = await client.end();
  expect(messages[0]?.type).toBe("E");
  expect(messages[0]?.body.toString("latin1")).toContain("C08P01");
});
