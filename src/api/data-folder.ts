/** The data folder: made on first use, open to its owner only, and used by one gateway at a time. */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { join, relative } from "node:path";
import Database from "libsql";

const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;
/** How the names of weir's files in the folder begin. */
const OWN_FILES = [
  "audit.",
  "cosigner.",
  "gateway.",
  "identity.",
  "keys",
  "lock",
  "log.",
  "search.",
  "weir.sock",
  "witness.",
];
/** What the kernel takes as the address of a local socket, its closing NUL apart (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

/** The data folder cannot be used; the message says why and what to do. */
class DataFolderError extends Error {
  readonly code = "DATA_FOLDER";
}

/** Another weir holds the data folder. */
export class DataFolderInUse extends Error {
  readonly code = "DATA_FOLDER_IN_USE";
}

/** Held until it is released, or the process ends, however it ends; whoever holds it must keep this value. */
export type DataFolderLock = { release(): void };

/** Makes the folder when it is not there. Throws DataFolderError when it cannot be the owner's only. */
export function prepareDataFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
    const stat = statSync(folder);
    if (!stat.isDirectory()) throw new DataFolderError(`${folder} is not a folder; name another with \`data\``);
    if (process.getuid !== undefined && stat.uid !== process.getuid()) {
      throw new DataFolderError(
        `${folder} belongs to another user; start weir as its owner, or name another with \`data\``,
      );
    }
    if ((stat.mode & 0o077) === 0) return;
    // A folder made for this, or one that was weir's already, is closed; one that others use too is left alone.
    if (!readdirSync(folder).every((name) => OWN_FILES.some((own) => name.startsWith(own)))) {
      throw new DataFolderError(
        `${folder} is open to others and holds files that are not weir's; name a folder of its own with \`data\``,
      );
    }
    chmodSync(folder, PRIVATE_FOLDER);
  } catch (error) {
    throw error instanceof DataFolderError
      ? error
      : new DataFolderError(`${folder} cannot be used: ${reasonOf(error)}`);
  }
}

/** Takes the folder for this process. Throws DataFolderInUse when another one has it. */
export function lockDataFolder(folder: string): DataFolderLock {
  const path = join(folder, "lock");
  let database: Database.Database;
  try {
    if (!existsSync(path)) closeSync(openSync(path, "a", PRIVATE_FILE));
    database = new Database(path, { timeout: 0 });
  } catch (error) {
    throw new DataFolderError(`${path} cannot be used: ${reasonOf(error)}`);
  }
  try {
    // The kernel takes the lock back from a process that dies, so that none is ever stale.
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") {
      throw new DataFolderInUse(
        `another weir uses ${folder}; stop it, or give this one a folder of its own with \`data\``,
      );
    }
    throw new DataFolderError(`${path} cannot be locked: ${reasonOf(error)}`);
  }
  return { release: () => database.close() };
}

/** Where a running gateway listens for its owner: the shorter of the absolute and the relative path, as sockets need. */
export function socketPath(folder: string): string {
  const path = join(folder, "weir.sock");
  const fromHere = relative(process.cwd(), path);
  const shorter = Buffer.byteLength(fromHere) < Buffer.byteLength(path) ? fromHere : path;
  if (Buffer.byteLength(shorter) > SOCKET_PATH_BYTES_MAX) {
    throw new DataFolderError(
      `${path} is too long for a local socket (${SOCKET_PATH_BYTES_MAX} bytes); name a shorter \`data\` folder`,
    );
  }
  return shorter;
}

/** Removes a socket that a gateway left behind; only for the holder of the lock. */
export function removeStaleSocket(folder: string): void {
  try {
    unlinkSync(socketPath(folder));
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") throw error;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!("code" in error)) return error.message;
  if (error.code === "EACCES" || error.code === "EPERM") return "permission denied";
  if (error.code === "ENOSPC") return "the disk is full";
  return error.message;
}
