/** Programs that can run others, or code: only the uses listed here are known not to. */
import { ASKED_USES, isAskedOf } from "./asked.ts";
import { isPlainCompose, isPlainDocker, isPlainKubectl } from "./containers.ts";
import { isPlainGit, isPlainGitServer } from "./git.ts";
import { listedAs } from "./names.ts";
import { readArguments, type OptionTable } from "./options.ts";
import { isPlainRsync } from "./rsync.ts";
import { isPlainAwk, isPlainSed } from "./scripts.ts";

/** Half a sentence on a use that is not known to be harmless; null: it is, or the program is none of these. */
export function restrictedRuns(name: string, words: readonly string[]): string | null {
  const isHarmless = listedAs(HARMLESS_USES, name);
  return isHarmless === undefined || isHarmless(words) ? null : `${name}, used in a way that may run other programs`;
}

type IsHarmless = (words: readonly string[]) => boolean;

const HARMLESS_USES: Readonly<Record<string, IsHarmless>> = {
  ...ASKED_USES,
  find: isPlainFind,
  fd: isPlainFd,
  fdfind: isPlainFd,
  tar: isPlainTar,
  gtar: isPlainTar,
  sed: isPlainSed,
  gsed: isPlainSed,
  awk: isPlainAwk,
  gawk: isPlainAwk,
  mawk: isPlainAwk,
  nawk: isPlainAwk,
  git: isPlainGit,
  rsync: isPlainRsync,
  scp: isPlainScp,
  "git-upload-pack": isPlainGitServer,
  "git-upload-archive": isPlainGitServer,
  "git-receive-pack": isPlainGitServer,
  docker: isPlainDocker,
  podman: isPlainDocker,
  "docker-compose": isPlainCompose,
  kubectl: isPlainKubectl,
  oc: isPlainKubectl,
  mount: isPlainMount,
  dotnet: ([first = "", ...others]) =>
    first.endsWith(".dll") || (others.length === 0 && ["--version", "--info", "--list-runtimes"].includes(first)),
  systemctl: withOptions(
    {
      flags: "aqrfl",
      valued: "nptosP",
      longFlags: "no-pager all failed quiet full no-legend plain now user system no-block force wait value".split(" "),
      longValued: "lines output property type state signal".split(" "),
    },
    ([command = "status", ...units]) =>
      !UNIT_FILE_COMMANDS.has(command) || (ENABLING_COMMANDS.has(command) && !units.some((unit) => unit.includes("/"))),
  ),
  service: isPlainService,
  "invoke-rc.d": isPlainService,
  "rc-service": isPlainService,
  certbot: isPlainCertbot,
  letsencrypt: isPlainCertbot,
  arch: (words) => words.length === 0,
  crontab: (words) => {
    const read = readArguments(words, { flags: "l", valued: "u" });
    return read !== null && read.given.has("l") && read.operands.length === 0;
  },
  apt: isPlainApt,
  "apt-get": isPlainApt,
  // `-o` names programs that it runs.
  "apt-cache": withOptions({ flags: "afginq" }, ([command = ""]) => APT_QUESTIONS.has(command)),
  dpkg: ([first = "", ...others]) => DPKG_QUESTIONS.has(first) && !others.some((word) => word.startsWith("-")),
  // `-E` and `-D` are of its macros, which run programs.
  rpm: (words) => (words[0] ?? "").startsWith("-q") && readArguments(words, RPM_QUERY) !== null,
  // One of the ways to ask is an editor.
  // Without z it is a way in or out for whatever comes, with -e for a program.
  nc: isPlainProbe,
  ncat: isPlainProbe,
  netcat: isPlainProbe,
  // Of a process that there is; anything else is what it starts.
  taskset: (words) => {
    const read = readArguments(words, { flags: "apc" });
    return read !== null && read.given.has("p") && read.operands.every(isProcessors);
  },
  numactl: (words) => words.length === 1 && ["-H", "--hardware", "-s", "--show"].includes(words[0] ?? ""),
  // Nothing is done, only told.
  logrotate: (words) => {
    const read = readArguments(words, { flags: "dv", longFlags: ["debug", "verbose"] });
    return read !== null && (read.given.has("d") || read.given.has("debug"));
  },
  visudo: (words) => {
    const read = readArguments(words, { flags: "cqs", valued: "f" });
    return read !== null && read.given.has("c") && read.operands.length === 0;
  },
  "dpkg-reconfigure": (words) => !words.some((word) => word.toLowerCase().includes("editor")),
  // What they read of settings may name plugins.
  yum: isPlainDnf,
  dnf: isPlainDnf,
  pip: isPlainPip,
  pip3: isPlainPip,
  npm: (words) =>
    isOnly(words, "-v") ||
    isOnly(words, "--version") ||
    withOptions({ flags: "g", longFlags: ["json", "long", "all", "prod"], longValued: ["depth"] }, ([command]) =>
      ["ls", "list"].includes(command ?? ""),
    )(words),
  cargo: (words) => isOnly(words, "--version"),
  openssl: isPlainOpenssl,
  gpg: (words) => isOnly(words, "--version"),
  ip: isPlainIp,
  tc: (words) => isPlainNet(words) && TC_OBJECTS.has(words.find((word) => !word.startsWith("-")) ?? ""),
  bridge: isPlainNet,
  sysctl: isPlainSysctl,
  // A type is part of a program's name, and with a slash its path.
  mkfs: (words) => !words.some((word, index) => word.includes("/") && (words[index - 1] ?? "").endsWith("t")),
  udevadm: (words) =>
    words[0] === "control"
      ? words.slice(1).every((word) => ["--reload", "--reload-rules", "-R", "--ping"].includes(word))
      : isAskedOf("udevadm", words),
  apk: isPlainApk,
  pacman: (words) => (words[0] ?? "").startsWith("-Q") && readArguments(words, { flags: "Qqisdtemklopgu" }) !== null,
  "rdiff-backup": (words) => !words.some((word) => word.includes("::") || word.startsWith("--remote")),
  unison: (words) => words.every((word) => ["-server", "__new-rpc-mode", "-version"].includes(word)),
  aws: (words) => !words.some((word) => AWS_REFUSED.has(word) || word.startsWith("--cli-")),
  // `-z` names a program for what `-w` wrote.
  tcpdump: withOptions({ flags: "AeKlnNOpqStuvxX#", valued: "icsrwCWG" }),
  zip: withOptions({ flags: "rqujy0123456789", valued: "x" }),
  unzip: withOptions({ flags: "lopqnjvt", files: "d" }),
  sort: withOptions({ flags: "bcCdfghimMnrRsuVz", valued: "kt", files: "oT", longFiles: ["output"] }),
  split: withOptions({ flags: "dex", valued: "abCln" }),
  install: withOptions({ flags: "bcCdDpTv", valued: "gmo", files: "t" }),
  rg: withOptions({ flags: "ilnvwcFSsNHuoU.", valued: "ABCgtTm" }),
  wget: withOptions({
    flags: "qcNSv",
    valued: "tTUn",
    files: "OP",
    longFlags: ["quiet", "spider", "no-check-certificate", "no-verbose", "continue", "timestamping"],
    longValued: ["timeout", "tries", "header", "user-agent", "max-redirect"],
    longFiles: ["output-document", "directory-prefix"],
  }),
  curl: withOptions({
    flags: "sSfLIkvgGiO46#",
    valued: "XHmdAuxw",
    files: "o",
    longFlags: "silent show-error fail location head compressed insecure include verbose retry-connrefused".split(" "),
    longValued: (
      "max-time connect-timeout request header retry retry-delay retry-max-time data user-agent user unix-socket " +
      "resolve write-out"
    ).split(" "),
    longFiles: ["output"],
  }),
  dmesg: (words) => !words.some((word) => word.startsWith("--hu") || isCluster(word, "H")),
};

