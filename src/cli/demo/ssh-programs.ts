/** Finds the programs of OpenSSH on this machine: a server for the demo to start, and the client that visits it. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export type SshPrograms = {
  readonly sshd: string;
  readonly keygen: string;
  readonly ssh: string;
  /** Null: files cannot be had from the server. */
  readonly sftpServer: string | null;
};

/** What to do where they are missing. */
export const SSH_ADVICE = "apt-get install openssh-server openssh-client";
/** Where sshd is, which is on no ordinary user's PATH. */
const SERVERS = ["/usr/sbin", "/usr/local/sbin", "/sbin"];
/** Where the distributions put what sshd starts for files. */
const SFTP_SERVERS = ["/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec"];

/** Null: one of those that are needed is not there. */
export function findSshPrograms(path: string): SshPrograms | null {
  const sshd = Bun.which("sshd", { PATH: [path, ...SERVERS].join(delimiter) });
  const keygen = Bun.which("ssh-keygen", { PATH: path });
  const ssh = Bun.which("ssh", { PATH: path });
  if (sshd === null || keygen === null || ssh === null) return null;
  const sftpServer = SFTP_SERVERS.map((folder) => join(folder, "sftp-server")).find((file) => existsSync(file));
  return { sshd, keygen, ssh, sftpServer: sftpServer ?? null };
}
