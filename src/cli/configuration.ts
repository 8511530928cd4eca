/** How commands get at the configuration: `--config`, or weir.yaml in this folder. */
import { TARGET_SCHEMAS } from "../../adapters/index.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import type { Loaded } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { CommandError } from "./command.ts";
import type { Arguments, Terminal } from "./command.ts";

export const DEFAULT_FILE = "weir.yaml";

/** Reads the configuration, good or bad. */
export function readConfiguration(args: Arguments, terminal: Terminal): Loaded {
  return loadConfig(args.text("config") ?? DEFAULT_FILE, { adapters: TARGET_SCHEMAS, env: terminal.env });
}

/** The configuration of a command that needs a good one. Warnings are for `weir check` and `weir up`. */
export function requireConfiguration(args: Arguments, terminal: Terminal): Config {
  return requireGood(readConfiguration(args, terminal));
}

/** Throws CommandError with all errors when there are any. */
export function requireGood({ config, problems }: Loaded): Config {
  if (config !== null) return config;
  const errors = problems.filter((problem) => problem.severity === "error").map(formatProblem);
  throw new CommandError(errors.join("\n      "), "weir check shows everything that is wrong with it.");
}
