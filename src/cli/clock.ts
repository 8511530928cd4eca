/** `weir clock confirm`: an administrator says that the clock of a running gateway, which was set, is right as it is. */
import { ApiClient } from "../api/client.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

export const clockConfirmCommand: Command = {
  words: ["clock", "confirm"],
  summary: "Say that the gateway's clock, which was set by more than a minute, is right",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "Until then permits with a window or a validity are off, and guards with one are on. It is recorded.",
    "",
    'JSON: {"byMs"}: by how much the clock had been set; null: it had not, and nothing was recorded',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const gateway = await ApiClient.connect(config.data);
    if (gateway === null) throw new CommandError(`no gateway runs on ${config.data}`, "Start it: weir up");
    const byMs = await gateway.confirmClock();
    if (args.isJson) terminal.out(JSON.stringify({ byMs }));
    else if (byMs === null) terminal.out("the clock had not been set: nothing to confirm");
    else terminal.out(`the clock is taken for right, which was set by ${Math.round(byMs / 1000)} s`);
    return 0;
  },
};