/** What they do is to bring files of units, or of whole systems, from where their operands say. */
const UNIT_FILE_COMMANDS: ReadonlySet<string> = new Set(
  (
    "edit help set-environment import-environment link switch-root mount-image bind enable reenable preset " +
    "add-wants add-requires"
  ).split(" "),
);
/** Those that do so only of operands that are paths. */
const ENABLING_COMMANDS: ReadonlySet<string> = new Set(["enable", "reenable", "preset"]);

/** Of each command the options that name no engine, no configuration, and no file to write. */
const OPENSSL_OPTIONS: Readonly<Record<string, string>> = {
  x509: "-in -noout -text -dates -enddate -startdate -subject -issuer -fingerprint -serial -sha256 -checkend -inform -ext -modulus -pubkey -hash",
  req: "-in -noout -text -verify -subject",
  crl: "-in -noout -text -inform",
  rsa: "-in -noout -check -modulus",
  verify: "-CAfile -CApath -untrusted",
  dgst: "-sha1 -sha256 -sha384 -sha512 -md5 -hex -r",
  rand: "-hex -base64",
  s_client:
    "-connect -servername -showcerts -brief -starttls -alpn -tls1_2 -tls1_3 -verify_return_error -CAfile -status",
};

function isPlainOpenssl([command = "", ...words]: readonly string[]): boolean {
  if (command === "version") return true;
  const options = Object.hasOwn(OPENSSL_OPTIONS, command) ? OPENSSL_OPTIONS[command]?.split(" ") : undefined;
  if (options === undefined) return false;
  return words.every((word) => !word.startsWith("-") || options.includes(word)) && !words.some(hasEngine);
}

