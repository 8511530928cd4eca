/** What is told of a transfer is what passed: checked against each byte's own note. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import { Transfer } from "./transfer.ts";

const FILE_BYTES = 60;
const piece = fc.record({
  isWrite: fc.boolean(),
  first: fc.nat(FILE_BYTES - 1),
  length: fc.integer({ min: 1, max: 12 }),
});

/** The bytes that `ranges` names, by direction; null when it says that some are left out. */
function told(ranges: string, direction: string): Set<number> | null {
  const bytes = new Set<number>();
  for (const word of ranges.split(",").filter((each) => each.startsWith(direction))) {
    if (word.endsWith("...")) return null;
    const [first = 0, last = 0] = word.slice(1).split("-").map(Number);
    for (let at = first; at <= last; at++) bytes.add(at);
  }
  return bytes;
}

test("ranges name every byte that passed, and no other", () => {
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 14 }), (pieces) => {
      const transfer = new Transfer(false);
      const noted = { r: new Set<number>(), w: new Set<number>() };
      let bytes = 0;
      for (const { isWrite, first, length } of pieces) {
        const content = new Uint8Array(length).fill(first);
        if (isWrite) {
          transfer.writes(first, content);
          transfer.wrote(first, length);
        } else transfer.read(first, content);
        bytes += length;
        for (let at = first; at < first + length; at++) noted[isWrite ? "w" : "r"].add(at);
      }
      const outcome = transfer.outcome();
      expect(outcome.bytes).toBe(bytes);
      if (outcome.ranges === undefined) {
        expect(outcome.sha256).toHaveLength(64);
        return;
      }
      expect(outcome.sha256).toBeUndefined();
      for (const direction of ["r", "w"] as const) {
        const named = told(outcome.ranges, direction);
        if (named === null) continue;
        expect([...named].toSorted((a, b) => a - b)).toEqual([...noted[direction]].toSorted((a, b) => a - b));
      }
    }),
    { numRuns: 1000 },
  );
});

test("there is a hash exactly when all went in order from the beginning, in one direction", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 9 }),
      fc.boolean(),
      (parts, isWrite) => {
        const transfer = new Transfer(false);
        let at = 0;
        for (const part of parts) {
          if (isWrite) {
            transfer.writes(at, part);
            transfer.wrote(at, part.length);
          } else transfer.read(at, part);
          at += part.length;
        }
        const sha256 = createHash("sha256").update(Buffer.concat(parts)).digest("hex");
        expect(transfer.outcome()).toEqual({ bytes: at, sha256 });
      },
    ),
  );
});

test("many ranges are cut between words", () => {
  const transfer = new Transfer(false);
  for (let n = 0; n < 20; n++) transfer.read(10 ** 12 + n * 1000, new Uint8Array(10));
  for (let n = 0; n < 20; n++) {
    transfer.writes(10 ** 12 + n * 1000, new Uint8Array(10));
    transfer.wrote(10 ** 12 + n * 1000, 10);
  }
  const { ranges = "" } = transfer.outcome();
  expect(ranges.length).toBeLessThanOrEqual(255);
  expect(ranges).toMatch(/^r1000000000000-1000000000009,.*,\.\.\.$/);
  for (const word of ranges.split(",").slice(0, -1)) expect(word).toMatch(/^[rw](?:\d{13}-\d{13}|\.\.\.)$/);
});

test("what was written and not acknowledged is in no hash", () => {
  const transfer = new Transfer(false);
  transfer.writes(0, new Uint8Array(10));
  transfer.wrote(0, 10);
  transfer.writes(10, new Uint8Array(10));
  expect(transfer.outcome()).toEqual({ bytes: 10, ranges: "w0-9" });
});
