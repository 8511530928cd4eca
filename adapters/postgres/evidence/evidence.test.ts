/** Rows wait until what stands behind their masks is sealed, however they come, and go nowhere when that fails. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Recording, TerminalLine, TranscriptLine } from "../../../src/core/recording.ts";
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeReadyForQuery,
  encodeRowDescription,
  type FieldDescription,
} from "../protocol/backend.ts";
import { decodeBind } from "../protocol/frontend.ts";
import { readInt32 } from "../../../src/wire/framer.ts";
import type { Cells, TextRow } from "../query.ts";
import type { MaskingPlan } from "../mask/plan.ts";
import { ReplyGuard } from "../mask/reply-guard.ts";
import { Transcript } from "../record/transcript.ts";
import { Replies } from "../replies.ts";
import type { ReplyHandler } from "../reply-handler.ts";
import { Run, type RunOwner } from "../run.ts";
import { Evidence } from "./evidence.ts";
import { type RawConnection, RawReader, RawRefused } from "./raw-reader.ts";

const TABLE = 4001;
const VIEW = 4002;
const INT4 = 23;

const mask = { constant: "'***'", expression: "'***'", predicates: "masked" } as const;
const PERSON = {
  oid: TABLE,
  schema: "public",
  name: "person",
  columns: [
    { name: "id", attnum: 1, mask: null },
    { name: "email", attnum: 2, mask },
  ],
  source: "public.person",
  sourceOnly: null,
  closedBecause: null,
} as const;
const SOURCE = { relation: PERSON, columns: ["email"], isOnly: false } as const;
/** oid, name is as known, kind, has children, is immediate; attname, attnum, type; view, its column. */
const FACTS: TextRow = [`${TABLE}`, "t", "r", "f", "t", "id", "1", `${INT4}`, `${VIEW}`, "7"];

const PLAN: MaskingPlan = {
  digest: "",
  mode: "guarded",
  relation: () => undefined,
  hasName: () => false,
  tiedColumns: () => undefined,
  isMaskedOrigin: () => false,
  safeFunctions: new Set(),
  listenChannels: new Set(),
  searchPath: null,
};

const text = (value: string): Uint8Array => Buffer.from(value);

/** Rows by their keys, as the target has them when they are asked for. */
class Table implements RawConnection {
  readonly rows = new Map<string, { email: string | null; xmin: number }>();
  facts: readonly TextRow[] = [FACTS];
  oldest = 1_000n;
  isUsable = true;
  isClosed = false;
  asked = 0;
  sql: string[] = [];

  async query(sql: string): Promise<readonly TextRow[]> {
    this.sql.push(sql);
    return [[`${this.oldest}`], ...this.facts];
  }

  async ask(messages: Uint8Array): Promise<readonly Cells[]> {
    const found: Cells[] = [];
    for (let at = 0; at < messages.length; at += 1 + readInt32(messages, at + 1)) {
      if (messages[at] !== 0x42) continue;
      const { parameters } = decodeBind(messages.subarray(at + 5, at + 1 + readInt32(messages, at + 1)));
      const id = parameters[0] ?? null;
      this.asked++;
      const row = this.rows.get(Buffer.from(id ?? "").toString());
      if (row === undefined) continue;
      found.push([text(`${row.xmin}`), id, id, row.email === null ? null : text(row.email)]);
    }
    return found;
  }

  close(): void {
    this.isClosed = true;
  }
}

class Kept implements Recording {
  readonly id = "R";
  readonly isStalled = false;
  readonly sealed: TranscriptLine[] = [];
  write(stream: string, line: TranscriptLine | TerminalLine): boolean {
    if (line.kind === "terminal" || line.kind === "event" || stream !== "sealed") throw new Error("not there");
    this.sealed.push(line);
    return true;
  }
  onDrain(): () => void {
    return () => {};
  }
  onStall(): () => void {
    return () => {};
  }
  get raw(): Extract<TranscriptLine, { kind: "raw" }>[] {
    return this.sealed.filter((line) => line.kind === "raw");
  }
}

