/** Tokens and the log: what could not be recorded is not handed out, and a revocation counts in any case. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issueToken, revokeToken } from "./issue.ts";
import type { Recorder } from "./issue.ts";
import { TokenStore } from "./token-store.ts";
import type { NewToken } from "./token-store.ts";

const NOW = Date.UTC(2026, 10, 20);
const BOT: NewToken = { subject: "bot", kind: "agent", groups: ["g"], owner: "eva", expiresAtMs: null };
let folder: string;
let store: TokenStore;
let recorded: unknown[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-issue-"));
  store = TokenStore.open(folder);
  recorded = [];
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const working: Recorder = {
  event: (kind, facts) => recorded.push([kind, facts]),
  waitDurable: async () => undefined,
};
const full: Recorder = {
  event: () => {
    throw new Error("the disk is full");
  },
  waitDurable: async () => undefined,
};
const losing: Recorder = {
  event: () => 1,
  waitDurable: async () => {
    throw new Error("the disk is gone");
  },
};

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "it worked",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

describe("a new token", () => {
  test("is an entry before it is handed out", async () => {
    const { record } = await issueToken(store, working, BOT, "command line", NOW);
    const facts = {
      token: record.id,
      subject: "bot",
      kind: "agent",
      groups: ["g"],
      owner: "eva",
      expiresAtMs: null,
      by: "command line",
    };
    expect(recorded).toEqual([["token.created", facts]]);
  });

  for (const [name, recorder] of [
    ["is full", full],
    ["loses it", losing],
  ] as const) {
    test(`is none when the log ${name}`, async () => {
      expect(await failure(issueToken(store, recorder, BOT, "local socket", NOW))).toStartWith(
        "the token could not be recorded, so there is none: ",
      );
      expect(store.list().map((token) => token.revokedAtMs)).toEqual([NOW]);
    });
  }
});

describe("a revocation", () => {
  test("is one entry, however often it is asked for", async () => {
    const { id } = store.create(BOT, NOW).record;
    for (const now of [NOW + 1, NOW + 2]) {
      expect((await revokeToken(store, async () => working, id, "local socket", now))?.revokedAtMs).toBe(NOW + 1);
    }
    expect(recorded).toEqual([["token.revoked", { token: id, subject: "bot", by: "local socket" }]]);
  });

  test("counts when it cannot be recorded, and says so", async () => {
    const { id } = store.create(BOT, NOW).record;
    const noLog = async (): Promise<Recorder> => {
      throw new Error("no log");
    };
    expect(await failure(revokeToken(store, noLog, id, "command line", NOW))).toBe(
      "the token is revoked, but this could not be recorded: no log",
    );
    expect(store.find(id)?.record.revokedAtMs).toBe(NOW);
  });

  test("of nothing is nothing", async () => {
    expect(await revokeToken(store, async () => working, "000000000000", "command line", NOW)).toBeNull();
    expect(recorded).toEqual([]);
  });
});
