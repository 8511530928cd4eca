/** OpenSSH's regression scripts (those of 9.2): how each ends directly and through a gateway, and which it says nothing of. */
import type { Verdict } from "./openssh-regress.ts";

export type Script = {
  readonly name: string;
  readonly direct: Verdict;
  readonly through: Verdict;
  /** Why it ends differently. */
  readonly reason?: string;
  /** Seconds rather than minutes, and without ports of its own choice: part of every test run. */
  readonly isQuick?: true;
};

const quick = (name: string): Script => ({ name, direct: "ok", through: "ok", isQuick: true });
const long = (name: string): Script => ({ name, direct: "ok", through: "ok" });
const differs = (name: string, reason: string): Script => ({ name, direct: "ok", through: "failed", reason });

export const SCRIPTS: readonly Script[] = [
  quick("connect"),
  quick("proxy-connect"),
  quick("connect-uri"),
  quick("exit-status-signal"),
  quick("stderr-after-eof"),
  quick("broken-pipe"),
  quick("yes-head"),
  quick("transfer"),
  quick("envpass"),
  quick("localcommand"),
  quick("host-expand"),
  quick("portnum"),
  quick("kextype"),
  quick("keytype"),
  quick("try-ciphers"),
  quick("agent"),
  quick("forcecommand"),
  quick("brokenkeys"),
  quick("allow-deny-users"),
  quick("authinfo"),
  quick("scp"),
  quick("scp-uri"),
  quick("scp3"),
  quick("sftp-cmds"),
  quick("sftp-badcmds"),
  quick("sftp-batch"),
  quick("sftp-glob"),
  quick("sftp-uri"),
  long("exit-status"),
  long("stderr-data"),
  long("sftp"),
  long("sftp-perm"),
  long("rekey"),
  long("integrity"),
  long("cipher-speed"),
  long("multiplex"),
  long("forwarding"),
  long("forward-control"),
  long("dynamic-forward"),
  long("cfgmatch"),
  long("cfgmatchlisten"),
  long("key-options"),
  long("channel-timeout"),
  long("connection-timeout"),
  long("login-timeout"),
  long("connect-privsep"),
  long("reconfigure"),
  long("reexec"),
  differs("banner", "what a server says to those who log in is heard by the gateway, which logs in to it by itself"),
];

const noConnection = "no client connects in it";
const certificates = "users' certificates are not taken by this version";
const hostKey = "it changes the server's host key and looks for it at the client, which sees the gateway's";
const needsSudo = "it writes where only root may, and the scripts run as an ordinary account";

/** Not run, each for its reason. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  addrmatch: noConnection,
  "agent-getpeereid": noConnection,
  "agent-pkcs11": "it makes keys within a token, so the gateway cannot be told of them before",
  "agent-ptrace": noConnection,
  "agent-restrict": "it binds keys of the agent to the host keys of five servers; clients see the gateway's for all",
  "agent-subprocess": noConnection,
  "agent-timeout": noConnection,
  "cert-file": certificates,
  "cert-hostkey": hostKey,
  "cert-userkey": certificates,
  cfginclude: noConnection,
  cfgparse: noConnection,
  "conch-ciphers": "its client, of Twisted, brings no way to the gateway",
  dhgex: "group exchange, which the gateway does not offer",
  "hostkey-agent": hostKey,
  "hostkey-rotate": hostKey,
  hostbased: "it wants a machine on which root has set up host-based login",
  "keygen-change": noConnection,
  "keygen-comment": noConnection,
  "keygen-convert": noConnection,
  "keygen-knownhosts": noConnection,
  "keygen-moduli": noConnection,
  "keygen-sshfp": noConnection,
  "keys-command": needsSudo,
  keyscan: "it asks the server for its keys without logging in",
  knownhosts: hostKey,
  "knownhosts-command": hostKey,
  krl: noConnection,
  "limit-keytype": "it restricts which of a user's keys the server takes; users log in to the gateway",
  multipubkey: "it asks for two keys at one login to the server, and the gateway has one",
  percent: "it looks at which host, port and user a client was told, and the way to the gateway changes them",
  "principals-command": certificates,
  "proto-mismatch": noConnection,
  "proto-version": noConnection,
  "putty-ciphers":
    "plink starts the server as its own proxy; through the gateway it is in test/e2e/ssh/clients.test.ts",
  "putty-kex": "as putty-ciphers",
  "putty-transfer": "as putty-ciphers",
  servcfginclude: noConnection,
  "sftp-chroot": needsSudo,
  "ssh-com": "servers that nobody sells any more",
  "ssh-com-client": "as ssh-com",
  "ssh-com-keygen": "as ssh-com",
  "ssh-com-sftp": "as ssh-com",
  sshcfgparse: noConnection,
  "sshfp-connect": "it looks for the host's key in a zone of the name service that is to be set up by hand",
  sshsig: noConnection,
};

/** Files beside the scripts that are none. */
export const HARNESS: readonly string[] = [
  "scp-ssh-wrapper",
  "ssh2putty",
  "sshd-log-wrapper",
  "test-exec",
  "valgrind-unit",
];
