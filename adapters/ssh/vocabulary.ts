/** The words of SSH that policy may use under `action.ssh`; README.md says which operation has which of them. */
import { OBLIGATION_KINDS } from "../../src/core/obligation.ts";
import type { Vocabulary } from "../../src/core/vocabulary.ts";

/** What is asked of a connection, by the names of RFC 4254 and OpenSSH without `@openssh.com`, `-req` and the like. */
const CHANNELS = [
  "exec",
  "shell",
  "pty",
  "sftp",
  /** Any subsystem but sftp. */
  "subsystem",
  "direct-tcpip",
  "tcpip-forward",
  "direct-streamlocal",
  "streamlocal-forward",
  "agent-forward",
  "x11",
] as const;

export const SSH_VOCABULARY: Vocabulary = {
  name: "ssh",
  keys: {
    logins: { kind: "names", description: "Accounts on the target that sessions log in to.", ofSession: true },
    channels: { kind: "enum", description: "What is asked of the connection.", values: CHANNELS },
    programs: {
      kind: "names",
      description: "Programs that a command runs, as the command names them.",
      looseWithout: "argv",
      // A program is the same by whichever way it is reached, and some targets' files are the same in capitals.
      guardsSeeFolders: true,
      guardsIgnoreCase: true,
    },
    argv: {
      kind: "argv",
      description:
        "Commands word by word. A pattern's `*` matches no word that begins with a hyphen; a nested list is one of several words.",
    },
    paths: {
      kind: "path",
      description: "Files on the target, as absolute paths: of SFTP, of redirections, of programs that are known.",
    },
    forwards: {
      kind: "names",
      description: "Where forwarded connections lead, as `host:port`, or the path of a socket.",
      permitsMustName: true,
    },
  },
  sets: {},
  keeps: OBLIGATION_KINDS,
  masks: ["classifiers", "patterns"],
  maskChanges: (transform) =>
    transform.with === "hash"
      ? [{ from: "hash", to: "redact", because: "there is no key of a hash where output passes" }]
      : [],
  // What is typed holds passwords.
  sealedInput: { key: "channels", values: ["shell", "pty"], what: "terminals" },
};
