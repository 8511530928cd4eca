/** systemctl and journalctl: which of their words are files. */
import { readArguments, type OptionTable } from "./options.ts";

const SYSTEMD: OptionTable = {
  flags: "aqrfekbl",
  valued: "nptugSU",
  longFlags: [
    "no-pager",
    "all",
    "failed",
    "quiet",
    "full",
    "no-legend",
    "plain",
    "now",
    "user",
    "system",
    "utc",
    "reverse",
    "follow",
    "pager-end",
    "dmesg",
    "no-hostname",
    "no-block",
    "list-boots",
    "disk-usage",
  ],
  longValued: [
    "lines",
    "output",
    "property",
    "type",
    "state",
    "unit",
    "since",
    "until",
    "priority",
    "grep",
    "identifier",
  ],
  longOptional: ["boot"],
};

/** What systemctl does to units that are named; others of its commands take files. */
const UNIT_COMMANDS = new Set(
  (
    "status is-active is-enabled is-failed start stop restart reload try-restart reload-or-restart enable disable mask " +
    "unmask show list-units list-unit-files list-timers list-dependencies daemon-reload reset-failed kill"
  ).split(" "),
);

/** Files that the words after `name` name, as they are written; null: not known. */
export function serviceFiles(name: string, words: readonly string[]): readonly string[] | null {
  // `-n` and `-o` have values; options that are not known may name files.
  const read = readArguments(
    words,
    name === "journalctl" ? { ...SYSTEMD, valued: "nptugSUo" } : { ...SYSTEMD, valued: "nptosP" },
  );
  if (read === null) return null;
  const { operands } = read;
  if (name === "systemctl" && operands[0] !== undefined && !UNIT_COMMANDS.has(operands[0])) return null;
  return operands.some((word) => word.includes("/")) ? null : [];
}
