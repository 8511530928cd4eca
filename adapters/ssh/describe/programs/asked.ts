/** Programs of many commands, of which only those that ask, or do something by its name, are known to run nothing else. */
import { readArguments, type OptionTable } from "./options.ts";

type Asked = OptionTable & {
  /** What the operands begin with: words, with slashes between them; `*` is any. */
  readonly commands: string;
  /** No operand is one of these. */
  readonly never?: string;
  /** It may be left out: what the program then does is one of them. */
  readonly mayBeAlone?: true;
};

const JSON_OUTPUT = ["json", "no-pager", "no-legend", "all", "quiet", "full", "plain"];

const ASKED: Readonly<Record<string, Asked>> = {
  helm: {
    commands: "list ls status history version",
    flags: "aAqdr",
    valued: "nomfl",
    longFlags: ["all", "all-namespaces", "short", "failed", "deployed", "pending", "show-resources", "client"],
    longValued: ["namespace", "output", "max", "filter", "selector", "revision", "kube-context"],
  },
  // A call makes the service manager run programs; an address may name one.
  busctl: {
    commands: "list status tree introspect",
    mayBeAlone: true,
    longFlags: [...JSON_OUTPUT, "system", "user", "acquired", "activatable", "unique", "list"],
  },
  virsh: {
    commands:
      "list dominfo domstate start shutdown reboot version nodeinfo net-list pool-list domblklist domiflist dommemstat vcpuinfo",
    flags: "qr",
    longFlags: ["all", "name", "uuid", "title", "inactive", "running", "quiet", "readonly"],
  },
  go: { commands: "version" },
  coredumpctl: {
    commands: "list info",
    mayBeAlone: true,
    flags: "1rqn",
    valued: "FSU",
    longFlags: [...JSON_OUTPUT, "reverse"],
    longValued: ["since", "until", "field"],
  },
  userdbctl: { commands: "user group users-in-group groups-of-user services", longFlags: JSON_OUTPUT },
  udevadm: {
    commands: "info settle trigger monitor verify",
    flags: "aekrusxw",
    valued: "nqAtp",
    longFlags: ["attribute-walk", "export", "export-db", "kernel", "udev", "verbose"],
    longValued: ["name", "query", "path", "timeout", "subsystem-match", "action", "type", "settle"],
  },
  "apt-mark": { commands: "showhold showauto showmanual hold unhold auto manual minimize-manual", flags: "q" },
  // The rest of what they know is read from files that options name.
  "apt-config": { commands: "dump shell" },
  // A lock and a watch run what follows.
  etcdctl: {
    commands: "get put del member endpoint alarm version defrag snapshot/status",
    flags: "w",
    longFlags: ["prefix", "keys-only", "print-value-only", "cluster", "from-key", "count-only"],
    longValued: ["endpoints", "cacert", "cert", "key", "write-out", "limit", "user", "command-timeout", "dial-timeout"],
  },
  consul: {
    commands: "members info version kv/get kv/put kv/delete kv/export catalog operator/raft/list-peers rtt",
    flags: "h",
    isWordy: true,
    longFlags: ["detailed", "wan", "keys", "recurse"],
  },
  vault: { commands: "status version read list kv/get kv/list secrets/list auth/list policy/list token/lookup" },
  nomad: {
    commands:
      "status version node/status job/status alloc/status alloc/logs server/members deployment/status deployment/list eval/status",
    flags: "f",
  },
  // What else is set there are the commands that it runs.
  "fail2ban-client": {
    commands: "status ping version banned reload unban set/*/banip set/*/unbanip get",
    longFlags: ["version"],
  },
  crictl: {
    commands: "ps images pods inspect inspecti inspectp logs stats statsp info version",
    flags: "aqfv",
    valued: "on",
  },
  dkms: { commands: "status" },
  "cloud-init": { commands: "status query analyze", longFlags: ["wait", "long", "format"], longValued: ["format"] },
  patronictl: { commands: "list topology history version", valued: "c", longValued: ["config-file", "format"] },
  networkctl: {
    commands: "list status lldp up down reload renew reconfigure cat",
    mayBeAlone: true,
    longFlags: JSON_OUTPUT,
  },
  monit: { commands: "status summary reload start stop restart monitor unmonitor report validate" },
  doveadm: { commands: "who reload stop user log/find" },
  ipsec: { commands: "status statusall version up down reload restart update rereadall" },
  zypper: { commands: "lr lu list-updates repos search se info if packages patches services ps", flags: "istur" },
  pkg: { commands: "info query version stats audit which", flags: "aqvf" },
  cpupower: { commands: "frequency-info idle-info info" },
  celery: {
    commands:
      "status report inspect/active inspect/ping inspect/stats inspect/registered inspect/scheduled inspect/reserved",
    valued: "A",
    longValued: ["app", "timeout", "destination"],
  },
  gcloud: {
    never: "ssh scp interactive start-iap-tunnel connect-to-serial-port",
    commands: "version info */list */describe */*/list */*/describe",
    longValued: ["project", "format", "filter", "limit", "zone", "region"],
  },
  rclone: {
    commands:
      "ls lsd lsl lsf lsjson size about version copy copyto sync move check delete cat listremotes dedupe purge mkdir rmdir",
    flags: "vqnPR",
    longFlags: [
      "dry-run",
      "progress",
      "verbose",
      "quiet",
      "checksum",
      "update",
      "ignore-existing",
      "fast-list",
      "size-only",
    ],
    longValued: [
      "transfers",
      "checkers",
      "bwlimit",
      "max-age",
      "min-age",
      "exclude",
      "include",
      "retries",
      "log-level",
      "stats",
    ],
  },
  dstat: { commands: "", mayBeAlone: true, flags: "acdfgilmnprstTvy" },
  mailq: { commands: "", mayBeAlone: true, flags: "v" },
  newaliases: { commands: "", mayBeAlone: true },
  gunicorn: { commands: "", mayBeAlone: true, flags: "v", longFlags: ["version"] },
  ldconfig: { commands: "", mayBeAlone: true, flags: "pv", longFlags: ["print-cache", "verbose"] },
  // PostUp and its like in a file run what they say.
  "wg-quick": { commands: "up down strip" },
};

