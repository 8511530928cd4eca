/** The store of tokens, on real libSQL files: kept, revoked, seen by others, and refused when it is not itself. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { StoreError } from "./store-error.ts";
import { TokenStore } from "./token-store.ts";
import type { NewToken } from "./token-store.ts";

const NOW = Date.UTC(2026, 10, 20);
const DAY_MS = 86_400_000;
const BOT: NewToken = {
  subject: "bot",
  kind: "agent",
  groups: ["b", "a", "b"],
  owner: "eva",
  expiresAtMs: NOW + DAY_MS,
};

let folder: string;
const open: TokenStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-tokens-"));
});
afterEach(() => {
  for (const store of open.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

function store(): TokenStore {
  const opened = TokenStore.open(folder);
  open.push(opened);
  return opened;
}

describe("tokens", () => {
  test("are kept over a restart, without their secret", () => {
    const first = store();
    const { text, record } = first.create(BOT, NOW);
    expect(record).toMatchObject({
      subject: "bot",
      kind: "agent",
      groups: ["a", "b"],
      owner: "eva",
      createdAtMs: NOW,
      revokedAtMs: null,
    });
    first.close();
    expect(store().list()).toEqual([record]);
    const secret = text.slice(18, 61);
    for (const file of ["identity.db", "identity.db-wal"]) {
      const bytes = readFileOrEmpty(join(folder, file));
      expect(bytes.includes(secret)).toBe(false);
    }
  });

  test("are forgotten a month after their end", () => {
    const tokens = store();
    tokens.create(BOT, NOW);
    tokens.create({ ...BOT, expiresAtMs: null }, NOW);
    tokens.create(BOT, NOW + 1);
    const later = NOW + 32 * DAY_MS;
    tokens.create({ ...BOT, subject: "late", expiresAtMs: null }, later);
    expect(tokens.list().map((token) => [token.subject, token.expiresAtMs])).toEqual([
      ["bot", null],
      ["late", null],
    ]);
  });

  const wrong: readonly [name: string, wanted: NewToken][] = [
    ["a subject with a capital", { ...BOT, subject: "Bot" }],
    ["a subject that is too long", { ...BOT, subject: "b".repeat(64) }],
    ["no subject", { ...BOT, subject: "" }],
    ["the gateway's own name", { ...BOT, subject: "gateway" }],
    ["an owner with a space", { ...BOT, owner: "e va" }],
    ["a group with a comma", { ...BOT, groups: ["a,b"] }],
    ["an empty group", { ...BOT, groups: [""] }],
    ["too many groups", { ...BOT, groups: Array.from({ length: 65 }, (_, index) => `g${index}`) }],
    ["an end before its beginning", { ...BOT, expiresAtMs: NOW }],
  ];
  for (const [name, wanted] of wrong) {
    test(`are not made with ${name}`, () => {
      const tokens = store();
      expect(() => tokens.create(wanted, NOW)).toThrow(StoreError);
      expect(tokens.list()).toEqual([]);
    });
  }

  test("can be revoked, and stay so", () => {
    const tokens = store();
    const { record } = tokens.create(BOT, NOW);
    expect(tokens.revoke(record.id, NOW + 5)?.revokedAtMs).toBe(NOW + 5);
    expect(tokens.revoke(record.id, NOW + 9)?.revokedAtMs).toBe(NOW + 5);
    expect(tokens.revoke("000000000000", NOW)).toBeNull();
    expect(tokens.find(record.id)?.record.revokedAtMs).toBe(NOW + 5);
  });

  test("that another process revokes are seen at the next refresh", () => {
    const here = store();
    const there = store();
    const { record } = here.create(BOT, NOW);
    expect(there.revoke(record.id, NOW + 5)?.revokedAtMs).toBe(NOW + 5);
    here.refresh();
    expect(here.find(record.id)?.record.revokedAtMs).toBe(NOW + 5);
  });
});

describe("the store", () => {
  test("can be read by its owner only", () => {
    store().create(BOT, NOW);
    for (const file of ["identity.db", "identity.db-wal", "identity.key"]) {
      expect([file, statSync(join(folder, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
  });

  test("refuses once its file is gone", () => {
    const tokens = store();
    const { record } = tokens.create(BOT, NOW);
    renameSync(join(folder, "identity.db"), join(folder, "away"));
    expect(() => tokens.refresh()).toThrow(StoreError);
    renameSync(join(folder, "away"), join(folder, "identity.db"));
    tokens.refresh();
    expect(tokens.find(record.id)?.record).toEqual(record);
  });

  test("refuses once its file was replaced", () => {
    const tokens = store();
    renameSync(join(folder, "identity.db"), join(folder, "away"));
    writeFileSync(join(folder, "identity.db"), readFileSync(join(folder, "away")));
    expect(() => tokens.refresh()).toThrow("was replaced");
  });

  test("refuses once it is closed", () => {
    const tokens = store();
    tokens.close();
    expect(() => tokens.find("000000000000")).toThrow(StoreError);
  });

  test("does not make a new key for tokens that are there", () => {
    store().create(BOT, NOW);
    unlinkSync(join(folder, "identity.key"));
    expect(() => TokenStore.open(folder)).toThrow("is gone");
  });

  test("refuses a key that others can read, or that was cut", () => {
    store();
    chmodSync(join(folder, "identity.key"), 0o640);
    expect(() => TokenStore.open(folder)).toThrow("chmod 600");
    chmodSync(join(folder, "identity.key"), 0o600);
    writeFileSync(join(folder, "identity.key"), "short");
    expect(() => TokenStore.open(folder)).toThrow("is damaged");
  });

  test("refuses a file that is no database, or that a newer weir wrote", () => {
    writeFileSync(join(folder, "identity.db"), "x".repeat(4096));
    expect(() => TokenStore.open(folder)).toThrow(StoreError);
    unlinkSync(join(folder, "identity.db"));
    const database = new Database(join(folder, "identity.db"));
    database.exec("PRAGMA user_version = 2");
    database.close();
    expect(() => TokenStore.open(folder)).toThrow("newer weir");
  });
});

function readFileOrEmpty(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
