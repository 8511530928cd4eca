/** Finds the command that the words name, runs it, and turns what goes wrong into text, JSON and an exit status. */
import { messageOf } from "../core/message-of.ts";
import { hintFor } from "../config/suggest.ts";
import { readArguments } from "./arguments.ts";
import { CommandError, UsageError } from "./command.ts";
import type { ExitStatus, Terminal } from "./command.ts";
import { loadCommands } from "./commands.ts";
import type { Call } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";

/** Runs one call of weir; never throws. */
export async function dispatch(
  commands: readonly Call[],
  words: readonly string[],
  terminal: Terminal,
): Promise<ExitStatus> {
  try {
    return await find(commands, words, terminal);
  } catch (error) {
    return report(error, words, terminal);
  }
}

async function find(commands: readonly Call[], words: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const [first] = words;
  if (first === undefined) {
    terminal.err(overview(await loadCommands(commands), []));
    return 2;
  }
  if (first === "--help" || first === "-h" || first === "help") {
    terminal.out(overview(await loadCommands(commands), []));
    return 0;
  }
  if (first === "--version") return find(commands, ["version", ...words.slice(1)], terminal);
  const called = commands.find((each) => each.words.every((word, index) => words[index] === word));
  if (called !== undefined) {
    const command = await called.load();
    const { isHelp, args } = readArguments(command, words.slice(command.words.length));
    if (!isHelp) return command.run(args, terminal);
    terminal.out(commandHelp(command));
    return 0;
  }
  const family = commands.filter((each) => each.words.length > 1 && each.words[0] === first);
  if (family.length > 0) {
    const second = words[1];
    if (second === "--help" || second === "-h") {
      terminal.out(overview(await loadCommands(family), [first]));
      return 0;
    }
    if (second === undefined) {
      terminal.err(overview(await loadCommands(family), [first]));
      return 2;
    }
    const known = family.map((each) => each.words[1] ?? "");
    throw new UsageError(
      `there is no command weir ${first} ${second}${hintFor(second, known)}`,
      `See weir ${first} --help`,
    );
  }
  throw new UsageError(
    `there is no command weir ${first}${hintFor(first, [...new Set(commands.map((each) => each.words[0]))])}`,
    "See weir --help",
  );
}

function report(error: unknown, words: readonly string[], terminal: Terminal): ExitStatus {
  const message = messageOf(error);
  const next = error instanceof CommandError ? error.next : "";
  const status = error instanceof CommandError ? error.status : 1;
  if (words.includes("--json")) terminal.err(JSON.stringify({ error: { message, next } }));
  else terminal.err(next === "" ? `weir: ${message}` : `weir: ${message}\n      ${next}`);
  return status;
}
