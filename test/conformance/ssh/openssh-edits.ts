/** What is changed in a copy of OpenSSH's regression scripts: alike for both roads, and so that their clients reach the gateway. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Replaced everywhere in these scripts. */
type Edit = { readonly scripts: readonly string[]; readonly from: string | RegExp; readonly to: string };

/** Everywhere alike, so that what is compared is the same. `address`: one of this machine that is not loopback. */
const onBothRoads = (address: string | null): readonly Edit[] => [
  { scripts: ["test-exec"], from: /^\s*UsePAM\s+yes$/gmu, to: "UsePAM no" },
  // The gateway lets pass only variables that it knows.
  { scripts: ["test-exec", "envpass", "multiplex"], from: "_XXX_TEST", to: "LC_XXX_TEST" },
  // A slip, for which no client would connect.
  { scripts: ["broken-pipe"], from: "ssh_config_config", to: "ssh_proxy" },
  // A slip, for which nothing but the usual algorithms would be tried.
  { scripts: ["rekey"], from: 'test -z "$_kexopts"', to: 'test -z "$_kexopt"' },
  // The gateway has to know in which order a server reads the arguments of SYMLINK, and extensions tell who it is.
  {
    scripts: ["sftp-perm"],
    from: '"symlink" \\\n\t"realpath,stat,lstat"',
    to: '"symlink" \\\n\t"realpath,stat,lstat,fsync"',
  },
  ...(canGiveTerminals() ? [] : [WITHOUT_TERMINALS]),
  ...(address === null ? [] : forwardsTo(address)),
];

const WITHOUT_TERMINALS: Edit = { scripts: ["key-options"], from: 'skip_pty=""', to: 'skip_pty="no terminals"' };

/** In some containers terminals do not belong to the group tty, and only root's sshd can make them. */
function canGiveTerminals(): boolean {
  return !existsSync("/proc/mounts") || /^devpts .*\bgid=/mu.test(readFileSync("/proc/mounts", "utf8"));
}

/**
 * No forward may lead to a loopback address, and these scripts have no other. Servers, and forwards that another forward
 * leads to, listen everywhere instead.
 */
const forwardsTo = (address: string): readonly Edit[] => [
  {
    scripts: ["test-exec"],
    from: "ListenAddress\t\t127.0.0.1",
    to: "ListenAddress\t\t0.0.0.0\n\tGatewayPorts clientspecified",
  },
  // Two that are the same would be one.
  { scripts: ["forwarding"], from: "-$d ${base}01:localhost:", to: `-$d \${base}01:[::ffff:${address}]:` },
  {
    scripts: ["forwarding", "forward-control", "dynamic-forward", "multiplex", "cfgmatch"],
    from: /(?<=[a-zA-Z0-9}]:|\)\):|-W |\d |permit=")(127\.0\.0\.1|localhost)(?=:)/gu,
    to: address,
  },
  { scripts: ["forwarding"], from: "-L$a:", to: "-L*:$a:" },
  { scripts: ["forwarding"], from: "-R$b:", to: "-R*:$b:" },
  { scripts: ["forwarding"], from: "LocalForward ${base}", to: "LocalForward *:${base}" },
  { scripts: ["forward-control"], from: "_goodfwd=127.0.0.1:${PORT}", to: `_goodfwd=${address}:\${PORT}` },
  { scripts: ["dynamic-forward"], from: "for h in 127.0.0.1 localhost", to: `for h in ${address}` },
  { scripts: ["multiplex"], from: "$NC -N -l 127.0.0.1", to: "$NC -N -l 0.0.0.0" },
  { scripts: ["cfgmatch"], from: "127.0.0.1:'$PORT'", to: `${address}:'$PORT'` },
];

/** The server lets nobody log in but the gateway: a client that goes past it fails. */
const ONLY_THE_GATEWAY: readonly Edit[] = [
  {
    scripts: ["test-exec", "cfgmatch", "cfgmatchlisten", "forcecommand", "brokenkeys"],
    from: "cat $OBJ/$t.pub >> $OBJ/authorized_keys_$USER",
    to: "cat $OBJ/weir_login.pub >> $OBJ/authorized_keys_$USER",
  },
  // What these want to let in is let in by the gateway.
  { scripts: ["agent", "keytype"], from: "$OBJ/authorized_keys_$USER", to: "$OBJ/authorized_keys_elsewhere" },
  {
    scripts: ["keytype"],
    from: "echo PubkeyAcceptedAlgorithms $user_type\n\t\t\techo HostKeyAlgorithms $host_type\n\t\t) > $OBJ/sshd_proxy",
    to: "echo HostKeyAlgorithms $host_type\n\t\t) > $OBJ/sshd_proxy",
  },
];

/** The server exchanges keys with the gateway: its own log tells of that. */
const REKEYED_BY_SERVER: readonly Edit[] = ["rekeylimit ${s}", "rekeylimit default ${s}"].map((setting) => ({
  scripts: ["rekey"],
  from: `echo "${setting}" >>$OBJ/sshd_proxy\n\trm -f \${COPY} \${LOG}`,
  to: `echo "${setting}" >>$OBJ/sshd_proxy\n\trm -f \${COPY}; LOG=\${TEST_SSHD_LOGFILE}; : >\${LOG}`,
}));

/** These bring a stand-in for ssh, or none at all, and would never leave the machine. */
const OVER_SSH: readonly Edit[] = [
  {
    scripts: ["scp-ssh-wrapper"],
    from: 'exec $SCP "$@"',
    to: 'exec $OBJ/weir-ssh -F $OBJ/ssh_proxy somehost "$arg"',
  },
  { scripts: ["scp", "scp3"], from: "-s -D ${SFTPSERVER}", to: "-s -F ${OBJ}/ssh_proxy -S ${OBJ}/weir-ssh" },
];

/** Before any run. */
export function editForBothRoads(folder: string, address: string | null): void {
  for (const edit of onBothRoads(address)) apply(folder, edit);
}

/** Before runs through the gateway. */
export function editForGateway(folder: string): void {
  for (const edit of [...ONLY_THE_GATEWAY, ...REKEYED_BY_SERVER, ...OVER_SSH]) apply(folder, edit);
}

/** A text that is not there is an error: the scripts are not those that these edits were made for. */
function apply(folder: string, { scripts, from, to }: Edit): void {
  for (const script of scripts) {
    const file = join(folder, `${script}.sh`);
    const text = readFileSync(file, "utf8");
    const edited = text.replaceAll(from, () => to);
    if (edited === text) throw new Error(`${script}.sh holds nothing like ${String(from)}`);
    writeFileSync(file, edited);
  }
}
