/** What is read of a process ends with it, also when somebody that it started keeps the stream. */
import { expect, test } from "bun:test";
import { killGroup, readToEnd, stopChild } from "./child-end.ts";

type Child = Bun.Subprocess<"ignore", "pipe", "inherit">;

const NEVER_MS = 1_000_000;

function start(script: string): Child {
  return Bun.spawn(["sh", "-c", script], { stdin: "ignore", stdout: "pipe", detached: true });
}

async function read(child: Child, outlivedTimeMsMax?: number): Promise<{ text: string; isWhole: boolean }> {
  let text = "";
  const take = (chunk: Uint8Array): void => void (text += Buffer.from(chunk).toString());
  const isWhole = await readToEnd(child, child.stdout, take, outlivedTimeMsMax);
  return { text, isWhole };
}

test("who ends when told to is not killed", async () => {
  const child = start("exec sleep 1000");
  const about = { name: "sleep", signal: "SIGTERM", ended: child.exited, log: () => "", timeMsMax: NEVER_MS } as const;
  expect(await stopChild(child, about)).toBe(143);
});

test("who does not end when told to is killed, and that is said", async () => {
  const child = start("trap '' TERM; echo ready; sleep 1000");
  await child.stdout.getReader().read();
  const about = { name: "it", signal: "SIGTERM", ended: child.exited, log: () => "last words", timeMsMax: 0 } as const;
  const said = "it did not end within 0 ms after SIGTERM and was killed:\nlast words";
  await expect(stopChild(child, about)).rejects.toThrow(said);
  expect(await child.exited).toBe(137);
  killGroup(child.pid);
});

test("a stream that ends is read to its end", async () => {
  expect(await read(start("echo one; echo two"))).toEqual({ text: "one\ntwo\n", isWhole: true });
});

test("a stream that a grandchild keeps is given up when the child has ended", async () => {
  const child = start("sleep 1000 &");
  expect(await read(child, 0)).toEqual({ text: "", isWhole: false });
  killGroup(child.pid);
});

test("a group is killed also when who leads it has ended", async () => {
  const child = start("sleep 1000 & echo one");
  await child.exited;
  killGroup(child.pid);
  expect(await read(child)).toEqual({ text: "one\n", isWhole: true });
  expect(() => killGroup(child.pid)).not.toThrow();
});
