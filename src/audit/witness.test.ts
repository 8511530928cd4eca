/** A witness answers as tlog-witness says, keeps what it has cosigned, and never cosigns two trees of one log. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { ToyLog } from "../../test/toy-log.ts";
import { addSignatures, newSigner, NOTE_BYTES_MAX, openNote, readVerifier } from "./note.ts";
import { formatRequest, readRequest, SIZE_TYPE } from "./witness-request.ts";
import { Rates } from "./witness-server.ts";
import { WitnessStore } from "./witness-store.ts";
import { Witness } from "./witness.ts";
import type { WitnessAnswer, WitnessParts } from "./witness.ts";

const NOW_MS = 1_700_000_000_999;
const { signer } = newSigner("witness.example/w1", "cosignature");

let folder: string;
let store: WitnessStore;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-witness-"));
  store = new WitnessStore(folder);
  said = [];
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function witness(...logs: readonly ToyLog[]): Witness {
  const clock = { now: () => NOW_MS };
  return new Witness({ signer, logs: logs.map((log) => log.vkey), store, clock, say: (line) => said.push(line) });
}

type Asked = {
  readonly oldSize: number;
  readonly size?: number;
  readonly proof?: readonly Uint8Array[];
  readonly note?: string;
};

function ask(from: Witness, log: ToyLog, { oldSize, size = log.size, proof, note }: Asked): WitnessAnswer {
  const hashes = proof ?? (oldSize > size ? [] : log.proof(oldSize, size));
  return from.addCheckpoint(Buffer.from(formatRequest({ oldSize, proof: hashes, note: note ?? log.note(size) })));
}

function sizeAnswer(size: number): WitnessAnswer {
  return { status: 409, type: SIZE_TYPE, body: `${size}\n` };
}

describe("an answer", () => {
  test("is a cosignature of the checkpoint at the witness's time", () => {
    const log = new ToyLog("log", 5);
    const { status, body } = ask(witness(log), log, { oldSize: 0 });
    expect(status).toBe(200);
    const note = addSignatures(log.note(), [body]);
    expect(openNote(note, [readVerifier(signer.verifier.vkey)]).verified).toEqual([
      { verifier: signer.verifier, timeSeconds: 1_700_000_000 },
    ]);
    expect(store.cosigned("log")).toEqual({ size: 5, root: log.root(), timeMs: NOW_MS, note });
  });

  test("follows a log from size to size, and again at the same size", () => {
    const log = new ToyLog("log", 1);
    const from = witness(log);
    let oldSize = 0;
    for (const size of [1, 2, 7, 7, 8, 64, 65]) {
      while (log.size < size) log.append(`entry ${log.size}`);
      expect([size, ask(from, log, { oldSize }).status]).toEqual([size, 200]);
      oldSize = size;
    }
  });

  test("is 409 with the size that was cosigned when the old size is another", () => {
    const log = new ToyLog("log", 9);
    const from = witness(log);
    ask(from, log, { oldSize: 0, size: 6 });
    expect(ask(from, log, { oldSize: 0 })).toEqual(sizeAnswer(6));
    expect(ask(from, log, { oldSize: 5 })).toEqual(sizeAnswer(6));
    expect(ask(from, log, { oldSize: 8 })).toEqual(sizeAnswer(6));
    expect(ask(from, log, { oldSize: 6 }).status).toBe(200);
  });

  test("never goes back to a smaller size", () => {
    const log = new ToyLog("log", 9);
    const from = witness(log);
    ask(from, log, { oldSize: 0 });
    expect(ask(from, log, { oldSize: 0, size: 4 })).toEqual(sizeAnswer(9));
    expect(ask(from, log, { oldSize: 9, size: 4 }).status).toBe(400);
    expect(store.cosigned("log")?.size).toBe(9);
  });

  test("is 404 for a log it does not know, before anything of the signature is looked at", () => {
    const log = new ToyLog("log", 3);
    expect(ask(witness(new ToyLog("other")), log, { oldSize: 0 }).status).toBe(404);
  });

  test("is 403 without a signature of a known key of that log", () => {
    const log = new ToyLog("log", 3);
    const namesake = new ToyLog("log", 3);
    const other = new ToyLog("other", 3);
    const from = witness(log, other);
    expect(ask(from, namesake, { oldSize: 0 }).status).toBe(403);
    expect(ask(from, log, { oldSize: 0, note: log.note(3, [other.signer]) }).status).toBe(403);
    const note = log.note();
    const at = note.length - 10;
    const forged = note.slice(0, at) + (note[at] === "A" ? "B" : "A") + note.slice(at + 1);
    expect(ask(from, log, { oldSize: 0, note: forged }).status).toBe(403);
    expect(store.cosigned("log")).toBeNull();
  });

  test("takes a log that is signed by its old and its new key, known to the witness or not", () => {
    const log = new ToyLog("log", 3);
    const renewed = new ToyLog("log", 3);
    const note = log.note(3, [log.signer, renewed.signer]);
    expect(ask(witness(log), log, { oldSize: 0, note }).status).toBe(200);
    expect(ask(witness(log, renewed), log, { oldSize: 3, note }).status).toBe(200);
  });

  test("is 422 when the proof proves nothing", () => {
    const log = new ToyLog("log", 20);
    const from = witness(log);
    expect(ask(from, log, { oldSize: 0, proof: [log.root()] }).status).toBe(422);
    ask(from, log, { oldSize: 0, size: 11 });
    const proof = log.proof(11, 20);
    expect(ask(from, log, { oldSize: 11, proof: proof.slice(1) }).status).toBe(422);
    expect(ask(from, log, { oldSize: 11, proof: [...proof, log.root()] }).status).toBe(422);
    expect(ask(from, log, { oldSize: 11, proof: proof.toReversed() }).status).toBe(422);
    expect(ask(from, log, { oldSize: 11, size: 11, proof: [log.root()] }).status).toBe(422);
    expect(store.cosigned("log")?.size).toBe(11);
    expect(ask(from, log, { oldSize: 11 }).status).toBe(200);
  });
});

describe("a log that shows two trees", () => {
  test("of one size gets 409, and what it signed is kept as evidence", () => {
    const log = new ToyLog("log", 4);
    const other = new ToyLog("log", 3, log.signer);
    other.append("not what the witness saw");
    const from = witness(log);
    ask(from, log, { oldSize: 0 });
    expect(ask(from, other, { oldSize: 4 })).toEqual(sizeAnswer(4));
    expect(said.join()).toContain("ALARM: the log log does not go with what was cosigned of it");
    expect(conflicts()).toEqual([["log", "there is another root for 4 entries", other.note()]]);
    expect(store.cosigned("log")?.root).toEqual(log.root());
  });

  test("of different sizes gets 422, and what it signed is kept as evidence", () => {
    const log = new ToyLog("log", 4);
    const other = new ToyLog("log", 3, log.signer);
    for (const text of ["rewritten", "later"]) other.append(text);
    const from = witness(log);
    ask(from, log, { oldSize: 0 });
    expect(ask(from, other, { oldSize: 4 }).status).toBe(422);
    expect(conflicts()).toEqual([["log", expect.stringContaining("5 entries do not follow 4: "), other.note()]]);
  });

  test("is not made up out of what the log has signed and a proof that is none", () => {
    const log = new ToyLog("log", 4);
    const from = witness(log);
    const nothing = [new Uint8Array(32)];
    expect(ask(from, log, { oldSize: 0, proof: nothing }).status).toBe(422);
    ask(from, log, { oldSize: 0 });
    expect(ask(from, log, { oldSize: 4, proof: nothing }).status).toBe(422);
    expect(said).toEqual([]);
    expect(conflicts()).toEqual([]);
    log.append("more");
    for (let i = 0; i < 3; i++) ask(from, log, { oldSize: 4, proof: nothing });
    expect(conflicts()).toHaveLength(1);
  });

  test("cannot fill the witness's disk with evidence", () => {
    const log = new ToyLog("log", 4);
    const from = witness(log);
    ask(from, log, { oldSize: 0 });
    const other = new ToyLog("log", 3, log.signer);
    for (let i = 0; i < 40; i++) {
      other.append(`rewritten ${i}`);
      ask(from, other, { oldSize: 4 });
    }
    expect(conflicts()).toHaveLength(32);
  });

  function conflicts(): unknown[] {
    const database = new Database(join(folder, "witness.db"), { readonly: true });
    try {
      return database.prepare("SELECT origin, reason, note FROM conflict ORDER BY id").raw(true).all([]);
    } finally {
      database.close();
    }
  }
});

describe("what was cosigned", () => {
  test("is kept with the log's own signature, whatever other line of its key comes behind it", () => {
    const log = new ToyLog("log", 4);
    const line = log.note().split("\n\n")[1]?.trim() ?? "";
    const [, , base64 = ""] = line.split(" ");
    const forged = Buffer.from(base64, "base64").fill(0, 10);
    const note = `${log.note()}\u2014 log ${forged.toString("base64")}\n`;
    expect(ask(witness(log), log, { oldSize: 0, note }).status).toBe(200);
    const kept = store.cosigned("log")?.note ?? "";
    expect(openNote(kept, [log.signer.verifier, signer.verifier]).verified).toHaveLength(2);
  });

  test("is there after the witness was opened again", () => {
    const log = new ToyLog("log", 9);
    ask(witness(log), log, { oldSize: 0 });
    store.close();
    store = new WitnessStore(folder);
    expect(ask(witness(log), log, { oldSize: 0 })).toEqual(sizeAnswer(9));
  });

  test("is replaced by one of two who start from it, also in two processes", () => {
    const log = new ToyLog("log", 9);
    ask(witness(log), log, { oldSize: 0, size: 5 });
    const old = store.cosigned("log");
    const second = new WitnessStore(folder);
    try {
      const next = (size: number): Parameters<WitnessStore["replace"]>[2] => ({
        size,
        root: log.root(size),
        timeMs: NOW_MS,
        note: log.note(size),
      });
      expect(second.replace("log", old, next(8))).toBe(true);
      expect(store.replace("log", old, next(9))).toBe(false);
      expect(store.replace("log", null, next(9))).toBe(false);
      expect(store.cosigned("log")?.size).toBe(8);
    } finally {
      second.close();
    }
  });

  test("between the look and the write makes the answer 409", () => {
    const log = new ToyLog("log", 9);
    const stale = { size: 5, root: log.root(5), timeMs: NOW_MS, note: log.note(5) };
    store.replace("log", null, { ...stale, size: 6, root: log.root(6) });
    let looks = 0;
    const behind: WitnessParts["store"] = {
      cosigned: () => (looks++ === 0 ? stale : store.cosigned("log")),
      replace: (...args) => store.replace(...args),
      keepConflict: () => {},
    };
    const from = new Witness({ signer, logs: [log.vkey], store: behind, clock: { now: () => NOW_MS }, say: () => {} });
    expect(ask(from, log, { oldSize: 5 })).toEqual(sizeAnswer(6));
  });

  test("that cannot be written is not cosigned", () => {
    const log = new ToyLog("log", 9);
    const full = new Database(join(folder, "witness.db"));
    full.exec("CREATE TRIGGER full BEFORE INSERT ON cosigned BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    full.close();
    const { status, body } = ask(witness(log), log, { oldSize: 0 });
    expect([status, body]).toEqual([500, "the witness cannot keep what it sees, so it cosigns nothing\n"]);
    expect(said.join()).toContain("disk full");
  });
});

describe("a request", () => {
  const log = new ToyLog("log", 3);
  const note = log.note();
  const bad: readonly (readonly [what: string, body: string | Uint8Array])[] = [
    ["nothing", ""],
    ["no old size", `\n${note}`],
    ["a leading zero", `old 00\n\n${note}`],
    ["a negative size", `old -1\n\n${note}`],
    ["two spaces", `old  0\n\n${note}`],
    ["no empty line", `old 0\n${note}`],
    ["a hash that is short", `old 1\nAAAA\n\n${note}`],
    ["64 hashes", `old 1\n${`${Buffer.alloc(32).toString("base64")}\n`.repeat(64)}\n${note}`],
    ["carriage returns", `old 0\r\n\r\n${note}`],
    ["what is not UTF-8", Buffer.concat([Buffer.from("old 0\n\nlo\xff"), Buffer.from([0xff]), Buffer.from(note)])],
    ["no checkpoint", "old 0\n\nlog\n\n— log AAAAAAAA\n"],
    ["too many bytes", `old 0\n\n${"x".repeat(NOTE_BYTES_MAX + 4000)}`],
    ["an old size beyond the checkpoint's", `old 4\n\n${note}`],
  ];
  for (const [what, body] of bad) {
    test(`with ${what} is 400`, () => {
      expect(witness(log).addCheckpoint(typeof body === "string" ? Buffer.from(body) : body).status).toBe(400);
    });
  }

  test("is read back as it was written", () => {
    const request = { oldSize: 2, proof: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)], note };
    expect(readRequest(Buffer.from(formatRequest(request)))).toEqual(request);
  });

  test("of one address is taken a hundred times at once, then twenty times a second", () => {
    const rates = new Rates();
    const admitted = (address: string, atMs: number): number =>
      Array.from({ length: 200 }, () => rates.admits(address, atMs)).filter(Boolean).length;
    expect([admitted("a", 0), admitted("b", 0), admitted("a", 1000), admitted("a", 100_000)]).toEqual([
      100, 100, 20, 100,
    ]);
  });

  test("of one IPv6 network is taken as if it were of one address", () => {
    const rates = new Rates();
    let admitted = 0;
    for (let i = 0; i < 200; i++) if (rates.admits(`2001:db8:1:2::${i.toString(16)}`, 0)) admitted++;
    expect(admitted).toBe(100);
    expect(rates.admits("2001:db8:1:3::1", 0)).toBe(true);
  });
});

test("a witness takes keys of logs only, and signs with a key for cosignatures only", () => {
  const log = new ToyLog("log");
  const parts = { store, clock: { now: () => NOW_MS }, say: () => {} };
  expect(() => new Witness({ ...parts, signer, logs: [signer.verifier.vkey] })).toThrow("a witness's key");
  expect(() => new Witness({ ...parts, signer: log.signer, logs: [log.vkey] })).toThrow("a key for cosignatures");
  expect(() => new Witness({ ...parts, signer, logs: ["log+12345678+AA"] })).toThrow();
});
