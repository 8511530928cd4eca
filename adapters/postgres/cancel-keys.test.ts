/** Cancel keys: only the exact key finds its session, and guessing is cut short. */
import { expect, test } from "bun:test";
import { CancelKeys, type CancelKey } from "./cancel-keys.ts";

const HERE = "192.0.2.1";
const ELSEWHERE = "192.0.2.2";
const GUESSES_MAX = 20;
const WINDOW_MS = 60_000;

function flipped(key: CancelKey): CancelKey {
  const secret = Buffer.from(key.secret);
  secret[secret.length - 1] = (secret[secret.length - 1] ?? 0) ^ 1;
  return { processId: key.processId, secret };
}

test("a key finds its own session and no other", () => {
  const keys = new CancelKeys<string>();
  const a = keys.issue(0, "a");
  const b = keys.issue(2, "b");
  expect(keys.find(a, HERE, 0)).toBe("a");
  expect(keys.find(b, HERE, 0)).toBe("b");
  expect(keys.find({ processId: a.processId, secret: b.secret }, HERE, 0)).toBeNull();
});

test("secrets are as long as the protocol allows", () => {
  const keys = new CancelKeys<string>();
  expect(keys.issue(0, "a").secret).toHaveLength(4);
  expect(keys.issue(2, "b").secret).toHaveLength(32);
});

test("a wrong secret, a prefix, a longer one and an unknown process find nothing", () => {
  const keys = new CancelKeys<string>();
  const key = keys.issue(2, "a");
  const wrong: CancelKey[] = [
    flipped(key),
    { processId: key.processId, secret: key.secret.subarray(0, 4) },
    { processId: key.processId, secret: new Uint8Array(0) },
    { processId: key.processId, secret: Buffer.concat([key.secret, Buffer.of(0)]) },
    { processId: key.processId ^ 1, secret: key.secret },
  ];
  for (const each of wrong) expect(keys.find(each, HERE, 0)).toBeNull();
  expect(keys.find(key, HERE, 0)).toBe("a");
});

test("a withdrawn key finds nothing", () => {
  const keys = new CancelKeys<string>();
  const key = keys.issue(0, "a");
  keys.withdraw(key);
  expect(keys.find(key, HERE, 0)).toBeNull();
});

test("process ids are positive, of 31 bits, and differ", () => {
  const keys = new CancelKeys<number>();
  const seen = new Set<number>();
  for (let n = 0; n < 2000; n++) {
    const { processId } = keys.issue(0, n);
    expect(processId).toBeGreaterThan(0);
    expect(processId).toBeLessThanOrEqual(0x7fffffff);
    seen.add(processId);
  }
  expect(seen.size).toBe(2000);
});

test("after too many wrong keys an address is not listened to for the rest of the minute", () => {
  const keys = new CancelKeys<string>();
  const key = keys.issue(0, "a");
  for (let n = 0; n < GUESSES_MAX; n++) expect(keys.find(flipped(key), HERE, n)).toBeNull();
  expect(keys.find(key, HERE, 100)).toBeNull();
  expect(keys.find(key, ELSEWHERE, 100)).toBe("a");
  expect(keys.find(key, HERE, WINDOW_MS - 1)).toBeNull();
  expect(keys.find(key, HERE, WINDOW_MS)).toBe("a");
});

test("right keys are never counted", () => {
  const keys = new CancelKeys<string>();
  const key = keys.issue(0, "a");
  for (let n = 0; n < 10 * GUESSES_MAX; n++) expect(keys.find(key, HERE, 0)).toBe("a");
});

test("many addresses that guess do not fill the memory", () => {
  const keys = new CancelKeys<string>();
  const key = keys.issue(0, "a");
  for (let n = 0; n < 30_000; n++) keys.find(flipped(key), `10.0.${n >> 8}.${n & 255}`, 0);
  expect(keys.find(key, HERE, 0)).toBe("a");
});
