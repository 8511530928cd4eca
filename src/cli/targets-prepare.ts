/** `weir targets prepare`: what a database's administrator runs so that its columns can be masked in guarded mode. */
import type { Administrator } from "../../adapters/postgres/prepare/guarded-database.ts";
import { askPassword } from "./ask-password.ts";
import { CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { jsonLine, showLines } from "./check-lines.ts";
import { requireConfiguration } from "./configuration.ts";
import {
  applyPreparation,
  DATABASE_OPTION,
  findTarget,
  openGuarded,
  policyMasks,
  runScript,
} from "./guarded-target.ts";

export const targetsPrepareCommand: Command = {
  words: ["targets", "prepare"],
  summary: "Print what a database's administrator must run for guarded masking, or run it",
  positionals: [{ name: "TARGET", description: "a target in guarded mode", kind: "required" }],
  options: [
    CONFIG_OPTION,
    DATABASE_OPTION,
    { name: "apply", description: "run it, with the login that --user names" },
    { name: "remove", description: "what undoes it, instead" },
    { name: "user", value: "ADMIN", description: "the administrator's login, for this run only" },
  ],
  notes: [
    "The script makes the owner of the masking views, the login of governed sessions with the rights of the target's own login",
    "but for what is masked, and the views. It may be run again, and must be after changes of policy or schema.",
    "With --apply the password is that in PGPASSWORD, or is asked for; it is neither kept nor recorded. --apply also sets the",
    "login's password to masking.password, and ends with the lines of weir targets check that fail.",
    "",
    "  weir targets prepare orders-prod > prepare.sql",
    "  weir targets prepare orders-prod --apply --user postgres",
    "  weir targets prepare orders-prod --remove --apply --user postgres",
    "",
    'JSON: {"target", "database", "script"}; with --apply {"target", "database", "done", "lines"}',
  ],
  run: async (args, terminal) => {
    const isApplied = args.flag("apply");
    if (args.text("user") !== undefined && !isApplied) {
      throw new UsageError("--user is for --apply", "See weir targets prepare --help");
    }
    if (isApplied && args.text("user") === undefined) {
      throw new UsageError("--apply needs an administrator's login: --user ADMIN", "See weir targets prepare --help");
    }
    const config = requireConfiguration(args, terminal);
    const target = findTarget(config, args.required("TARGET"));
    const { guarded, database } = openGuarded(config, target, args.text("database"), "weir targets prepare");
    const about = { target: target.name, database };
    try {
      if (args.flag("remove")) {
        const script = guarded.removeScript();
        if (!isApplied) return print(script, about, args, terminal);
        await runScript(guarded, script, await administrator(args, terminal));
        terminal.out(args.isJson ? JSON.stringify({ ...about, done: "removed", lines: [] }) : "removed");
        return 0;
      }
      const possible = await policyMasks(config, target);
      if (!isApplied) {
        const expected = await guarded.expected(possible);
        return print(await guarded.prepareScript(expected, { withPassword: false }), about, args, terminal);
      }
      const lines = await applyPreparation(guarded, possible, async () => administrator(args, terminal));
      if (args.isJson) {
        terminal.out(JSON.stringify({ ...about, done: "prepared", lines: lines.map(jsonLine) }));
        return lines.every(({ ok }) => ok) ? 0 : 1;
      }
      const isGood = showLines(lines, terminal, { all: false });
      terminal.out(`prepared: ${lines.filter(({ ok }) => ok).length} of ${lines.length} checks are good`);
      return isGood ? 0 : 1;
    } finally {
      guarded.close();
    }
  },
};

function print(script: string, about: object, args: Arguments, terminal: Terminal): 0 {
  terminal.out(args.isJson ? JSON.stringify({ ...about, script }) : script.trimEnd());
  return 0;
}

async function administrator(args: Arguments, terminal: Terminal): Promise<Administrator> {
  const user = args.required("user");
  const fromEnvironment = terminal.env["PGPASSWORD"];
  const password =
    fromEnvironment !== undefined && fromEnvironment !== ""
      ? fromEnvironment
      : await askPassword(`Password of ${user} (empty: none)`);
  return { user, password };
}
