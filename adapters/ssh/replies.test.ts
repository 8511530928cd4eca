/** Tests of how a command ends whose client closed its channel before. */
import { afterEach, expect, jest, test } from "bun:test";
import type { Outcome } from "../../src/core/ports.ts";
import { NO_OBLIGATIONS } from "../../src/core/obligation.ts";
import type { Exit } from "./channels.ts";
import { Relay } from "./replies.ts";

const HOUR_MS = 3_600_000;
const FIVE: Exit = { kind: "status", status: 5 };

afterEach(() => jest.useRealTimers());

/** One end of a relay: it says when it is told to, and keeps what it was told. */
class End {
  readonly told: unknown[] = [];
  sayEof = (): void => {};
  sayClose = (): void => {};
  sayExit = (_exit: Exit): void => {};

  onData(): void {}
  onDrain(): void {}
  pause(): void {}
  resume(): void {}
  signal(): void {}
  resize(): void {}
  unwanted(): void {}

  onEof(callback: () => void): void {
    this.sayEof = callback;
  }

  onClose(callback: () => void): void {
    this.sayClose = callback;
  }

  onExit(callback: (exit: Exit) => void): void {
    this.sayExit = callback;
  }

  write(): boolean {
    return true;
  }

  eof(): void {
    this.told.push("eof");
  }

  exit(exit: Exit): void {
    this.told.push(exit);
  }

  close(): void {
    this.told.push("close");
  }
}

function relay(): {
  readonly client: End;
  readonly target: End;
  readonly outcomes: Outcome[];
  readonly ends: boolean[];
} {
  jest.useFakeTimers();
  const [client, target] = [new End(), new End()];
  const outcomes: Outcome[] = [];
  const ends: boolean[] = [];
  const running = new Relay({
    door: { spend: () => null, finish: (_, outcome) => outcomes.push(outcome) > 0, explain() {} },
    permit: { operation: "W0RK-1", rules: [], obligations: NO_OBLIGATIONS },
    client,
    target,
    stages: { mask: null, record: null },
    hasPty: false,
    onEnd: (isRecorded) => ends.push(isRecorded),
  });
  running.begin();
  running.release();
  return { client, target, outcomes, ends };
}

test("a command that has put out everything is waited for as long as it runs", () => {
  const { client, target, outcomes, ends } = relay();
  target.sayEof();
  client.sayClose();
  jest.advanceTimersByTime(HOUR_MS);
  expect({ ends, told: client.told }).toEqual({ ends: [], told: ["eof"] });
  target.sayExit(FIVE);
  target.sayClose();
  expect(client.told).toEqual(["eof", FIVE, "close"]);
  expect(outcomes).toEqual([{ status: "failed", code: "5", bytes: 0 }]);
  expect(ends).toEqual([true]);
});

test("a command that has not is ended with its client", () => {
  const { client, target, outcomes } = relay();
  client.sayClose();
  expect(target.told).toEqual(["close"]);
  expect(outcomes).toEqual([{ status: "cancelled", bytes: 0 }]);
});

test("how it ended is waited for no longer than it can be told", () => {
  const { client, target, outcomes } = relay();
  target.sayEof();
  client.sayClose();
  target.sayClose();
  expect(client.told.at(-1)).toBe("close");
  expect(outcomes).toEqual([{ status: "unknown", bytes: 0 }]);
});