function hasEngine(word: string): boolean {
  return word.includes("engine");
}

/** Names of services, and what is done to them: a path would be another program. */
function isPlainService(words: readonly string[]): boolean {
  if (isOnly(words, "--status-all")) return true;
  return words.length >= 1 && words.every((word) => !word.includes("/") && !word.startsWith("-"));
}

/** `nc -zv HOST PORT`: is anybody there? */
function isPlainProbe(words: readonly string[]): boolean {
  const read = readArguments(words, { flags: "zvnut46", valued: "w" });
  return read !== null && read.given.has("z");
}

/** `4242`, `0x3`, `0-3,8` */
function isProcessors(word: string): boolean {
  for (const character of word) if (!"0123456789abcdefx-,".includes(character)) return false;
  return word !== "";
}

function isPlainCertbot(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "qn",
    longFlags: ["dry-run", "quiet", "force-renewal", "non-interactive"],
  });
  return read !== null && ["certificates", "renew"].includes(read.operands[0] ?? "");
}

function isOnly(words: readonly string[], word: string): boolean {
  return words.length === 1 && words[0] === word;
}

/** Options that are in the table, and no others. */
function withOptions(
  table: OptionTable,
  areOperandsHarmless: (operands: readonly string[]) => boolean = () => true,
): IsHarmless {
  return (words) => {
    const read = readArguments(words, table);
    return read !== null && areOperandsHarmless(read.operands);
  };
}

function isPlainDnf(words: readonly string[]): boolean {
  const longFlags = ["installed", "available", "updates", "upgrades", "all", "quiet", "cacheonly"];
  const read = readArguments(words, { flags: "Cqy", longFlags });
  return (
    read !== null && ["list", "info", "check-update", "repolist", "search", "provides"].includes(read.operands[0] ?? "")
  );
}

function isPlainPip(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "fiouqv",
    longFlags: ["version", "files", "local", "user", "outdated", "uptodate"],
    longValued: ["format"],
  });
  if (read === null) return false;
  return read.given.has("version") || ["list", "show", "freeze"].includes(read.operands[0] ?? "");
}

