/** One gateway per log: a lock that lives as long as the process and dies with it, however it dies. */
import Database from "libsql";

/**
 * An exclusive transaction on a side file, held for life. The system drops its file lock when the process ends, and
 * SQLite's own bookkeeping keeps a second log in the same process out. The log itself stays open to readers.
 */
export class LogLock {
  readonly #database: Database.Database;

  /** Throws when another gateway, in this process or another, holds the lock. */
  constructor(path: string) {
    this.#database = new Database(path);
    try {
      this.#database.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      this.#database.close();
      throw new Error(`the audit log is in use: another weir holds ${path} (${String(error)})`, { cause: error });
    }
  }

  release(): void {
    this.#database.exec("ROLLBACK");
    this.#database.close();
  }
}
