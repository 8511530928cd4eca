/** `weir audit shred`: makes what is sealed of a recording unreadable for ever. */
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { readReason, whoRuns, withCustody } from "./custody-desk.ts";

export const auditShredCommand: Command = {
  words: ["audit", "shred"],
  summary: "Delete the key of a recording's sealed part, so that nobody can open it any more",
  positionals: [{ name: "ID", description: "the id of the recording", kind: "required" }],
  options: [{ name: "reason", value: "TEXT", description: "why; the log keeps it" }, CONFIG_OPTION],
  notes: [
    "The ciphertext and every proof about it stay; what was recorded in the clear stays as well. Copies of the data folder",
    "that were made before still hold the key. This cannot be undone.",
    "",
    'JSON: {"recording", "shredded": true, or false when its key was gone already}',
  ],
  run: async (args, terminal) => {
    const recording = args.required("ID");
    const reason = readReason(args);
    const config = requireConfiguration(args, terminal);
    const shredded = await withCustody(config, async (desk) =>
      desk.shredRecording({ recording, by: whoRuns(), reason }),
    );
    if (shredded === null) {
      throw new CommandError(
        `there is no recording ${printable(recording)}`,
        "weir audit replay takes its id as well.",
      );
    }
    if (args.isJson) terminal.out(JSON.stringify({ recording, shredded }));
    else
      terminal.out(shredded ? `${recording} cannot be opened any more` : `${recording} has no key: nothing was done`);
    return 0;
  },
};
