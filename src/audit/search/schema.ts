/** The tables of the search index, a side file of the log that proves nothing and can be made again from the log at any time. */

/** The index's file inside the data folder, and the one that whoever writes it holds locked. */
export const SEARCH_FILE = "search.db";
export const SEARCH_LOCK_FILE = "search.lock";
/** Marks the file (`PRAGMA application_id`): "weis" in ASCII. */
export const SEARCH_APPLICATION_ID = 0x77656973;
/** `PRAGMA user_version`. A file of another version is made again; so is one whose words were chosen in another way. */
export const SEARCH_VERSION = 2;

/** Entries are kept by stretches of this many: an entry's place in its stretch fits into two bytes. */
export const STRETCH_ENTRIES = 16_384;
/** One entry of the stretch that is not full yet: its time (float64), who, what and session (uint32), little-endian. */
export const TAIL_ITEM_BYTES = 20;
/** Where in it what it says stands. */
export const TAIL_WHAT_AT = 12;
/** The parts of a full stretch, by their number in it. */
export const PART_PAIRS = 0;
export const PART_SESSIONS = 1;
export const PART_TIMES = 2;
export const PARTS = 3;

/** Ids of one stretch are spread over this many rows by the upper bits of their hashes. */
export const ID_BUCKETS = 128;
/** One id in a row: a uint32 (its hash) and a uint16 (its entry's place in the stretch), both little-endian. */
export const ID_ITEM_BYTES = 6;

/**
 * What entries have in common stands once: whose they are (`who`: subject, issuer, target) and what they say (`what`:
 * event, decision, rules, outcome, and the words of all that). There are few of either, and words and conditions are
 * looked up among these. A full stretch has a dictionary of those that occur in it (`dict`: how many of who, what and
 * session, then their numbers, all uint32), and in `part` one column of uint16 for each, which say for each entry which
 * of the dictionary it is (`PART_PAIRS`: who, then what), and one of times (float64). A search goes through
 * dictionaries, and reads columns only where something can match. Entries of the last stretch are in `tail` until it
 * is full. `ident` leads from an operation's id to its entries.
 */
export const SEARCH_DDL = `
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  first INTEGER NOT NULL,
  first_hash BLOB NOT NULL,
  size INTEGER NOT NULL,
  last_hash BLOB NOT NULL,
  recordings INTEGER NOT NULL
) STRICT;
CREATE TABLE who (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  subject TEXT,
  issuer TEXT,
  target TEXT,
  words TEXT NOT NULL
) STRICT;
CREATE INDEX who_subject ON who (subject);
CREATE INDEX who_target ON who (target);
CREATE TABLE what (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  event TEXT NOT NULL,
  decision TEXT,
  refusal TEXT,
  status TEXT,
  rules TEXT NOT NULL,
  words TEXT NOT NULL
) STRICT;
CREATE INDEX what_event ON what (event);
CREATE TABLE rule (name TEXT NOT NULL, what INTEGER NOT NULL, PRIMARY KEY (name, what)) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE who_word USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0');
CREATE VIRTUAL TABLE what_word USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0');
CREATE TABLE session (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  house INTEGER NOT NULL,
  subject TEXT,
  issuer TEXT,
  subject_kind TEXT,
  target TEXT,
  adapter TEXT,
  source TEXT,
  through_session TEXT,
  through_operation TEXT,
  opened_ms REAL NOT NULL,
  ended_ms REAL,
  ended_status TEXT,
  permitted INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  rows INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  recordings INTEGER NOT NULL DEFAULT 0,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL
) STRICT;
CREATE INDEX session_opened ON session (house, opened_ms);
CREATE INDEX session_subject ON session (house, subject, opened_ms);
CREATE INDEX session_target ON session (house, target, opened_ms);
CREATE INDEX session_both ON session (house, subject, target, opened_ms);
CREATE INDEX session_through_session ON session (through_session) WHERE through_session IS NOT NULL;
CREATE INDEX session_through_operation ON session (through_operation) WHERE through_operation IS NOT NULL;
CREATE INDEX session_open ON session (house, opened_ms) WHERE ended_ms IS NULL;
CREATE TABLE stretch (number INTEGER PRIMARY KEY, from_ms REAL NOT NULL, to_ms REAL NOT NULL, dict BLOB) STRICT;
CREATE TABLE part (number INTEGER PRIMARY KEY, items BLOB NOT NULL) STRICT;
CREATE TABLE tail (first INTEGER PRIMARY KEY, items BLOB NOT NULL) STRICT;
CREATE TABLE ident (number INTEGER PRIMARY KEY, items BLOB NOT NULL) STRICT;
PRAGMA application_id = ${SEARCH_APPLICATION_ID};
PRAGMA user_version = ${SEARCH_VERSION};
`;

/** The hash under which an id is listed: FNV-1a of 32 bits over its UTF-16 units. What it finds is compared with the leaf. */
export function idHash(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) {
    const unit = id.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

/** The row of `ident` that has a hash of one stretch. */
export function idRow(stretch: number, hash: number): number {
  return stretch * ID_BUCKETS + (hash >>> 25);
}

/** Text as the index keeps it and is asked for it: valid Unicode without NUL, which SQLite's texts cannot hold. */
export function storable(text: string): string {
  // Nearly all of it is.
  if (text.isWellFormed() && !text.includes("\0")) return text;
  return text.toWellFormed().replaceAll("\0", "\u{fffd}");
}
