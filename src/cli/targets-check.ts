/** `weir targets check`: whether a database is as guarded masking needs it, line by line. */
import { CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { jsonLine, showLines } from "./check-lines.ts";
import { requireConfiguration } from "./configuration.ts";
import { DATABASE_OPTION, findTarget, openGuarded, policyMasks } from "./guarded-target.ts";

export const targetsCheckCommand: Command = {
  words: ["targets", "check"],
  summary: "Check that a guarded target's login, privileges and masking views are as they must be",
  positionals: [{ name: "TARGET", description: "a target in guarded mode", kind: "required" }],
  options: [CONFIG_OPTION, DATABASE_OPTION],
  notes: [
    "Asks as the target's own login, which needs no special rights, and changes nothing. Ends with 1 when a line fails.",
    "A gateway that runs asks the same, and serves nothing masked while a line that is vital fails.",
    "",
    'JSON: one per line: {"about", "ok", "text", "hint", "vital"}',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const target = findTarget(config, args.required("TARGET"));
    const { guarded } = openGuarded(config, target, args.text("database"), "weir targets check");
    try {
      const expected = await guarded.expected(await policyMasks(config, target));
      const lines = await guarded.check(expected);
      if (!args.isJson) return showLines(lines, terminal, { all: true }) ? 0 : 1;
      for (const line of lines) terminal.out(JSON.stringify(jsonLine(line)));
      return lines.every(({ ok }) => ok) ? 0 : 1;
    } finally {
      guarded.close();
    }
  },
};
