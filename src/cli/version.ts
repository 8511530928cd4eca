/** `weir version`: which weir this is. */
import packageFile from "../../package.json" with { type: "json" };
import type { Command } from "./command.ts";

export const VERSION = packageFile.version;

export const versionCommand: Command = {
  words: ["version"],
  summary: "Print which weir this is",
  positionals: [],
  options: [],
  notes: ['JSON: {"version", "bun", "platform"}'],
  run: async (args, terminal) => {
    const platform = `${process.platform}-${process.arch}`;
    if (args.isJson) terminal.out(JSON.stringify({ version: VERSION, bun: Bun.version, platform }));
    else terminal.out(`weir ${VERSION} (Bun ${Bun.version}, ${platform})`);
    return 0;
  },
};
