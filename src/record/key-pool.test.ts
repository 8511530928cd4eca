/** Keys of recordings: made by another process, each used once, and refused when that process makes none. */
import { expect, test } from "bun:test";
import { newAuditor, RecordingYard } from "../../test/recordings.ts";
import { KeyPool } from "./key-pool.ts";
import { openWrappedKey, recipientsOf } from "./unseal.ts";

test("each key is another, and opens with the auditor's", async () => {
  const auditor = await newAuditor();
  const pool = new KeyPool([auditor.recipient]);
  const recipients = new Set<string>();
  // More than are made at once.
  for (let count = 0; count < 40; count++) {
    const key = await pool.take();
    if (key === null) throw new Error("there was no key");
    recipients.add(key.recipient);
    const identity = await openWrappedKey(key.wrapped, [auditor.identity]);
    expect(await recipientsOf([identity])).toEqual([key.recipient]);
  }
  expect(recipients.size).toBe(40);
});

test("without auditors there are none, and nothing is started", async () => {
  expect(await new KeyPool([], ["/nonexistent"]).take()).toBeNull();
});

test.each([
  ["that cannot be started", ["/nonexistent/program"]],
  ["that fails", ["/bin/sh", "-c", "exit 3"]],
  ["that says nothing", ["/bin/sh", "-c", "exit 0"]],
  ["that says something else", ["/bin/sh", "-c", "echo '{}'"]],
])("a process %s makes no keys, and whoever needs one hears it, each time", async (_, command) => {
  const pool = new KeyPool(["age1x"], command);
  expect(pool.take()).rejects.toThrow();
  await pool.take().catch(() => undefined);
  expect(pool.take()).rejects.toThrow();
});

test("a recording whose key cannot be made is refused, and the others go on", async () => {
  await using yard = new RecordingYard();
  const recorder = yard.recorder({ recipients: ["age1 nobody's"] });
  expect(yard.open(recorder)).rejects.toMatchObject({ code: "RECORDING_FAILED" });
  await yard.open(recorder, "T").catch(() => undefined);
  expect(recorder.failure).toBeNull();
  expect(yard.log.events).toEqual([]);
});
