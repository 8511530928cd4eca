/** Programs that show what they print in a pager when they have a terminal: a pager runs a shell. */

const PAGED: ReadonlySet<string> = new Set(
  (
    "git systemctl journalctl loginctl timedatectl hostnamectl localectl resolvectl networkctl coredumpctl busctl " +
    "userdbctl homectl portablectl bootctl oomctl importctl updatectl systemd-analyze systemd-cgls systemd-delta " +
    "systemd-resolve systemd-creds systemd-dissect systemd-sysext systemd-confext systemd-tmpfiles systemd-sysusers " +
    "systemd-id128 systemd-repart"
  ).split(" "),
);
/** Those that have no such option, or another one for some of their subcommands; dpkg, which apt-get runs, offers a shell. */
const ALWAYS_PAGED: ReadonlySet<string> = new Set(
  "dpkg dpkg-query dpkg-deb dpkg-reconfigure needrestart apt apt-get nmcli bat batcat delta aws gh iftop".split(" "),
);

/** Half a sentence on what a program does in a terminal beside what its words say; null: nothing that is known. */
export function doesInTerminal(name: string, words: readonly string[]): string | null {
  if (name === "nohup") return "nohup, which writes a file of its own in a terminal";
  // git starts an editor too, for what it merges.
  const isQuiet = PAGED.has(name) && saysNoPager(words) && !words.includes("pull");
  if (isQuiet || !(PAGED.has(name) || ALWAYS_PAGED.has(name))) return null;
  return `${name}, which starts a pager or an editor in a terminal`;
}

/** Is `--no-pager` surely the option, and neither an operand nor the value of the option before it? */
function saysNoPager(words: readonly string[]): boolean {
  const at = words.indexOf("--no-pager");
  if (at < 0 || words.slice(0, at).includes("--")) return false;
  const before = words[at - 1] ?? "";
  return !before.startsWith("-") || before.includes("=") || QUIET_FLAGS.has(before);
}

/** Options that have no value, in all of them. */
const QUIET_FLAGS: ReadonlySet<string> = new Set([
  "-a",
  "-l",
  "-q",
  "--all",
  "--failed",
  "--quiet",
  "--full",
  "--user",
]);