const FIND_TESTS: ReadonlySet<string> = new Set(
  (
    "-name -iname -path -ipath -type -size -mtime -mmin -ctime -cmin -atime -amin -newer -user -group -perm -maxdepth " +
    "-mindepth -links -inum -uid -gid -printf -regex -iregex -regextype -anewer -cnewer -samefile -wholename -lname " +
    "-xtype -fstype -newermt -newerct -newerat"
  ).split(" "),
);
const FIND_WORDS: ReadonlySet<string> = new Set(
  "-print -print0 -ls -empty -xdev -mount -daystart -noleaf -depth -not -a -o -and -or ! ( ) -L -H -P -readable -writable -executable -prune -true -false -nouser -nogroup -quit".split(
    " ",
  ),
);

/** Folders, then tests and what prints. */
function isPlainFind(words: readonly string[]): boolean {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (FIND_TESTS.has(word)) at++;
    else if (!FIND_WORDS.has(word) && word.startsWith("-")) return false;
  }
  return true;
}

function isPlainFd(words: readonly string[]): boolean {
  return withOptions({ flags: "HIaLsi01", valued: "edtE" })(words);
}

/** `tar -xzf FILE -C FOLDER`, `tar czf FILE PATH...`; an archive on another machine is fetched by a program. */
function isPlainTar(words: readonly string[]): boolean {
  const [first = ""] = words;
  const isOldStyle = first !== "" && !first.startsWith("-");
  // The values of its letters follow in order.
  if (isOldStyle) for (const letter of first) if (!"cxtvzjJpkhOmafC".includes(letter)) return false;
  const read = readArguments(isOldStyle ? words.slice(1) : words, {
    // W is an option of BSD's that has any other for its value.
    flags: "cxtvzjJpkhOmauSl",
    files: "fCT",
    longFlags: (
      "create extract list verbose gzip bzip2 xz zstd same-permissions dereference one-file-system numeric-owner " +
      "no-same-owner same-owner no-same-permissions preserve-permissions keep-old-files skip-old-files overwrite totals " +
      "ignore-failed-read exclude-vcs wildcards"
    ).split(" "),
    longValued: ["exclude", "strip-components", "owner", "group", "mode", "warning"],
    longFiles: ["file", "directory"],
  });
  return read !== null && ![...read.files, ...(isOldStyle ? read.operands : [])].some((file) => file.includes(":"));
}

/** `scp -t`, `scp -f` as a client starts it on a target, or as a client without options that name programs. */
function isPlainScp(words: readonly string[]): boolean {
  const read = readArguments(words, { flags: "rpqCvBd46tf3", valued: "Pl" });
  if (read === null) return false;
  if (read.operands.some((word) => word.startsWith("-"))) return false;
  const isServer = read.given.has("t") || read.given.has("f");
  return !isServer || (read.given.has("t") !== read.given.has("f") && read.operands.length > 0);
}

/** They start ssh or a plugin, show manuals, or say what is started for credentials. */
const AWS_REFUSED: ReadonlySet<string> = new Set(
  "configure ssh start-session execute-command emr socks help opsworks codecommit wizard login".split(" "),
);

const RPM_QUERY: OptionTable = {
  flags: "qacdfgilpRsv",
  longFlags:
    "all last changelog scripts provides requires conflicts list info configfiles whatprovides whatrequires".split(" "),
};

function isPlainApk(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "vqULeadwrtuln",
    longFlags: ["no-cache", "update", "quiet", "installed", "upgradable", "available", "simulate"],
  });
  if (read === null || !APK_COMMANDS.has(read.operands[0] ?? "")) return false;
  return !read.operands.some((word) => word.includes("/") || word.endsWith(".apk"));
}

const APK_COMMANDS: ReadonlySet<string> = new Set(
  "info add del update upgrade search list policy version stats audit".split(" "),
);

