/** One gateway per log: a lock that lives as long as the process and dies with it, however it dies. */
import Database from "libsql";

/**
 * An exclusive transaction on a side file, held for life. The system drops its file lock when the process ends, and
 * SQLite's own bookkeeping keeps a second log in the same process out. The log itself stays open to readers.
 */
export class LogLock {
  readonly #database: Database.Database;

  /** Throws when another gateway, in this process or another, holds the lock, or there is no room for it. */
  constructor(path: string) {
    this.#database = new Database(path);
    try {
      this.#database.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      this.#database.close();
      const isHeld = error instanceof Error && "code" in error && error.code === "SQLITE_BUSY";
      const why = isHeld ? `is in use: another weir holds ${path}` : `cannot be opened: ${path} cannot be locked`;
      throw new Error(`the audit log ${why} (${String(error)})`, { cause: error });
    }
  }

  release(): void {
    this.#database.exec("ROLLBACK");
    this.#database.close();
  }
}