const OWNER: RunOwner = {
  send() {},
  released() {},
  refuse() {},
  pending() {},
  overtime() {},
  end() {},
};

const field = (name: string, tableOid: number, column: number): FieldDescription => ({
  name,
  tableOid,
  column,
  typeOid: 25,
  typeLength: -1,
  typeModifier: -1,
  format: 0,
});
const FIELDS = [field("email", 0, 0), field("id", VIEW, 7)];

type Given = { readonly fields?: readonly FieldDescription[]; readonly isFresh?: boolean };

/** One query whose rows have these ids (null: of an outer join), in pieces; what the client got by the time it was over. */
async function answer(table: Table, ids: readonly (string | null)[], pieceBytes: number, given: Given = {}) {
  const reader = new RawReader(async () => table);
  const evidence = new Evidence(reader, [SOURCE]);
  await evidence.begin();
  const kept = new Kept();
  const transcript = new Transcript({
    recording: kept,
    operation: "op",
    kinds: ["raw"],
    encoding: "utf8",
    compared: null,
    now: () => 0,
    full() {},
  });
  evidence.sent(transcript, given.isFresh ?? true);
  const run = new Run(OWNER, "request", null);
  run.isReleased = true;
  run.isLimited = true;
  run.evidence = evidence;
  const row = (id: string | null): Uint8Array => encodeDataRow(id === null ? [null, null] : [text("***"), text(id)]);
  const messages = [encodeRowDescription(given.fields ?? FIELDS), ...ids.map(row)];
  const end = [encodeCommandComplete(`SELECT ${ids.length}`), encodeReadyForQuery("I")];
  const stream = Buffer.concat([...messages, ...end]);
  let length = 0;
  const ends = messages.map((message) => (length += message.length));
  const out: Uint8Array[] = [];
  let outBytes = 0;
  const failures: string[] = [];
  const readings: Promise<void>[] = [];
  const handler: ReplyHandler = {
    forward(bytes, from, to) {
      out.push(bytes.slice(from, to));
      outBytes += to - from;
      // Of very many rows it is enough that they come.
      if (failures.length > 0 || ids.length > 100) return;
      const sealed = new Set(kept.raw.flatMap(({ rows }) => rows.map(([id]) => id)));
      for (const [index, id] of ids.entries())
        if (outBytes >= (ends[index + 1] ?? 0) && id !== null) expect(sealed.has(id)).toBe(true);
    },
    sealRows(of, what) {
      readings.push(
        what
          .seal()
          .catch((error: unknown) => {
            if (!(error instanceof RawRefused)) throw error;
            failures.push(error.message);
            of.isCut = true;
          })
          .then(() => replies.resume()),
      );
    },
    unsealed(of, because) {
      failures.push(because);
      of.isCut = true;
    },
    ended: () => true,
    refusalFor: () => new Uint8Array(0),
    statementDone() {},
    ready() {},
    copyInBegun() {},
    syncsIgnored() {},
    syncsTaken() {},
    parameter() {},
    houseRow() {},
    failed() {},
    spend: () => true,
    outlived() {},
    closeBracket() {},
    requestSkipped() {},
    fatal() {},
    stop: (_run, because) => {
      throw new Error(because);
    },
  };
  const replies = new Replies(handler, new ReplyGuard(PLAN));
  replies.expect({ kind: "query", run, endsRun: true, settle: null });
  for (let at = 0; at < stream.length; at += pieceBytes) {
    replies.accept(stream.subarray(at, at + pieceBytes));
    // Something else may let go on what is held, and more may come, before the reading is through.
    if (at % 2 === 0) replies.resume();
    if (at % 3 === 0) await readings.at(-1);
  }
  for (let done = 0; done < readings.length; done++) await readings[done];
  return { kept, out: Buffer.concat(out), stream, failures, rows: Buffer.concat(messages.slice(1)) };
}

function tableOf(ids: readonly (string | null)[]): Table {
  const table = new Table();
  for (const id of ids) if (id !== null) table.rows.set(id, { email: `raw-${id}`, xmin: 999 });
  return table;
}

