/** Whatever is thrown is told in words. */
import { expect, test } from "bun:test";
import { messageOf } from "./message-of.ts";

class Interrupted extends Error {
  override readonly name = "Interrupted";
}

test("an error is told by its message, or by its name where it has none", () => {
  expect(messageOf(new RangeError("too far"))).toBe("too far");
  expect(messageOf(new Interrupted())).toBe("Interrupted");
  expect(messageOf("a text")).toBe("a text");
  expect(messageOf(undefined)).toBe("undefined");
});

test("what fails while a failure is cleaned up follows it", async () => {
  const start = async (): Promise<void> => {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => {
      throw new Error("the lock cannot be released");
    });
    stack.defer(() => {
      throw new Error("the log cannot be closed");
    });
    throw new Error("the port is taken");
  };
  const told = await start().catch(messageOf);
  expect(told).toBe("the port is taken; the log cannot be closed; the lock cannot be released");
});