/** Programs whose operands are names and no paths, because a path would lead to another program. */
const NAMED_ONLY: ReadonlySet<string> = new Set(["wg-quick", "dkms", "apt-mark"]);

/** The uses of these programs as tests, by the program's name. */
export const ASKED_USES: Readonly<Record<string, (words: readonly string[]) => boolean>> = Object.fromEntries(
  Object.keys(ASKED).map((name) => [name, (words) => isAskedOf(name, words)]),
);

/** Are these words a use of the program that is known? */
export function isAskedOf(name: string, words: readonly string[]): boolean {
  const asked = Object.hasOwn(ASKED, name) ? ASKED[name] : undefined;
  if (asked === undefined) return false;
  const { commands, mayBeAlone = false, never = "", ...table } = asked;
  const read = readArguments(words, table);
  if (read === null) return false;
  const { operands } = read;
  if (NAMED_ONLY.has(name) && operands.some((word) => word.includes("/"))) return false;
  // rclone's own way to give a place options: `place,ssh="...":`.
  if (name === "rclone" && operands.some((word) => word.startsWith(":") || word.split(":", 1)[0]?.includes(","))) {
    return false;
  }
  if (operands.some((word) => never.split(" ").includes(word))) return false;
  if (operands.length === 0) return mayBeAlone;
  return commands.split(" ").some((command) => isCommand(command, operands));
}

function isCommand(command: string, operands: readonly string[]): boolean {
  return command !== "" && command.split("/").every((word, index) => word === "*" || operands[index] === word);
}
