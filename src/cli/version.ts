/** `weir version`: which weir this is. */
import { describeVersion, weirVersion } from "../release/version.ts";
import type { Command } from "./command.ts";

export const VERSION = weirVersion().version;

export const versionCommand: Command = {
  words: ["version"],
  summary: "Print which weir this is",
  positionals: [],
  options: [],
  notes: ['JSON: {"version", "commit", "from", "bun", "platform"}; from: binary or sources'],
  run: async (args, terminal) => {
    const version = weirVersion();
    terminal.out(args.isJson ? JSON.stringify(version) : describeVersion(version));
    return 0;
  },
};
