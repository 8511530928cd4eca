/** The tables of the shared copy on a libSQL server: of every gateway that ships there, told apart by the origin of its log. */

/** In `weir_copy`: the version of these tables. */
export const COPY_VERSION = 1;

/**
 * What an entry is found by is what the search index of a gateway keeps of it: entries that are alike (the same event,
 * subject, target, decision, rules and words) share one row of `weir_kind`, whose id is made of its content;
 * `weir_word` finds them by their words. `role` is 1
 * for the entry that opens its session, 2 for the one that ends it, 3 for one that does both. The trigger on entries refuses another one at a taken index.
 */
export const COPY_DDL: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS weir_copy (version INTEGER PRIMARY KEY) STRICT",
  `CREATE TABLE IF NOT EXISTS weir_kind (
    id INTEGER PRIMARY KEY, event TEXT NOT NULL, subject TEXT, issuer TEXT, target TEXT, decision TEXT, refusal TEXT,
    status TEXT, rules TEXT NOT NULL, words TEXT NOT NULL) STRICT`,
  "CREATE VIRTUAL TABLE IF NOT EXISTS weir_word USING fts5 (words, content = '', tokenize = 'unicode61 remove_diacritics 0')",
  `CREATE TRIGGER IF NOT EXISTS weir_kind_words AFTER INSERT ON weir_kind
   BEGIN INSERT INTO weir_word (rowid, words) VALUES (NEW.id, NEW.words); END`,
  `CREATE TABLE IF NOT EXISTS weir_entry (
    origin TEXT NOT NULL, idx INTEGER NOT NULL, leaf BLOB NOT NULL, hash BLOB NOT NULL, time_ms REAL NOT NULL,
    kind INTEGER NOT NULL, session TEXT, role INTEGER, rows REAL, bytes REAL, PRIMARY KEY (origin, idx)) STRICT, WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS weir_entry_time ON weir_entry (time_ms)",
  "CREATE INDEX IF NOT EXISTS weir_entry_kind ON weir_entry (kind, time_ms)",
  "CREATE INDEX IF NOT EXISTS weir_entry_session ON weir_entry (session, origin) WHERE session IS NOT NULL",
  "CREATE INDEX IF NOT EXISTS weir_entry_role ON weir_entry (role, time_ms) WHERE role IS NOT NULL",
  `CREATE TRIGGER IF NOT EXISTS weir_entry_fork BEFORE INSERT ON weir_entry
   WHEN EXISTS (SELECT 1 FROM weir_entry WHERE origin = NEW.origin AND idx = NEW.idx AND hash IS NOT NEW.hash)
   BEGIN SELECT RAISE(ABORT, 'weir: another entry is there'); END`,
  `CREATE TABLE IF NOT EXISTS weir_tile (
    origin TEXT NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY (origin, level, idx)) STRICT, WITHOUT ROWID`,
  ...["checkpoint", "cosigned", "stamp"].map(
    (name) => `CREATE TABLE IF NOT EXISTS weir_${name} (
      origin TEXT NOT NULL, size INTEGER NOT NULL, time_ms INTEGER NOT NULL, note BLOB NOT NULL,
      PRIMARY KEY (origin, size)) STRICT, WITHOUT ROWID`,
  ),
  `CREATE TABLE IF NOT EXISTS weir_recording (
    origin TEXT NOT NULL, id TEXT NOT NULL, session TEXT NOT NULL, kind TEXT NOT NULL, issuer TEXT NOT NULL,
    subject TEXT NOT NULL, target TEXT NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER,
    PRIMARY KEY (origin, id)) STRICT`,
  `CREATE TABLE IF NOT EXISTS weir_segment (
    origin TEXT NOT NULL, recording TEXT NOT NULL, stream TEXT NOT NULL, number INTEGER NOT NULL,
    started_ms INTEGER NOT NULL, sha256 BLOB NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (origin, recording, stream, number)) STRICT`,
  `CREATE TABLE IF NOT EXISTS weir_wrapped_key (
    origin TEXT NOT NULL, recording TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (origin, recording)) STRICT`,
  `INSERT OR IGNORE INTO weir_copy VALUES (${COPY_VERSION})`,
];
