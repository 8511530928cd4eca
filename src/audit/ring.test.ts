/** The ring: what goes in comes out once and in order, around its end, and a full ring takes nothing. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RESERVE_BYTES,
  RING_BYTES,
  RingConsumer,
  RingProducer,
  SharedRing,
} from "./ring.ts";

const TYPE = 7;

/** Writes a record whose bytes follow from its number; false when there is no room. */
function put(producer: RingProducer, number: number, sizeBytes: number, reserveBytes = 0): boolean {
  const at = producer.reserve(sizeBytes, reserveBytes);
  if (at < 0) return false;
  const { bytes, words } = producer.ring;
  words[at / 4 + 2] = number;
  words[at / 4 + 3] = sizeBytes;
  bytes.fill(number % 251, at + 16, at + sizeBytes);
  producer.commit(at, TYPE, sizeBytes, true);
  return true;
}

function take(consumer: RingConsumer, expected: number): boolean {
  const at = consumer.next(consumer.ring.head);
  if (at < 0) return false;
  const { bytes, words } = consumer.ring;
  expect(bytes[at + 4]).toBe(TYPE);
  expect(words[at / 4 + 2]).toBe(expected);
  const sizeBytes = words[at / 4 + 3] ?? 0;
  expect(Buffer.compare(bytes.subarray(at + 16, at + sizeBytes), Buffer.alloc(sizeBytes - 16, expected % 251))).toBe(0);
  return true;
}

test("records of any size come out in order, many times around the ring", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          puts: fc.array(fc.integer({ min: 16, max: RECORD_BYTES_MAX }), { maxLength: 40 }),
          takes: fc.nat(60),
        }),
        {
          minLength: 10,
          maxLength: 40,
        },
      ),
      (steps) => {
        const ring = SharedRing.create();
        const producer = new RingProducer(ring);
        const consumer = new RingConsumer(ring);
        let written = 0;
        let read = 0;
        for (const { puts, takes } of steps) {
          for (const sizeBytes of puts) if (put(producer, written, sizeBytes)) written++;
          for (let i = 0; i < takes && take(consumer, read); i++) read++;
          consumer.release();
        }
        while (take(consumer, read)) read++;
        consumer.release();
        expect(read).toBe(written);
        expect(producer.usedBytes).toBe(0);
      },
    ),
    { numRuns: 10 },
  );
});

test("positions go on past 2^32", () => {
  const ring = SharedRing.create();
  ring.publish(2 ** 32 - 4 * RECORD_BYTES_MAX, true);
  ring.release(2 ** 32 - 4 * RECORD_BYTES_MAX);
  const producer = new RingProducer(ring);
  const consumer = new RingConsumer(ring);
  for (let i = 0; i < 16; i++) {
    expect(put(producer, i, RECORD_BYTES_MAX)).toBe(true);
    expect(take(consumer, i)).toBe(true);
    consumer.release();
  }
  expect(ring.head).toBe(12 * RECORD_BYTES_MAX);
});

test("a full ring takes nothing until something is released, and what is in it stays whole", () => {
  const ring = SharedRing.create();
  const producer = new RingProducer(ring);
  const consumer = new RingConsumer(ring);
  let written = 0;
  while (put(producer, written, 100_003)) written++;
  expect(producer.usedBytes).toBeGreaterThan(RING_BYTES - 200_000);
  expect(producer.usedBytes).toBeLessThanOrEqual(RING_BYTES);
  for (let i = 0; i < written; i++) expect(take(consumer, i)).toBe(true);
  expect(put(producer, written, 100_003)).toBe(false);
  consumer.release();
  expect(put(producer, written, 100_003)).toBe(true);
});

test("what reserves room for others is refused earlier", () => {
  const producer = new RingProducer(SharedRing.create());
  let written = 0;
  while (put(producer, written, 100_000, RESERVE_BYTES)) written++;
  expect(producer.usedBytes).toBeLessThanOrEqual(RING_BYTES - RESERVE_BYTES);
  expect(put(producer, written, 100_000)).toBe(true);
});

test("a record over the maximum is an error, and so is a ring that holds no records", () => {
  const ring = SharedRing.create();
  expect(() => new RingProducer(ring).reserve(RECORD_BYTES_MAX + 1, 0)).toThrow(RangeError);
  const consumer = new RingConsumer(ring);
  for (const length of [0, RECORD_HEADER_BYTES - 1, 12, RING_BYTES + 8]) {
    ring.words[0] = length;
    expect(() => consumer.next(RECORD_BYTES_MAX)).toThrow(RangeError);
  }
});

test("the durable sequence is whole though only its lower half is shared", () => {
  const ring = SharedRing.create();
  for (const [known, now] of [
    [0, 0],
    [0, 5],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 32 - 1, 2 ** 32 + 3],
    [2 ** 45 + 7, 2 ** 45 + 2 ** 31],
  ] as const) {
    ring.setDurable(now);
    expect(ring.durableSince(known)).toBe(now);
  }
});

test("a record that is awaited is seen until it is read, whatever comes after it and wherever the count wraps", () => {
  const ring = SharedRing.create();
  const start = 2 ** 32 - 64;
  ring.publish(start, true);
  ring.release(start);
  const producer = new RingProducer(ring);
  const consumer = new RingConsumer(ring);
  for (let n = 0; n < 20; n++) {
    producer.commit(producer.reserve(8, 0), TYPE, 8, false);
    expect(ring.isAwaited(consumer.position, ring.head)).toBe(false);
  }
  producer.commit(producer.reserve(8, 0), TYPE, 8, true);
  producer.commit(producer.reserve(8, 0), TYPE, 8, false);
  expect(ring.isAwaited(consumer.position, ring.head)).toBe(true);
  const { head } = ring;
  while (consumer.next(head) >= 0);
  expect(ring.isAwaited(consumer.position, ring.head)).toBe(false);
});
