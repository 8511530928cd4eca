/** A courier's patience: what it tells of failures, how long it waits, and how it ends. */
import { expect, test } from "bun:test";
import { CopyForked, ShipError } from "./bounded-fetch.ts";
import { Courier } from "./courier.ts";
import type { Destination, Source, Step } from "./destination.ts";
import type { ShipperMessage } from "./messages.ts";

const NOTHING: Source = {
  origin: "gw",
  size: 0,
  first: 0,
  entries: () => [],
  hash: () => null,
  root: () => new Uint8Array(32),
  tile: () => new Uint8Array(0),
  entryBundle: () => null,
  notes: () => [],
  lastNote: () => null,
  recording: () => null,
  segment: () => null,
  wrappedKey: () => null,
};

const FINE: Step = { size: 1, isMore: false };
const BUSY: Step = { size: 1, isMore: true };

/** Runs a courier whose steps go like this, until they are over; then it is told to finish. */
async function run(
  steps: readonly (Step | Error)[],
  random = 0,
): Promise<{ told: ShipperMessage[]; waits: number[]; asked: boolean[] }> {
  const told: ShipperMessage[] = [];
  const waits: number[] = [];
  const asked: boolean[] = [];
  const destination: Destination = {
    name: "s3",
    where: "there",
    caveat: null,
    seen: async () => ({ size: 0, conflict: null }),
    step: async (_, isLast) => {
      const step = steps[asked.length] ?? FINE;
      asked.push(isLast);
      if (step instanceof Error) throw step;
      return step;
    },
  };
  const courier = new Courier({
    destination,
    source: NOTHING,
    tell: (message) => told.push(message),
    pause: async (durationMs) => {
      waits.push(durationMs);
      if (asked.length >= steps.length) courier.finish();
    },
    random: () => random,
  });
  await courier.run();
  return { told, waits, asked };
}

const failed = (reason: string): Error => new ShipError(reason);

test("works without a pause while there is more, and waits a second when there is not", async () => {
  const { waits, asked } = await run([BUSY, BUSY, FINE, FINE]);
  expect(waits).toEqual([1000, 1000]);
  expect(asked).toEqual([false, false, false, false, true]);
});

test("waits longer after each failure, up to a minute, and from the start after a success", async () => {
  const { waits } = await run([...Array.from({ length: 9 }, () => failed("a")), FINE, failed("b")]);
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 1000, 1000]);
  expect((await run([failed("a"), failed("a")], 0.5)).waits).toEqual([750, 1500]);
});

test("tells the first failure of a series, its end, and that the copy is of another log", async () => {
  const { told } = await run([
    failed("a"),
    failed("b"),
    new CopyForked("c"),
    new CopyForked("c"),
    FINE,
    FINE,
    failed("d"),
  ]);
  expect(told.filter(({ kind }) => kind !== "state")).toEqual([
    { kind: "failed", destination: "s3", reason: "a" },
    { kind: "failed", destination: "s3", reason: "c" },
    { kind: "recovered", destination: "s3" },
    { kind: "failed", destination: "s3", reason: "d" },
    { kind: "recovered", destination: "s3" },
  ]);
});

test("tells that the copy is of another log also when it can no longer be reached, until it goes with the log again", async () => {
  const { told } = await run([FINE, new CopyForked("c"), failed("a"), FINE]);
  const forks = told.flatMap((message) => (message.kind === "state" ? [message.state.fork] : []));
  expect(forks).toEqual([null, "c", "c", null]);
});

test("tells how it stands when that changes", async () => {
  const { told } = await run([FINE, FINE, failed("a"), failed("a"), failed("b"), FINE]);
  const states = told.flatMap((message) => (message.kind === "state" ? [message.state.failure] : []));
  expect(states).toEqual([null, "a", "b", null]);
});

test("tries once more when the gateway ends, and no longer when that fails", async () => {
  const { asked } = await run([FINE, failed("a")]);
  expect(asked).toEqual([false, false, true]);
  const last = await run([FINE]);
  expect(last.asked).toEqual([false, true]);
});
