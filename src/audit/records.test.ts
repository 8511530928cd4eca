/** Records across the ring: what is read is what was written, whatever it holds, and slots are reused on both sides alike. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Decision } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import type { Outcome } from "../core/ports.ts";
import { PERMIT, POLICY, sampleOperation, sampleSession } from "../../test/fault/audit-sample.ts";
import { decisionPiece, sessionPiece, statementPiece } from "./pieces.ts";
import { CHORE, CHORES, INTENT, OUTCOME, TEMPLATE_SLOTS, UNHASHED_BYTES_MAX } from "./record-layout.ts";
import { type AuditRecord, type ChoreRecord, RecordReader } from "./record-reader.ts";
import { RecordWriter } from "./record-writer.ts";
import { RECORD_BYTES_MAX, RingConsumer, RingProducer, SharedRing } from "./ring.ts";
import { sha256Hex } from "./sha256.ts";
import { Templates } from "./templates.ts";

function pair() {
  const ring = SharedRing.create();
  const producer = new RingProducer(ring);
  const consumer = new RingConsumer(ring);
  const reader = new RecordReader(ring);
  const readAll = (): (AuditRecord | ChoreRecord)[] => {
    const records: (AuditRecord | ChoreRecord)[] = [];
    const head = ring.head;
    for (let at = consumer.next(head); at >= 0; at = consumer.next(head)) {
      const record = reader.read(at);
      if (record !== null) records.push(record);
    }
    consumer.release();
    return records;
  };
  const read = (): AuditRecord[] => readAll().flatMap((record) => (record.type === CHORE ? [] : [record]));
  return { ring, writer: new RecordWriter(producer), read, readAll };
}

function text(piece: Uint8Array): string {
  return Buffer.from(piece).toString("utf8");
}

test("an intent arrives as it was written", () => {
  const { writer, read } = pair();
  fc.assert(
    fc.property(
      fc.string({ maxLength: 80, unit: "binary" }),
      fc.string({ maxLength: 2000, unit: "binary" }),
      fc.option(fc.uint8Array({ maxLength: 3000 }), { nil: undefined }),
      fc.string({ maxLength: 3000, unit: "binary" }),
      fc.boolean(),
      fc.double({ noNaN: true }),
      (id, sql, parameters, piece, isHashed, timeMs) => {
        const textSha256 = isHashed ? sha256Hex(sql) : null;
        const fields = {
          id,
          refused: isHashed,
          session: piece,
          statement: `${piece}2`,
          decision: `${piece}3`,
          text: sql,
          textSha256,
          parameters,
          isAwaited: true,
        };
        expect(writer.intent(2 ** 40, timeMs, 1.5, fields)).toBe(true);
        const [record, ...more] = read();
        expect(more).toEqual([]);
        if (record?.type !== INTENT) throw new Error("not an intent");
        expect(record.sequence).toBe(2 ** 40);
        expect(record.timeMs).toBe(timeMs);
        expect(record.monoMs).toBe(1.5);
        expect(record.refused).toBe(isHashed);
        expect(text(record.id)).toBe(id.toWellFormed());
        expect(text(record.session)).toBe(piece.toWellFormed());
        expect(text(record.statement)).toBe(`${piece.toWellFormed()}2`);
        expect(text(record.decision)).toBe(`${piece.toWellFormed()}3`);
        expect(text(record.textSha256)).toBe(sha256Hex(Buffer.from(sql)));
        expect(record.parametersSha256 === null ? null : text(record.parametersSha256)).toBe(
          parameters === undefined ? null : sha256Hex(parameters),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test("what is too large to travel is hashed before", () => {
  const { writer, read } = pair();
  const sql = "é\0".repeat(UNHASHED_BYTES_MAX);
  const parameters = new Uint8Array(UNHASHED_BYTES_MAX * 3).fill(9);
  const fields = {
    id: "a",
    refused: false,
    session: "{}",
    statement: "{}",
    decision: "{}",
    text: sql,
    textSha256: null,
    parameters,
    isAwaited: true,
  };
  expect(writer.intent(1, 0, 0, fields)).toBe(true);
  const [record] = read();
  if (record?.type !== INTENT) throw new Error("not an intent");
  expect(text(record.textSha256)).toBe(sha256Hex(Buffer.from(sql)));
  expect(record.parametersSha256 && text(record.parametersSha256)).toBe(sha256Hex(parameters));
});

test("an id that is too long is refused and leaves nothing behind", () => {
  const { writer, read, ring } = pair();
  const fields = {
    refused: false,
    session: "",
    statement: "",
    decision: "",
    text: "",
    textSha256: null,
    parameters: undefined,
    isAwaited: true,
  };
  expect(() => writer.intent(1, 0, 0, { ...fields, id: "x".repeat(256) })).toThrow(RangeError);
  expect(ring.head).toBe(0);
  expect(writer.intent(1, 0, 0, { ...fields, id: "x".repeat(255) })).toBe(true);
  expect(read()).toHaveLength(1);
});

test("an outcome arrives as it was written", () => {
  const { writer, read } = pair();
  const outcomes: Outcome[] = [
    { status: "done", code: "SELECT", rows: 0, bytes: 2 ** 40 },
    { status: "failed", code: "42P01" },
    { status: "refused" },
    { status: "skipped", rows: 1 },
    { status: "cancelled", code: "é".repeat(64) },
    { status: "unknown" },
    { status: "done", bytes: 3, sha256: "0123456789abcdef".repeat(4) },
    { status: "failed", code: "é", ranges: "r0-99,w4096-8191", sha256: "f".repeat(64) },
    { status: "done", ranges: "a".repeat(255) },
  ];
  for (const [i, outcome] of outcomes.entries()) expect(writer.outcome(i + 1, 7, 8, 2 ** 33 + i, outcome)).toBe(true);
  const records = read();
  expect(records.map((record) => record.type === OUTCOME && record.outcome)).toEqual(outcomes);
  expect(records.map((record) => record.type === OUTCOME && record.intent)).toEqual(
    outcomes.map((_, i) => 2 ** 33 + i),
  );
});

test("a code and ranges are cut to what a record takes, and no hash is one that is none", () => {
  const { writer, read } = pair();
  const outcome: Outcome = { status: "failed", code: "€".repeat(200), ranges: "r".repeat(300), sha256: "short" };
  writer.outcome(1, 0, 0, 1, outcome);
  const [record] = read();
  expect(record?.type === OUTCOME && record.outcome).toEqual({
    status: "failed",
    code: "€".repeat(64),
    ranges: "r".repeat(255),
  });
});

test("pieces are sent once, and their slots are reused in order on both sides", () => {
  const { ring, writer, read } = pair();
  const templates = new Templates(writer);
  const rounds = TEMPLATE_SLOTS.session * 2 + 17;
  for (let i = 0; i < rounds; i++) {
    // An old session, whose slot has been taken over by now, and a new one.
    for (const n of [i, Math.max(0, i - 10), i - TEMPLATE_SLOTS.session - 5]) {
      const operation = sampleOperation(`op-${i}`, { session: sampleSession(n) });
      const fields = {
        id: operation.id,
        refused: false,
        session: templates.session(operation.session),
        statement: templates.statement(operation),
        decision: templates.decision(PERMIT, POLICY),
        text: "",
        textSha256: null,
        parameters: undefined,
        isAwaited: true,
      };
      expect(typeof fields.session).toBe("number");
      expect(writer.intent(i, 0, 0, fields)).toBe(true);
      const [record] = read();
      if (record?.type !== INTENT) throw new Error("not an intent");
      if (text(record.session) !== sessionPiece(operation.session))
        throw new Error(`session ${n} in round ${i} is another's`);
      if (text(record.statement) !== statementPiece(operation)) throw new Error("another statement");
      if (text(record.decision) !== decisionPiece(PERMIT, POLICY)) throw new Error("another decision");
    }
  }
  // Sent once: a second intent of the same session takes a few dozen bytes and no template.
  const before = ring.head;
  const operation = sampleOperation("op", { session: sampleSession(rounds - 1), textSha256: "a".repeat(64) });
  writer.intent(1, 0, 0, {
    id: "op",
    refused: false,
    session: templates.session(operation.session),
    statement: templates.statement(operation),
    decision: templates.decision(PERMIT, POLICY),
    text: operation.text,
    textSha256: operation.textSha256,
    parameters: undefined,
    isAwaited: true,
  });
  expect(ring.head - before).toBeLessThanOrEqual(136);
});

test("the same accesses under another kind, catalog or adapter are another statement, and each is sent once", () => {
  const { writer } = pair();
  const templates = new Templates(writer);
  const other = { ...sampleSession(2), target: { ...sampleSession(2).target, adapter: "ssh" } };
  const variants = [
    sampleOperation("1"),
    sampleOperation("2", { kind: "prepare" }),
    sampleOperation("3", { catalogDigest: "c" }),
    sampleOperation("4", { understood: false }),
    sampleOperation("5", { session: other }),
  ];
  const slots = variants.map((operation) => templates.statement(operation));
  expect(new Set(slots).size).toBe(variants.length);
  expect(variants.map((operation) => templates.statement(operation))).toEqual(slots);
});

test("a statement or decision whose slot was taken over is sent again", () => {
  const { writer, read } = pair();
  const templates = new Templates(writer);
  const first = sampleOperation("first");
  const decision: Decision = { kind: "permit", rules: ["first"], observed: [], obligations: {} };
  const send = (operation: Operation, decided: Decision): AuditRecord | undefined => {
    const statement = templates.statement(operation);
    const fields = {
      id: operation.id,
      refused: false,
      session: "",
      text: "",
      textSha256: null,
      parameters: undefined,
      isAwaited: true,
    };
    expect(writer.intent(1, 0, 0, { ...fields, statement, decision: templates.decision(decided, POLICY) })).toBe(true);
    return read()[0];
  };
  send(first, decision);
  for (let i = 0; i < TEMPLATE_SLOTS.statement; i++) {
    const accesses = [{ class: "read", facts: { relation: [`r${i}`] } }] as const;
    send(sampleOperation(`${i}`, { accesses }), {
      kind: "permit",
      rules: [`rule-${i}`],
      observed: [],
      obligations: {},
    });
  }
  const again = send(first, decision);
  if (again?.type !== INTENT) throw new Error("not an intent");
  expect(text(again.statement)).toBe(statementPiece(first));
  expect(text(again.decision)).toBe(decisionPiece(decision, POLICY));
});

test("a decision under another policy is recorded with that policy", () => {
  const { writer } = pair();
  const templates = new Templates(writer);
  const other = { ...POLICY, digest: "6".repeat(64) };
  const slot = templates.decision(PERMIT, POLICY);
  expect(templates.decision(PERMIT, other)).not.toBe(slot);
  expect(templates.decision(PERMIT, POLICY)).toBe(slot);
  expect(templates.decision("house", other)).not.toBe(templates.decision("house", POLICY));
});

test("a piece that is too large for a slot travels in its record", () => {
  const { writer } = pair();
  const templates = new Templates(writer);
  const operation = sampleOperation("1", {
    kind: "k",
    accesses: [{ class: "read", facts: { relation: Array(400).fill("public.a_relation") } }],
  });
  expect(templates.statement(operation)).toBe(statementPiece(operation));
});

test("chores arrive as they were asked for", () => {
  const { writer, readAll } = pair();
  fc.assert(
    fc.property(
      fc.constantFrom(...CHORES),
      fc.double({ noNaN: true }),
      fc.maxSafeNat(),
      fc.uint8Array({ maxLength: 5000 }),
      (kind, timeMs, number, data) => {
        expect(writer.chore(kind, timeMs, number, data)).toBe(true);
        expect(readAll()).toEqual([{ type: CHORE, kind, timeMs, number, data: new Uint8Array(data) }]);
      },
    ),
  );
  expect(() => writer.chore("stamp", 1, 1, new Uint8Array(RECORD_BYTES_MAX))).toThrow(RangeError);
});
