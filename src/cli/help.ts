/** Writes help texts from the declarations of the commands, so that they are complete. */
import { SHARED_OPTIONS } from "./command.ts";
import type { Command } from "./command.ts";

/** The whole help of one command. */
export function commandHelp(command: Command): string {
  const words = ["weir", ...command.words];
  for (const { name, kind } of command.positionals) {
    words.push(kind === "required" ? name : kind === "optional" ? `[${name}]` : `[${name}...]`);
  }
  const lines = [`Usage: ${words.join(" ")} [options]`, "", `${command.summary}.`];
  if (command.positionals.length > 0) {
    lines.push("", "Arguments:", ...columns(command.positionals.map((each) => [each.name, each.description])));
  }
  const options = [...command.options, ...SHARED_OPTIONS].map((option): [string, string] => {
    const typed = option.letter === undefined ? `--${option.name}` : `-${option.letter}, --${option.name}`;
    return [option.value === undefined ? typed : `${typed} ${option.value}`, option.description];
  });
  lines.push("", "Options:", ...columns(options));
  if (command.notes.length > 0) lines.push("", ...command.notes);
  return lines.join("\n");
}

/** The list of commands: all of them, or those that begin with the words given. */
export function overview(commands: readonly Command[], words: readonly string[]): string {
  const usage = ["weir", ...words, "COMMAND"].join(" ");
  const rows = commands.map((command): [string, string] => [command.words.join(" "), command.summary]);
  const lines = [
    `Usage: ${usage} [options]`,
    "",
    "weir is one gate in front of databases, shells and MCP servers: it decides and records every operation.",
    "",
    "Commands:",
    ...columns(rows),
    "",
    "Every command has --help and --json, and ends with 0 (done), 1 (refused or failed) or 2 (usage).",
  ];
  return lines.join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
