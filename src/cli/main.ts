#!/usr/bin/env bun
/** The command `weir`. */
import { PARSER_CHILD_ARGUMENT, runParserChild } from "../../adapters/postgres/parser-child.ts";

// The compiled binary starts itself to parse long texts where it can be killed; that child needs nothing of the rest.
if (process.argv[2] === PARSER_CHILD_ARGUMENT) {
  await runParserChild();
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
  err: (line) => void process.stderr.write(`${line}\n`),
  env: process.env,
  isTerminal: process.stdout.isTTY,
});
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(status);
