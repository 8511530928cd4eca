/** Logins by token: who gets in, that all refusals look alike, and when a login ends. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRefusal } from "../core/decision.ts";
import type { Refusal } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import { LOGIN_LIMITS, LoginLimits } from "./login-limits.ts";
import { formatToken, newToken } from "./token.ts";
import { TokenStore } from "./token-store.ts";
import { TokenAuthenticator } from "./tokens.ts";

const NOW = Date.UTC(2026, 10, 20);
const HOUR_MS = 3_600_000;
let folder: string;
let store: TokenStore;
let now: number;
let waits: number;
let authenticator: TokenAuthenticator;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-login-"));
  store = TokenStore.open(folder);
  now = NOW;
  waits = 0;
  const limits = new LoginLimits(LOGIN_LIMITS, async () => void waits++);
  authenticator = new TokenAuthenticator(store, { now: () => now }, limits);
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function make(expiresAtMs: number | null = null): { text: string; id: string } {
  const { text, record } = store.create(
    { subject: "bot", kind: "agent", groups: ["g"], owner: "eva", expiresAtMs },
    now,
  );
  return { text, id: record.id };
}

async function login(secret: string, source = "192.0.2.1"): Promise<Identity | Refusal> {
  return authenticator.authenticate({ method: "token", secret, source });
}

async function identityOf(secret: string): Promise<Identity> {
  const answer = await login(secret);
  if (isRefusal(answer)) throw new Error(answer.message);
  return answer;
}

describe("a login", () => {
  test("gives the identity that the token stands for", async () => {
    const { text, id } = make(NOW + HOUR_MS);
    expect(await login(text)).toEqual({
      kind: "agent",
      issuer: "weir",
      subject: "bot",
      groups: ["g"],
      owner: "eva",
      proof: { method: "token", credential: id, expiresAtMs: NOW + HOUR_MS },
    });
  });

  test("is refused in the same words, whatever is wrong", async () => {
    const expired = make(NOW + HOUR_MS).text;
    const revoked = make();
    const right = make();
    store.revoke(revoked.id, now);
    now += HOUR_MS;
    const otherSecret = formatToken({ id: right.id, secret: newToken().secret });
    const answers: (Identity | Refusal)[] = [];
    for (const secret of ["", "secret", "weir_x", formatToken(newToken()), otherSecret, expired, revoked.text]) {
      answers.push(await login(secret));
    }
    for (const answer of answers) expect([answer]).toEqual(answers.slice(0, 1));
    expect(answers[0]).toMatchObject({ kind: "refusal", code: "unauthenticated" });
    expect(isRefusal(await login(right.text))).toBe(false);
  });

  test("is refused while the store cannot be reached, and works again afterwards", async () => {
    const { text } = make();
    renameSync(join(folder, "identity.db"), join(folder, "away"));
    await until(async () => isRefusal(await login(text)));
    expect(await login(text)).toMatchObject({ kind: "refusal", code: "internal" });
    renameSync(join(folder, "away"), join(folder, "identity.db"));
    expect(isRefusal(await login(text))).toBe(false);
  });

  test("from an address that failed too often is looked at late, and a right token still gets in", async () => {
    const { text } = make();
    for (let count = 0; count < LOGIN_LIMITS.failuresPerAddressMax; count++) await login("wrong");
    expect(waits).toBe(0);
    expect(isRefusal(await login("wrong"))).toBe(true);
    expect(waits).toBe(1);
    expect(isRefusal(await login(text))).toBe(false);
    expect(waits).toBe(2);
    expect(isRefusal(await login(text, "192.0.2.2"))).toBe(false);
    expect(waits).toBe(2);
  });

  test("with a token that was guessed at from many addresses is looked at late", async () => {
    const { text, id } = make();
    for (let count = 0; count < LOGIN_LIMITS.failuresPerTokenMax; count++) {
      await login(formatToken({ id, secret: newToken().secret }), `198.51.100.${count}`);
    }
    expect(waits).toBe(0);
    expect(isRefusal(await login(text))).toBe(false);
    expect(waits).toBe(1);
  });

  test("that was revoked while it waited is refused", async () => {
    const { text, id } = make();
    const limits = new LoginLimits(
      { ...LOGIN_LIMITS, failuresPerAddressMax: 1 },
      async () => void store.revoke(id, now),
    );
    authenticator = new TokenAuthenticator(store, { now: () => now }, limits);
    await login("wrong");
    expect(isRefusal(await login(text))).toBe(true);
  });
});

describe("an open session's login", () => {
  test("ends when the token expires", async () => {
    const identity = await identityOf(make(NOW + HOUR_MS).text);
    expect(authenticator.stillValid(identity, NOW + HOUR_MS - 1)).toBe(true);
    expect(authenticator.stillValid(identity, NOW + HOUR_MS)).toBe(false);
  });

  test("ends at once when the token is revoked here", async () => {
    const { text, id } = make();
    const identity = await identityOf(text);
    store.revoke(id, now);
    expect(authenticator.stillValid(identity, now)).toBe(false);
  });

  test("ends when another process revokes it, or the store is gone", async () => {
    const { text, id } = make();
    const identity = await identityOf(text);
    const other = TokenStore.open(folder);
    other.revoke(id, now);
    other.close();
    await until(async () => !authenticator.stillValid(identity, now));

    const second = await identityOf(make().text);
    renameSync(join(folder, "identity.db"), join(folder, "away"));
    await until(async () => !authenticator.stillValid(second, now));
  });

  test("is never that of an issuer who knows no tokens", async () => {
    const identity = await identityOf(make().text);
    expect(authenticator.stillValid({ ...identity, issuer: "corp" }, now)).toBe(false);
    expect(authenticator.stillValid({ ...identity, subject: "eva" }, now)).toBe(false);
  });
});

/** Waits for what must come true; the promise of revocation is 5 s. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("this did not come true within 5 s");
    await Bun.sleep(20);
  }
}
