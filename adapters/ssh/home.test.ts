/** Tests of the question where a login's home folder is. */
import { afterEach, expect, jest, test } from "bun:test";
import type { Permit } from "../../src/core/ports.ts";
import type { TargetChannel } from "./channels.ts";
import { askHome } from "./home.ts";

afterEach(() => void jest.useRealTimers());

const PERMIT: Permit = { operation: "O", rules: [], obligations: {} };

test("a target that does not answer is waited for three seconds", async () => {
  jest.useFakeTimers();
  let isClosed = false;
  const silent: Pick<TargetChannel, "write" | "onData" | "onClose" | "close"> = {
    write: () => true,
    onData() {},
    onClose() {},
    close: () => void (isClosed = true),
  };
  let home: string | null | undefined;
  const asked = askHome(silent, PERMIT).then((answer) => (home = answer));
  jest.advanceTimersByTime(2_999);
  await Promise.resolve();
  expect([home, isClosed]).toEqual([undefined, false]);
  jest.advanceTimersByTime(1);
  await asked;
  expect([home, isClosed]).toEqual([null, true]);
});
