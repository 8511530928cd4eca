/** Programs that can run others, or code: only the uses listed here are known not to. */
import { isPlainCompose, isPlainDocker, isPlainKubectl } from "./containers.ts";
import { isPlainGit, isPlainGitServer } from "./git.ts";
import { readArguments, type OptionTable } from "./options.ts";
import { isPlainRsync } from "./rsync.ts";
import { isPlainAwk, isPlainSed } from "./scripts.ts";

/** Half a sentence on a use that is not known to be harmless; null: it is, or the program is none of these. */
export function restrictedRuns(name: string, words: readonly string[]): string | null {
  const isHarmless = Object.hasOwn(HARMLESS_USES, name) ? HARMLESS_USES[name] : undefined;
  return isHarmless === undefined || isHarmless(words) ? null : `${name}, used in a way that may run other programs`;
}

type IsHarmless = (words: readonly string[]) => boolean;

const HARMLESS_USES: Readonly<Record<string, IsHarmless>> = {
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
  helm: subcommands("list ls status history version"),
  mount: isPlainMount,
  certbot: withOptions(
    { flags: "qn", longFlags: ["dry-run", "quiet", "force-renewal", "non-interactive"] },
    ([command]) => ["certificates", "renew"].includes(command ?? ""),
  ),
  // A call makes the service manager run programs.
  busctl: subcommands("list status tree introspect"),
  virsh: subcommands("list dominfo domstate start shutdown reboot version nodeinfo net-list pool-list"),
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
  service: (words) =>
    isOnly(words, "--status-all") ||
    (words.length >= 1 && words.every((word) => !word.includes("/") && !word.startsWith("-"))),
  arch: (words) => words.length === 0,
  crontab: (words) => words[0] === "-l" && (words.length === 1 || (words.length === 3 && words[1] === "-u")),
  apt: isPlainApt,
  "apt-get": isPlainApt,
  // `-o` names programs that it runs.
  "apt-cache": withOptions({ flags: "afginq" }, ([command = ""]) => APT_QUESTIONS.has(command)),
  dpkg: ([first = "", ...others]) => DPKG_QUESTIONS.has(first) && !others.some((word) => word.startsWith("-")),
  // `-E` and `-D` are of its macros, which run programs.
  rpm: (words) => (words[0] ?? "").startsWith("-q") && readArguments(words, { flags: "qacdfgilpRsv" }) !== null,
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
  go: subcommands("version"),
  cargo: (words) => isOnly(words, "--version"),
  openssl: isPlainOpenssl,
  gpg: (words) => isOnly(words, "--version"),
  ip: (words) => isPlainIp(words),
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

function isOnly(words: readonly string[], word: string): boolean {
  return words.length === 1 && words[0] === word;
}

/** The first word is one of these; global options before it are not known. */
function subcommands(names: string): IsHarmless {
  const known = new Set(names.split(" "));
  return ([first = ""]) => known.has(first);
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
  return read !== null && ["list", "info"].includes(read.operands[0] ?? "");
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
    longFlags:
      "create extract list verbose gzip bzip2 xz zstd same-permissions dereference one-file-system numeric-owner".split(
        " ",
      ),
    longValued: ["exclude", "strip-components"],
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

const DPKG_QUESTIONS: ReadonlySet<string> = new Set(
  "-l -s -L -S --list --status --listfiles --search --get-selections --print-architecture --version".split(" "),
);
const APT_QUESTIONS: ReadonlySet<string> = new Set("policy show search depends rdepends".split(" "));
const APT_COMMANDS: ReadonlySet<string> = new Set("update upgrade install remove list show search policy".split(" "));

function isPlainApt(words: readonly string[]): boolean {
  const read = readArguments(words, {
    flags: "yq",
    longFlags: ["yes", "quiet", "no-install-recommends", "installed", "upgradable"],
  });
  if (read === null || !APT_COMMANDS.has(read.operands[0] ?? "")) return false;
  return !read.operands.some((word) => word.includes("/"));
}

const IP_OPTIONS: ReadonlySet<string> = new Set("-4 -6 -br -brief -s -stats -j -json -o -oneline -d -c -h".split(" "));
const IP_OBJECTS: ReadonlySet<string> = new Set(
  "a addr address r route l link n neigh neighbour rule maddr".split(" "),
);

function isPlainIp(words: readonly string[]): boolean {
  const start = words.findIndex((word) => !IP_OPTIONS.has(word));
  return (
    start !== -1 &&
    IP_OBJECTS.has(words[start] ?? "") &&
    !words.includes("exec") &&
    !words.some((word) => word.startsWith("-b") && word !== "-br" && word !== "-brief")
  );
}

/** What is bound elsewhere is another file under the same name; file systems of FUSE are programs. */
function isPlainMount(words: readonly string[]): boolean {
  const read = readArguments(words, { flags: "alrvw", valued: "toLU", longFlags: ["all"] });
  return read !== null && !words.some((word) => MOUNT_REFUSED.some((each) => word.includes(each)));
}

const MOUNT_REFUSED = ["fuse", "#", "bind", "move", "helper"];

/** Do its letters hold this one? */
function isCluster(word: string, letter: string): boolean {
  return word.startsWith("-") && !word.startsWith("--") && word.includes(letter);
}
