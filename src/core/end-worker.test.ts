/** A Worker is ended, and whoever ends it gets on, whatever the Worker is doing. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { endWorker } from "./end-worker.ts";

const NEVER_MS = 1_000_000;

async function start(script: string): Promise<Worker> {
  const begin = `require("node:worker_threads").parentPort.postMessage("here");`;
  const worker = new Worker(`${begin} setTimeout(() => { ${script} }, 0);`, { eval: true });
  await once(worker, "message");
  return worker;
}

test("one that ends by itself is let do so", async () => {
  const worker = await start(`process.exit(7)`);
  const exited = once(worker, "exit");
  await endWorker(worker, exited, NEVER_MS);
  expect(await exited).toEqual([7]);
});

test("one that has work without end is ended", async () => {
  const worker = await start(`setInterval(() => {}, 1000)`);
  const exited = once(worker, "exit");
  await endWorker(worker, exited, 0);
  await exited;
});

test("one that cannot be ended now is not waited for", async () => {
  // What terminate() does while the Worker is inside a call of the system.
  const stuck = { terminate: () => new Promise<void>(() => {}) };
  await endWorker(stuck, new Promise(() => {}), 0);
});

test("that a Worker has failed is nothing to its end", async () => {
  const worker = await start(`setInterval(() => {}, 1000)`);
  await endWorker(worker, Promise.reject(new Error("it has failed")), NEVER_MS);
});
