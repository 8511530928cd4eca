/** The tables of the log: for the writer as SQL with its seat belts, for readers as a Drizzle schema. */
import { blob, integer, sqliteTable } from "drizzle-orm/sqlite-core";

/** The log's file inside the data folder. */
export const LOG_FILE = "audit.db";
/** Marks the file as a log of weir's (`PRAGMA application_id`): "weir" in ASCII. */
export const APPLICATION_ID = 0x77656972;
/** `PRAGMA user_version`: the version of these tables. 1 had neither tiles nor checkpoints, and is brought here by whoever accepts that. */
export const SCHEMA_VERSION = 2;

/**
 * `entry` takes the next index and nothing else: no update, no replace, no gap; what lies below `head.first` may be
 * deleted, and `first` never falls. `head` is the tree's size and compact range, the last sequence of which run is in
 * the log, the lowest index of an intent without outcome, the origin of the log's checkpoints, the lowest index that is
 * not pruned, and the size up to which leaves were recomputed or written by a run that ended cleanly. `open_at` is a
 * size, and `open` the indices (8 bytes each, big-endian) of the intents below it that had no outcome then.
 */
const TABLES = `
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
`;

/** What version 2 adds to version 1. */
const SECOND = `
ALTER TABLE head ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN open_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN open BLOB NOT NULL DEFAULT x'';
CREATE TABLE tile (
  level INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
  PRIMARY KEY (level, idx)
) STRICT;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TABLE cosigned (size INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TABLE stamp (size INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, token BLOB NOT NULL) STRICT;
DROP TRIGGER entry_no_delete;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
WHEN OLD.idx >= (SELECT first FROM head)
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never deleted, but for those that were pruned'); END;
CREATE TRIGGER head_first BEFORE UPDATE OF first ON head
WHEN NEW.first < OLD.first OR NEW.first > NEW.open_from
BEGIN SELECT RAISE(ABORT, 'what was pruned from the audit log does not come back, and what is open is not pruned'); END;
CREATE TRIGGER tile_no_update BEFORE UPDATE ON tile
BEGIN SELECT RAISE(ABORT, 'tiles of the audit log are never changed'); END;
CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile
BEGIN SELECT RAISE(ABORT, 'tiles of the audit log are never deleted'); END;
`;

/** Inside a transaction: makes the tables in an empty file. */
export const CREATE = `${TABLES}${SECOND}
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;
/** Inside a transaction: brings a file of version 1 here. The tiles of its entries are still to be made. */
export const FROM_FIRST = `${SECOND}
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** How many triggers there are, in version 1 and now. */
export const TRIGGERS_OF_FIRST = 3;
export const TRIGGERS = 6;

export const entry = sqliteTable("entry", {
  idx: integer("idx").primaryKey(),
  leaf: blob("leaf", { mode: "buffer" }).notNull(),
  hash: blob("hash", { mode: "buffer" }).notNull(),
});
