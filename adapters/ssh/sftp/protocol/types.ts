/** The numbers of SFTP version 3 (draft-ietf-secsh-filexfer-02, https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02). */

/** The version that is spoken on both sides. */
export const VERSION = 3;

/** Section 3: the types of packets. */
export const FXP = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const;

/** Section 7: what a STATUS says. */
export const FX = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  opUnsupported: 8,
} as const;

const FX_NAMES = [
  "SSH_FX_OK",
  "SSH_FX_EOF",
  "SSH_FX_NO_SUCH_FILE",
  "SSH_FX_PERMISSION_DENIED",
  "SSH_FX_FAILURE",
  "SSH_FX_BAD_MESSAGE",
  "SSH_FX_NO_CONNECTION",
  "SSH_FX_CONNECTION_LOST",
  "SSH_FX_OP_UNSUPPORTED",
] as const;

/** As the draft writes it; what it does not know, by its number. */
export function statusName(code: number): string {
  return FX_NAMES[code] ?? `SSH_FX_${code}`;
}

/** Section 6.3: how a file is opened. */
export const OPEN = { read: 0x01, write: 0x02, append: 0x04, create: 0x08, truncate: 0x10, exclusive: 0x20 } as const;
/** All of them. */
export const OPEN_ALL = 0x3f;

/** Section 5: which attributes follow. */
export const ATTR = {
  size: 0x01,
  owner: 0x02,
  permissions: 0x04,
  times: 0x08,
  extended: 0x8000_0000,
} as const;

/** The file's kind in its permissions (POSIX `S_IFMT`), that of a folder, and that of a symbolic link. */
export const KIND_BITS = 0xf000;
export const KIND_FOLDER = 0x4000;
export const KIND_SYMLINK = 0xa000;

/** Extensions that are understood (OpenSSH's PROTOCOL file, section 4), with the version of each that is spoken. */
export const EXTENSIONS = {
  "posix-rename@openssh.com": "1",
  "statvfs@openssh.com": "2",
  "fstatvfs@openssh.com": "2",
  "hardlink@openssh.com": "1",
  "fsync@openssh.com": "1",
  "lsetstat@openssh.com": "1",
  "limits@openssh.com": "1",
  "expand-path@openssh.com": "1",
  "copy-data": "1",
  "home-directory": "1",
  "users-groups-by-id@openssh.com": "1",
} as const satisfies Readonly<Record<string, string>>;

export type Extension = keyof typeof EXTENSIONS;

export function isExtension(name: string): name is Extension {
  return Object.hasOwn(EXTENSIONS, name);
}