const idsOf = fc.array(fc.option(fc.nat(40).map(String), { freq: 6 }), { maxLength: 40 });
const pieces = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 2_000 }));

describe("rows", () => {
  test("go on as they came, each behind its raw row", async () => {
    await fc.assert(
      fc.asyncProperty(idsOf, pieces, async (ids, piece) => {
        const { kept, out, stream, failures } = await answer(tableOf(ids), ids, piece);
        expect(failures).toEqual([]);
        expect(out.equals(stream)).toBe(true);
        const sealed = kept.raw.flatMap(({ rows }) => rows.map((cells) => JSON.stringify(cells)));
        const wanted = ids.filter((id) => id !== null).map((id) => JSON.stringify([id, `raw-${id}`]));
        expect([...new Set(sealed)].toSorted()).toEqual([...new Set(wanted)].toSorted());
        expect(kept.raw.every(({ unproven }) => unproven === undefined)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("whose raw row is not found go nowhere, and nothing behind them", async () => {
    await fc.assert(
      fc.asyncProperty(idsOf, pieces, async (ids, piece) => {
        fc.pre(ids.includes("7"));
        const table = tableOf(ids);
        table.rows.delete("7");
        const { out, failures, rows } = await answer(table, ids, piece);
        expect(failures).toHaveLength(1);
        expect(failures[0]).toContain('a row of "public.person" that it shows is not found by its key');
        const lost = encodeDataRow([text("***"), text("7")]);
        expect(out.includes(lost)).toBe(false);
        expect(out.length).toBeLessThan(rows.length + 100);
      }),
      { numRuns: 150 },
    );
  });

  test("come in batches of 500, and more than 100,000 are not read", async () => {
    const ids = Array.from({ length: 1_203 }, (_, index) => `${index}`);
    const table = tableOf(ids);
    const { out, stream, kept } = await answer(table, ids, 1 << 20);
    expect(out.equals(stream)).toBe(true);
    expect(table.asked).toBe(1_203);
    // 500 as 256 and 244, twice, and the rest.
    expect(kept.raw.map(({ rows }) => rows.length)).toEqual([256, 244, 256, 244, 203]);
    const many = Array.from({ length: 100_000 }, (_, index) => `${index}`);
    expect((await answer(tableOf(many), many, 1 << 24)).failures).toEqual([]);
    many.push("100000");
    expect((await answer(tableOf(many), many, 1 << 24)).failures).toEqual(["it shows more than 100000 of them"]);
  }, 240_000);

  test("that are too large together fail, and one line has 64 KiB or one row", async () => {
    const table = tableOf(["1", "2", "3"]);
    const large = (bytes: number): { email: string; xmin: number } => ({ email: "x".repeat(bytes), xmin: 5 });
    table.rows.set("2", large(65_536)).set("3", large(131_000));
    const { kept, failures } = await answer(table, ["1", "2", "3"], 1_000);
    expect(failures).toEqual([]);
    expect(kept.raw.map(({ rows }) => rows.length)).toEqual([1, 1, 1]);
    for (const id of ["1", "2", "3", "4"]) table.rows.set(id, large(30_000));
    const four = await answer(table, ["1", "2", "3", "4"], 1 << 20);
    expect(four.kept.raw.map(({ rows }) => rows.length)).toEqual([2, 2]);
    table.rows.set("3", large(131_072));
    expect((await answer(table, ["1", "2", "3"], 1_000)).failures).toEqual(["one has more than 131072 bytes"]);
    const ids = Array.from({ length: 600 }, (_, index) => `${index}`);
    for (const id of ids) table.rows.set(id, large(120_000));
    expect((await answer(table, ids, 1_000)).failures).toEqual(["they have more than 67108864 bytes together"]);
  });
});

describe("what is proven", () => {
  test("rows of transactions that were over when the statement began, by ids that go round", async () => {
    const table = tableOf(["1", "2", "3", "4", "5", "6"]);
    const xmins = [999, 1_000, 1_001, 2, 3, 4_294_967_295];
    for (const [index, xmin] of xmins.entries()) table.rows.set(`${index + 1}`, { email: null, xmin });
    const { kept } = await answer(table, ["1", "2", "3", "4", "5", "6"], 1 << 20);
    expect(kept.raw).toMatchObject([{ unproven: [1, 2] }]);
    table.oldest = 3_000_000_000n;
    const later = await answer(table, ["1", "4", "5", "6"], 1 << 20);
    expect(later.kept.raw).toMatchObject([{ unproven: [0, 2, 3] }]);
  });

  test("nothing, where the statement may see an older state", async () => {
    const { kept } = await answer(tableOf(["1", "2"]), ["1", "2"], 1 << 20, { isFresh: false });
    expect(kept.raw).toMatchObject([{ unproven: [0, 1] }]);
  });
});

describe("the key", () => {
  test("is known by the table or by its masking view, and must be there", async () => {
    const of = (fields: readonly FieldDescription[]) => answer(tableOf(["1"]), ["1"], 1 << 20, { fields });
    expect((await of([field("email", 0, 0), field("x", TABLE, 1)])).failures).toEqual([]);
    const missing = 'its result has no column "id" of "public.person", whose primary key tells which rows it shows';
    for (const other of [field("id", 0, 0), field("id", TABLE, 7), field("id", VIEW, 1), field("id", 5, 1)]) {
      const { failures, out, rows } = await of([field("email", 0, 0), other]);
      expect(failures).toEqual([missing]);
      expect(out.includes(rows)).toBe(false);
    }
  });

  test.each([
    [[], '"public.person" is not there any more'],
    [[[...FACTS.slice(0, 1), "f", ...FACTS.slice(2)]], '"public.person" is not there any more'],
    [[["1", ...FACTS.slice(1)]], '"public.person" is not there any more'],
    [
      [[`${TABLE}`, "t", "v", "f", null, null, null, null, null, null]],
      '"public.person" is no table, so its rows have no primary key',
    ],
    [
      [[`${TABLE}`, "t", "r", "t", "t", "id", "1", "23", null, null]],
      '"public.person" has children, whose rows are not told apart by its primary key',
    ],
    [[[`${TABLE}`, "t", "r", "f", null, null, null, null, null, null]], '"public.person" has no primary key'],
    [
      [[`${TABLE}`, "t", "r", "f", "f", "id", "1", "23", null, null]],
      '"public.person" has a primary key that may be checked later',
    ],
    [
      [[`${TABLE}`, "t", "r", "f", "t", "email", "2", "25", null, null]],
      '"public.person.email" is masked, and belongs to its primary key',
    ],
  ])("%j", async (facts: TextRow[], because: string) => {
    const table = new Table();
    table.facts = facts;
    const failed = await new RawReader(async () => table).begin([SOURCE]).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RawRefused);
    expect(failed).toMatchObject({ message: because });
  });

  test("that the server writes in another way is not the same row", async () => {
    const table = tableOf(["1"]);
    table.ask = async () => [[text("5"), text("01"), text("1"), text("raw")]];
    expect((await answer(table, ["1"], 1 << 20)).failures).toHaveLength(1);
  });
});

test("a connection is used again while it lasts, and closed with its session, also one that comes late", async () => {
  const tables = [new Table(), new Table(), new Table()];
  let opened = 0;
  const reader = new RawReader(async () => tables[opened++] ?? new Table());
  await reader.begin([SOURCE]);
  await reader.begin([SOURCE]);
  expect(opened).toBe(1);
  const [first, second, third] = tables;
  if (first !== undefined) first.isUsable = false;
  await reader.begin([SOURCE]);
  expect(opened).toBe(2);
  expect(first?.isClosed).toBe(true);
  reader.close();
  expect(second?.isClosed).toBe(true);
  expect(await reader.begin([SOURCE]).catch(String)).toBe("Error: the session has ended");
  expect(third?.isClosed).toBe(true);
});
