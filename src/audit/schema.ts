/** The tables of the log: for the writer as SQL with its seat belts, for readers as a Drizzle schema. */
import { blob, integer, sqliteTable } from "drizzle-orm/sqlite-core";

/** The log's file inside the data folder. */
export const LOG_FILE = "audit.db";
/** Marks the file as a log of weir's (`PRAGMA application_id`): "weir" in ASCII. */
export const APPLICATION_ID = 0x77656972;
/** `PRAGMA user_version`: the version of these tables. */
export const SCHEMA_VERSION = 1;

/**
 * `entry` takes the next index and nothing else: no update, no delete, no replace, no gap. `head` is the tree's size
 * and compact range, the last sequence of which run is in the log, and the lowest index of an intent without outcome.
 */
export const DDL = `
CREATE TABLE entry (
  idx INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL CHECK (length(leaf) BETWEEN 1 AND 65535),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  stack BLOB NOT NULL,
  boot TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  open_from INTEGER NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, x'', '', 0, 0);
CREATE TRIGGER entry_dense BEFORE INSERT ON entry
WHEN NEW.idx IS NOT (SELECT coalesce(max(idx) + 1, 0) FROM entry)
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are only ever appended'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never deleted'); END;
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** How many triggers there are. */
export const TRIGGERS = 3;

export const entry = sqliteTable("entry", {
  idx: integer("idx").primaryKey(),
  leaf: blob("leaf", { mode: "buffer" }).notNull(),
  hash: blob("hash", { mode: "buffer" }).notNull(),
});
