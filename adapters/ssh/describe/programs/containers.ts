/** docker, podman and kubectl: what asks about containers, and starts and stops those that there are. */
import { readArguments, type OptionTable } from "./options.ts";

const COMMANDS: ReadonlySet<string> = new Set(
  "ps images logs inspect version info stats top port restart start stop kill pause unpause rm rmi pull push tag".split(
    " ",
  ),
);
/** What is asked of objects by their kind (`docker network ls`). */
const OF_OBJECTS: Readonly<Record<string, ReadonlySet<string>>> = {
  container: new Set("ls ps logs inspect stats port restart start stop kill pause unpause rm prune".split(" ")),
  image: new Set("ls inspect pull rm prune tag history".split(" ")),
  network: new Set("ls inspect".split(" ")),
  volume: new Set("ls inspect".split(" ")),
  system: new Set("df info prune".split(" ")),
};
const OPTIONS: OptionTable = {
  flags: "aflnqstv",
  longFlags: "all follow force no-stream no-trunc quiet size timestamps volumes details latest".split(" "),
  longValued: "format filter since until tail time signal last".split(" "),
};

/** Places of images that are files and folders of the target, to podman. */
const TRANSPORTS =
  "dir: docker-archive: docker-daemon: oci: oci-archive: containers-storage: ostree: sif: tarball: atomic:".split(" ");

/** podman takes options that name programs (`--runtime`) also behind the subcommand; `start -i` is a terminal in a container. What `top` is given goes to ps. */
export function isPlainDocker(words: readonly string[]): boolean {
  const [command = "", ...rest] = words;
  if (words.some((word) => TRANSPORTS.some((each) => word.startsWith(each)))) return false;
  if (command === "compose") return isPlainCompose(rest);
  const ofObject = Object.hasOwn(OF_OBJECTS, command) ? OF_OBJECTS[command] : undefined;
  if (ofObject !== undefined) return ofObject.has(rest[0] ?? "") && readArguments(rest, OPTIONS) !== null;
  if (!COMMANDS.has(command)) return false;
  if (command === "top") return rest.length === 1 && !(rest[0] ?? "-").startsWith("-");
  return readArguments(rest, OPTIONS) !== null;
}

const COMPOSE_COMMANDS: ReadonlySet<string> = new Set(
  "ps logs images top version ls pull up down start stop restart".split(" "),
);

/** Of the folder where it is: what its containers are, is in the file there, as a script's commands are in it. */
export function isPlainCompose(words: readonly string[]): boolean {
  const [command = "", ...rest] = words;
  if (!COMPOSE_COMMANDS.has(command)) return false;
  const read = readArguments(rest, {
    flags: "adfqt",
    longFlags: "all detach follow quiet timestamps no-color no-log-prefix remove-orphans force-recreate wait".split(
      " ",
    ),
    longValued: ["tail", "since", "until", "filter", "format"],
  });
  return read !== null;
}

const KUBECTL_COMMANDS: ReadonlySet<string> = new Set(
  "get describe logs top version api-resources cluster-info rollout scale delete cordon uncordon drain label annotate taint".split(
    " ",
  ),
);
/** Global options with a value that only say whom of the configuration's own is spoken to. */
const KUBECTL_PLACES: ReadonlySet<string> = new Set(["-n", "--namespace", "--context", "--cluster"]);
/** Others name programs and files, write profiles and logs, or name another server, to which credentials would be shown. */
const KUBECTL_OPTIONS: OptionTable = {
  flags: "ARwp",
  valued: "clLno",
  longFlags: (
    "all-namespaces watch show-labels no-headers follow previous timestamps ignore-not-found client short " +
    "all-containers containers prefix show-kind namespaced ignore-daemonsets delete-emptydir-data overwrite now force"
  ).split(" "),
  longValued: (
    "namespace context cluster selector output field-selector sort-by tail since since-time container label-columns " +
    "replicas grace-period timeout to-revision revision api-group limit-bytes chunk-size"
  ).split(" "),
};

export function isPlainKubectl(words: readonly string[]): boolean {
  let at = 0;
  while (KUBECTL_PLACES.has(words[at] ?? "") && !(words[at + 1] ?? "-").startsWith("-")) at += 2;
  const [command = "", ...rest] = words.slice(at);
  if (command === "config") return rest.length === 1 && ["current-context", "get-contexts"].includes(rest[0] ?? "");
  if (command === "auth") return rest[0] === "can-i" && rest.every((word) => !word.startsWith("-"));
  if (!KUBECTL_COMMANDS.has(command)) return false;
  // With `-f` all others but logs read a file. `cluster-info dump` writes some.
  const read = readArguments(rest, command === "logs" ? { ...KUBECTL_OPTIONS, flags: "fp" } : KUBECTL_OPTIONS);
  if (read === null || (command === "cluster-info" && read.operands.length > 0)) return false;
  return ![read.values.get("o"), read.values.get("output")].some((format) => format?.includes("-file") === true);
}
