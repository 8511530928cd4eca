/** Programs whose other options are harmless: the few that name programs, libraries or settings, which do as they like. */
import { listedAs } from "./names.ts";

type Refused = {
  /** Long options, with their hyphens; however they are shortened. */
  readonly long?: string;
  /** Letters, wherever they stand in a word of letters. */
  readonly letters?: string;
  /** What words may not begin with. */
  readonly beginnings?: string;
};

// Words that begin with `@` are files of further words.
const BINARIES: Refused = { long: "--plugin", beginnings: "@" };
const JAVA: Refused = { beginnings: "-J -prov JVMTI ManagementAgent" };
const MYSQL: Refused = {
  long: "--plugin-dir --default-auth --defaults-file --defaults-extra-file --login-path --init-command --pager --tee",
};
const IPTABLES: Refused = { long: "--modprobe", letters: "M" };
const BACKUP: Refused = { long: "--password-command --option --rsh --remote-path", letters: "o" };

/** They ask another machine, through ssh, or another system. */
const SYSTEMD: Refused = { long: "--host --machine --image --root", letters: "HM" };
/** What is looked up in another root runs there, as whoever asks. */
const ACCOUNTS: Refused = { long: "--root --prefix", letters: "RP" };
const LVM: Refused = { long: "--config --configreport --profile --commandprofile --metadataprofile" };

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
  "mariadb-show": MYSQL,
  "mariadb-import": MYSQL,
  "mariadb-binlog": MYSQL,
  "mariadb-upgrade": MYSQL,
  "mariadb-backup": MYSQL,
  mariabackup: MYSQL,
  xtrabackup: MYSQL,
  mysqlpump: MYSQL,
  mysql_upgrade: MYSQL,
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
  ...same(SYSTEMD, "loginctl hostnamectl timedatectl localectl systemd-analyze systemd-cgls systemd-cgtop bootctl"),
  ...same(SYSTEMD, "portablectl systemd-mount systemd-umount"),
  ...same(
    ACCOUNTS,
    "useradd userdel usermod groupadd groupdel groupmod groupmems chage chpasswd chgpasswd passwd chsh chfn",
  ),
  ...same(ACCOUNTS, "newusers pwck grpck pwconv grpconv lastlog faillog"),
  ...same(
    LVM,
    "lvm lvs lvcreate lvextend lvreduce lvresize lvremove lvrename lvchange lvconvert lvdisplay lvscan lvmdiskscan",
  ),
  ...same(
    LVM,
    "vgs vgcreate vgextend vgreduce vgremove vgrename vgchange vgdisplay vgscan vgck vgmerge vgsplit vgimport vgexport",
  ),
  ...same(
    LVM,
    "vgcfgrestore vgcfgbackup vgconvert pvs pvcreate pvchange pvremove pvresize pvmove pvdisplay pvscan pvck",
  ),
  ...same(JAVA, "jps jinfo jstat jstatd jfr jmod jimage jdeps jdeprscan javap rmiregistry serialver"),
  ...same({ letters: "c" }, "postfix postconf postqueue postsuper postcat postmap postalias barman needrestart zpool"),
  mdadm: { long: "--program --alert --config --mail", letters: "pc" },
  crm_mon: { long: "--external-agent", letters: "E" },
  drbdadm: { long: "--config-file --config-to-test", letters: "c" },
  // In what they are given stands what runs beside a module, or when certificates have changed.
  modprobe: { long: "--config --dirname --set-version", letters: "CdS" },
  "update-ca-certificates": { long: "--hooksdir --localcertsdir --etccertsdir --certsconf --certsdir" },
  // One of the forms it reads is code of Perl's.
  json_pp: { letters: "f", beginnings: "--f" },
  mt: { long: "--rsh-command" },
  updatedb: { long: "--findoptions" },
  cryptsetup: { long: "--external-tokens-path" },
  pgbackrest: { beginnings: "--cmd --config --repo --pg" },
  s3cmd: { long: "--config --encrypt", letters: "ce" },
  gsutil: { letters: "o" },
  aide: { long: "--config --before --after", letters: "cBAD" },
  rkhunter: { long: "--configfile --bindir" },
  chkrootkit: { letters: "pr" },
  lynis: { long: "--profile --plugindir" },
  collectl: { long: "--export --import --custom" },
  dhclient: { letters: "sfce" },
  dhcpcd: { long: "--script --config --env", letters: "cfe" },
  freshclam: { beginnings: "--on --conf" },
  dracut: { long: "--conf --confdir --local --sysroot --include --install", letters: "clriI" },
};

/** The same for each of the programs. */
function same(refused: Refused, programs: string): Readonly<Record<string, Refused>> {
  return Object.fromEntries(programs.split(" ").map((program) => [program, refused]));
}

/** Half a sentence on an option that is refused; null: there is none, or the program is none of these. */
export function refusedOption(name: string, words: readonly string[]): string | null {
  const refused = listedAs(REFUSED, name);
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