const DPKG_QUESTIONS: ReadonlySet<string> = new Set(
  (
    "-l -s -L -S -C -V --list --status --listfiles --search --get-selections --print-architecture --version --audit --verify " +
    "--compare-versions"
  ).split(" "),
);
const APT_QUESTIONS: ReadonlySet<string> = new Set("policy show search depends rdepends".split(" "));
const APT_COMMANDS: ReadonlySet<string> = new Set(
  "update upgrade install remove list show search policy purge autoremove autoclean clean check dist-upgrade full-upgrade".split(
    " ",
  ),
);

function isPlainApt(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "yqsuV",
    longFlags: ["yes", "quiet", "no-install-recommends", "installed", "upgradable", "simulate", "dry-run", "purge"],
  });
  if (read === null || !APT_COMMANDS.has(read.operands[0] ?? "")) return false;
  return !read.operands.some((word) => word.includes("/"));
}

const TC_OBJECTS: ReadonlySet<string> = new Set(["qdisc", "class", "filter", "chain"]);
/** They load a program into the kernel from a file, or run what a file says. */
const NET_REFUSED: ReadonlySet<string> = new Set(
  "exec bpf ebpf xdp xdpgeneric xdpdrv xdpoffload obj object object-file object-pinned pinned import run".split(" "),
);

function isPlainNet(words: readonly string[]): boolean {
  return !words.some((word) => NET_REFUSED.has(word) || (word.startsWith("-b") && word !== "-br" && word !== "-brief"));
}

/** Of these the kernel runs what is written into them. */
const RUN_BY_KERNEL = ["core_pattern", "modprobe", "hotplug", "poweroff_cmd", "usermodehelper", "binfmt", "core_pipe"];

/** Settings by their names; a file of them may hold any. */
function isPlainSysctl(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "aAbdeNnpqwX",
    longFlags: ["all", "write", "system", "values", "names", "ignore"],
    longValued: ["pattern"],
    valued: "r",
  });
  if (read === null || (read.given.has("p") && read.operands.length > 0)) return false;
  return !read.operands.some((word) => word.includes("=") && RUN_BY_KERNEL.some((each) => word.includes(each)));
}

const IP_OPTIONS: ReadonlySet<string> = new Set("-4 -6 -br -brief -s -stats -j -json -o -oneline -d -c -h".split(" "));
const IP_OBJECTS: ReadonlySet<string> = new Set(
  "a addr address r route l link n neigh neighbour rule maddr".split(" "),
);

function isPlainIp(words: readonly string[]): boolean {
  const start = words.findIndex((word) => !IP_OPTIONS.has(word));
  return start !== -1 && IP_OBJECTS.has(words[start] ?? "") && isPlainNet(words);
}

/** Types of file systems that no program of another name mounts: those of FUSE are programs, whose options name others. */
const MOUNT_TYPES: ReadonlySet<string> = new Set(
  (
    "auto ext2 ext3 ext4 xfs btrfs vfat msdos exfat ntfs3 iso9660 udf squashfs overlay tmpfs ramfs devtmpfs proc sysfs devpts " +
    "cgroup cgroup2 debugfs tracefs securityfs configfs hugetlbfs mqueue binfmt_misc pstore efivarfs nfs nfs4 cifs smb3 zfs f2fs jfs " +
    "reiserfs 9p virtiofs ceph gfs2 ocfs2"
  ).split(" "),
);

/** What is bound elsewhere is another file under the same name. */
function isPlainMount(words: readonly string[]): boolean {
  const read = readArguments(words, { flags: "alrvw", valued: "toLU", longFlags: ["all"] });
  if (read === null || words.some((word) => MOUNT_REFUSED.some((each) => word.includes(each)))) return false;
  return (read.values.get("t") ?? "auto").split(",").every((each) => MOUNT_TYPES.has(each));
}

const MOUNT_REFUSED = ["fuse", "#", "bind", "move", "helper"];

/** Do its letters hold this one? */
function isCluster(word: string, letter: string): boolean {
  return word.startsWith("-") && !word.startsWith("--") && word.includes(letter);
}
