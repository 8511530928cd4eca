/** Programs whose other options are harmless: the few that name programs, libraries or settings, which do as they like. */

type Refused = {
  /** Long options, with their hyphens; however they are shortened. */
  readonly long?: string;
  /** Letters, wherever they stand in a word of letters. */
  readonly letters?: string;
  /** What words may not begin with. */
  readonly beginnings?: string;
};

const BINARIES: Refused = { long: "--plugin" };
const JAVA: Refused = { beginnings: "-J -prov JVMTI ManagementAgent" };
const MYSQL: Refused = {
  long: "--plugin-dir --default-auth --defaults-file --defaults-extra-file --login-path --init-command --pager --tee",
};
const IPTABLES: Refused = { long: "--modprobe", letters: "M" };
const BACKUP: Refused = { long: "--password-command --option --rsh --remote-path", letters: "o" };

const REFUSED: Readonly<Record<string, Refused>> = {
  nm: BINARIES,
  ar: BINARIES,
  ranlib: BINARIES,
  objdump: BINARIES,
  objcopy: BINARIES,
  strip: BINARIES,
  size: BINARIES,
  jstack: JAVA,
  jmap: JAVA,
  jcmd: JAVA,
  keytool: JAVA,
  mysqldump: MYSQL,
  mysqladmin: MYSQL,
  mysqlshow: MYSQL,
  mysqlcheck: MYSQL,
  mysqlimport: MYSQL,
  mysqlbinlog: MYSQL,
  "mariadb-dump": MYSQL,
  "mariadb-admin": MYSQL,
  "mariadb-check": MYSQL,
  // It names what loads a module of the kernel.
  iptables: IPTABLES,
  ip6tables: IPTABLES,
  "iptables-save": IPTABLES,
  "ip6tables-save": IPTABLES,
  "iptables-legacy": IPTABLES,
  "iptables-nft": IPTABLES,
  restic: BACKUP,
  borg: BACKUP,
  borgmatic: { long: "--config --override", letters: "c" },
  // A word that begins with a colon is a whole configuration.
  rclone: { beginnings: "--password-command --sftp-ssh --config --rc --metadata-mapper :" },
  duplicity: { long: "--ssh-options --rsync-options --gpg-binary --gpg-options --par2-options" },
  pidstat: { letters: "e" },
  ack: { long: "--pager --ackrc" },
  ag: { long: "--pager" },
  rsnapshot: { letters: "c" },
  bat: { long: "--pager --config-file" },
  batcat: { long: "--pager --config-file" },
  cowsay: { letters: "f" },
  cowthink: { letters: "f" },
  nginx: { letters: "cgpe" },
  apachectl: { letters: "fcCdE" },
  apache2ctl: { letters: "fcCdE" },
  httpd: { letters: "fcCdE" },
  apache2: { letters: "fcCdE" },
  supervisorctl: { long: "--configuration", letters: "c" },
  "ssh-keygen": { letters: "DwsYOM" },
  "ssh-add": { letters: "sSTe" },
  sshd: { letters: "fohcgCp" },
};

/** Half a sentence on an option that is refused; null: there is none, or the program is none of these. */
export function refusedOption(name: string, words: readonly string[]): string | null {
  const refused = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  if (refused === undefined || !words.some((word) => isRefused(word, refused))) return null;
  return `${name}, with an option that may run other programs`;
}

function isRefused(word: string, { long = "", letters = "", beginnings = "" }: Refused): boolean {
  if (beginnings !== "" && beginnings.split(" ").some((each) => word.startsWith(each))) return true;
  if (!word.startsWith("-")) return false;
  if (!word.startsWith("--")) return hasLetter(word, letters);
  // MySQL's know an underscore for a hyphen, and `--loose-` before any option.
  const [written = ""] = word.replaceAll("_", "-").split("=", 1);
  const name = written.startsWith("--loose-") ? `--${written.slice("--loose-".length)}` : written;
  return name.length > 2 && long !== "" && long.split(" ").some((each) => each.startsWith(name));
}

function hasLetter(word: string, letters: string): boolean {
  for (const letter of letters) if (word.includes(letter)) return true;
  return false;
}
