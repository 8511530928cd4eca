/** Exports of a real log: what they hold, that other programs read them, and that nothing in them runs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../../test/fault/audit-sample.ts";
import { AuditLog } from "../audit.ts";
import { LogReader } from "../query.ts";
import { csvHead, csvLine } from "./csv.ts";
import { jsonLine } from "./jsonl.ts";
import { type OcsfEvent, ocsfEvent } from "./ocsf.ts";
import { ParquetFile } from "./parquet.ts";
import { COLUMNS, rowOf } from "./row.ts";
import { type ExportFilter, hashOf, select, type SelectedEntry } from "./selection.ts";

const FIRST_MS = 1_760_000_000_000;
const HOSTILE = [
  '=cmd|" /C calc"!A0',
  "+1+1",
  "-2",
  "@SUM(A1)",
  "\t=1",
  "\r=1",
  "\uff1d1+1",
  ' \u00a0=1"',
  "plain, text\nof lines",
];

let folder: string;
let now = FIRST_MS;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-export-"));
  const log = await AuditLog.open({ folder, origin: "gw", clock: { now: () => now++ } });
  log.event("login.ok", { source: "10.0.0.9", issuer: "weir", subject: "agent-1", kind: "agent", credential: "tok-1" });
  log.event("login.failed", { source: "10.0.0.8", reason: "no such token" });
  for (const [i, id] of [...HOSTILE, "op-a", "op-b"].entries()) {
    const adapter = i % 2 === 0 ? "postgres" : "http";
    const session = { ...sampleSession(i % 3), target: { ...sampleSession(i % 3).target, adapter } };
    const intent = log.intent(sampleOperation(id, { session }), i % 4 === 3 ? DENY : PERMIT, POLICY);
    await log.waitDurable(intent);
    const file = id === "op-a" ? { sha256: "ab".repeat(32), ranges: "r0-9" } : {};
    log.outcome(intent, { status: i % 4 === 3 ? "refused" : "done", code: "SELECT", rows: i, bytes: 100, ...file });
  }
  log.event("policy.activated", { digest: "d", commit: null, name: "shop", rules: 3 });
  log.event("token.revoked", { token: "tok-1", subject: "agent-1", by: "ann" });
  await log.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function selected(filter: ExportFilter = {}): Promise<SelectedEntry[]> {
  const log = LogReader.open(folder);
  try {
    return await Array.fromAsync(select(log, filter));
  } finally {
    log.close();
  }
}

describe("the selection", () => {
  test("is every entry, in order, when nothing is asked for", async () => {
    const all = await selected();
    expect(all.map(({ index }) => index)).toEqual(all.map((_, i) => i));
    const log = LogReader.open(folder);
    const kept = await log.tail(1000);
    log.close();
    expect(all.map(({ json, hash }) => [json, Buffer.from(hash).toString("hex")])).toEqual(
      kept.map(({ json, hash }) => [json, hash]),
    );
  });

  test("gives an outcome with the operation that it belongs to", async () => {
    const outcomes = (await selected({ event: "operation.outcome", subject: "agent-1" })).map(rowOf);
    expect(outcomes.length).toBeGreaterThan(0);
    for (const row of outcomes)
      expect([row.subject, row.target, row.status]).toEqual(["agent-1", "orders-1", expect.any(String)]);
  });

  test("takes an instant to begin and one to end before", async () => {
    const all = await selected();
    const [from, to] = [all[4]?.leaf.timeMs ?? 0, all[9]?.leaf.timeMs ?? 0];
    const some = await selected({ sinceMs: from, untilMs: to });
    expect(some.map(({ index }) => index)).toEqual(
      all.filter(({ leaf }) => leaf.timeMs >= from && leaf.timeMs < to).map(({ index }) => index),
    );
    expect(some.length).toBeGreaterThan(2);
  });

  test.each([
    [{ decision: "deny" }, (row: ReturnType<typeof rowOf>) => row.decision === "deny"],
    [{ target: "orders-2" }, (row: ReturnType<typeof rowOf>) => row.target === "orders-2"],
    [{ event: "login.failed" }, (row: ReturnType<typeof rowOf>) => row.event === "login.failed"],
    [
      { subject: "agent-1", decision: "permit" },
      (row: ReturnType<typeof rowOf>) => row.subject === "agent-1" && row.decision === "permit",
    ],
  ] satisfies [ExportFilter, (row: ReturnType<typeof rowOf>) => boolean][])(
    "%j takes what fits it, and all of that",
    async (filter, fits) => {
      const all = (await selected()).map(rowOf);
      const some = (await selected(filter)).map(rowOf);
      expect(some).toEqual(all.filter(fits));
      expect(some.length).toBeGreaterThan(0);
    },
  );
});

test("JSON lines hold each leaf byte by byte", async () => {
  for (const entry of await selected()) {
    const line = jsonLine(entry, () => [new Uint8Array(32)]);
    const leaf = line.slice(line.indexOf('"leaf":') + '"leaf":'.length, -1);
    expect(Buffer.from(hashOf(Buffer.from(leaf))).toString("hex")).toBe(JSON.parse(line).hash);
    expect(JSON.parse(line)).toMatchObject({ index: entry.index, proof: [Buffer.alloc(32).toString("base64")] });
  }
});

/** RFC 4180, read by the letter. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
        if (text[at] === '"') at++;
        cell += text[at];
      }
      at++;
    } else for (; text[at] !== "," && text[at] !== "\r" && at < text.length; at++) cell += text[at];
    record.push(cell);
    if (text[at] === ",") at++;
    else {
      expect(text.slice(at, at + 2)).toBe("\r\n");
      at += 2;
      records.push(record);
      record = [];
    }
  }
  return records;
}

test("what was transferred of a file is in the columns", async () => {
  const all = await selected();
  const of = (id: string): SelectedEntry[] => all.filter(({ leaf }) => leaf.shape !== "event" && leaf.id === id);
  const told = (id: string): unknown[] => of(id).map((entry) => [rowOf(entry).sha256, rowOf(entry).ranges]);
  expect(told("op-a")).toContainEqual(["ab".repeat(32), "r0-9"]);
  expect(told("op-b").flat()).toEqual(
    told("op-b")
      .flat()
      .map(() => null),
  );
});

test("CSV is read back by the letter of RFC 4180, and no cell begins a formula", async () => {
  const rows = (await selected()).map(rowOf);
  const text = [csvHead(), ...rows.map(csvLine)].map((line) => `${line}\r\n`).join("");
  const [head, ...records] = readCsv(text);
  expect(head).toEqual(COLUMNS.map(([name]) => name));
  expect(records).toHaveLength(rows.length);
  const ids = records.map((record) => record[COLUMNS.findIndex(([name]) => name === "id")]);
  for (const id of HOSTILE) expect(ids).toContain(id.startsWith("plain") ? id : `'${id}`);
  for (const cell of records.flat()) expect("=+-@\t\r|%").not.toContain(cell.charAt(0) || " ");
});

test("Parquet is read back with every value and type, over several row groups", async () => {
  const path = join(folder, "log.parquet");
  const rows = (await selected()).map(rowOf);
  const many = Array.from({ length: 25_000 }, (_, i) => rows[i % rows.length]).flatMap((row) =>
    row === undefined ? [] : [row],
  );
  const file = new ParquetFile(path, "weir test");
  for (const row of many) file.add(row);
  file.end();
  const bytes = readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const back = await parquetReadObjects({ file: buffer });
  expect(back).toHaveLength(many.length);
  for (const i of [0, 5, rows.length - 3, rows.length - 2, 9_999, 10_000, 24_999]) {
    const expected = COLUMNS.map(([name, type]) => {
      const value = many[i]?.[name] ?? null;
      if (value === null) return [name, null];
      if (type === "integer") return [name, BigInt(Number(value))];
      return [name, type === "time" ? new Date(Number(value)) : value];
    });
    expect(back[i]).toEqual(Object.fromEntries(expected));
  }
});

describe("OCSF", () => {
  const PRODUCT = { gateway: "gw-1", version: "0.1.0" };
  /** What schema 1.3.0 requires of the three classes, and of the objects in them. */
  const BASE = ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
  const CLASSES: Readonly<
    Record<number, { category: number; required: readonly string[]; activities: readonly number[] }>
  > = {
    6005: { category: 6, required: ["actor", "src_endpoint"], activities: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99] },
    6003: { category: 6, required: ["actor", "api", "src_endpoint"], activities: [1, 2, 3, 4, 99] },
    3002: { category: 3, required: ["user"], activities: [1, 2, 3, 4, 5, 99] },
  };
  const at = (event: OcsfEvent, path: string): unknown =>
    path.split(".").reduce<unknown>((value, key) => {
      const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
      return entries.find(([name]) => name === key)?.[1];
    }, event);

  test("every event has what its class requires, and its objects what they require", async () => {
    const seen = new Set<number>();
    for (const entry of await selected()) {
      const event: OcsfEvent = JSON.parse(JSON.stringify(ocsfEvent(entry, PRODUCT)));
      const uid = Number(event["class_uid"]);
      const spec = CLASSES[uid];
      expect(spec).toBeDefined();
      seen.add(uid);
      for (const name of [...BASE, ...(spec?.required ?? [])])
        expect(event[name] ?? null, `${name} of ${uid}`).not.toBeNull();
      expect(event["category_uid"]).toBe(spec?.category);
      expect(spec?.activities).toContain(Number(event["activity_id"]));
      expect(event["type_uid"]).toBe(uid * 100 + Number(event["activity_id"]));
      expect(Number.isInteger(event["time"])).toBe(true);
      expect(at(event, "metadata.version")).toBe("1.3.0");
      expect(at(event, "metadata.product.vendor_name")).toBe("weir");
      // At least one of these, as the schema's constraints say.
      const some = (...paths: readonly string[]): boolean => paths.some((path) => typeof at(event, path) === "string");
      if (uid === 6005) {
        expect(at(event, "database.type_id")).toBe(1);
        expect(some("database.name")).toBe(true);
      }
      if (uid === 6003) expect(some("api.operation")).toBe(true);
      if (uid === 3002) expect(some("user.name") && some("service.name")).toBe(true);
      else expect(some("actor.user.name") && some("src_endpoint.ip", "src_endpoint.name")).toBe(true);
    }
    expect([...seen].toSorted((a, b) => a - b)).toEqual([3002, 6003, 6005]);
  });

  test("what was refused is a failure, a login that failed too, and both can be found in the log again", async () => {
    const events = (await selected()).map((entry) => [entry, ocsfEvent(entry, PRODUCT)] as const);
    for (const [{ index, leaf, operation }, event] of events) {
      if (operation?.decision.kind === "deny" || leaf.event === "login.failed") expect(event["status_id"]).toBe(2);
      if (leaf.event === "login.ok") expect(event["status_id"]).toBe(1);
      expect(at(event, "metadata.uid")).toBe(`gw-1#${index}`);
    }
    expect(events.some(([, event]) => event["status_id"] === 2)).toBe(true);
  });

  test("a count says how many it stands for", async () => {
    const [entry] = await selected({ event: "login.ok" });
    if (entry?.leaf.shape !== "event") throw new Error("there is no such entry");
    for (const event of ["login.ok", "login.failed", "session.refused"]) {
      const counted = { ...entry, leaf: { ...entry.leaf, event, facts: { ...entry.leaf.facts, count: 968 } } };
      expect(ocsfEvent(counted, PRODUCT)["count"], event).toBe(968);
    }
  });
});
