#!/usr/bin/env bun
/** The command `weir`. */
import { KEY_CHILD_ARGUMENT, runKeyChild } from "../record/key-child.ts";
import { PARSER_CHILD_ARGUMENT, runParserChild } from "../../adapters/postgres/parser-child.ts";
import { askpassAnswer } from "./askpass.ts";

// The compiled binary starts itself to parse long texts where it can be killed, and to make keys where their memory
// ends with them; those children need nothing of the rest.
if (process.argv[2] === PARSER_CHILD_ARGUMENT) {
  await runParserChild();
  process.exit(0);
}
if (process.argv[2] === KEY_CHILD_ARGUMENT) {
  await runKeyChild(process.argv.slice(3));
  process.exit(0);
}
const answer = askpassAnswer(process.argv.slice(2), process.env);
if (answer !== null) {
  await Bun.write(Bun.stdout, `${answer}\n`);
  process.exit(0);
}
const { COMMANDS } = await import("./commands.ts");
const { dispatch } = await import("./dispatch.ts");

// Whoever reads our output may stop reading (`weir audit tail | head`); that is no fault of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: Error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

const status = await dispatch(COMMANDS, process.argv.slice(2), {
  out: (line) => void process.stdout.write(`${line}\n`),
  write: (text) => void process.stdout.write(text),
  err: (line) => void process.stderr.write(`${line}\n`),
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  },
  ready: async () => {
    if (process.stdout.writableNeedDrain) await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
  },
  env: process.env,
  isTerminal: process.stdout.isTTY,
});
// A pipe takes 64 KiB at a time: what waits behind them would be lost with the process.
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.end(resolve))),
);
process.exit(status);
