/** The tables of recordings.db: what was recorded, in which pieces, and the keys that only auditors can open. */

/** The file inside the data folder. */
export const RECORDINGS_FILE = "recordings.db";
/** Marks the file (`PRAGMA application_id`): "weiR" in ASCII. */
export const APPLICATION_ID = 0x77656952;
/** `PRAGMA user_version`: the version of these tables. */
export const SCHEMA_VERSION = 1;

/**
 * `segment.sha256` is of what `data` holds: JSON lines or asciicast lines in `clear`, an age file in `sealed`.
 * `wrapped_key` holds an age file to `audit.seal.recipients` with the identity that opens the recording's sealed
 * segments; without its row nobody can. `logged` is 0 until the row's event is durable in the log: 1 of a recording
 * says that its beginning is, 2 its end.
 */
export const DDL = `
CREATE TABLE recording (
  id TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('transcript', 'asciicast')),
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  target TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  recipient TEXT,
  ended_ms INTEGER,
  reason TEXT,
  logged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX recording_session ON recording (session);
CREATE INDEX recording_started ON recording (started_ms);
CREATE INDEX recording_owed ON recording (id) WHERE logged < 2;
CREATE TABLE segment (
  recording TEXT NOT NULL,
  stream TEXT NOT NULL CHECK (stream IN ('clear', 'sealed')),
  number INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  bytes INTEGER NOT NULL,
  data BLOB NOT NULL,
  logged INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (recording, stream, number)
) STRICT;
CREATE INDEX segment_owed ON segment (recording, stream, number) WHERE logged = 0;
CREATE TABLE wrapped_key (
  recording TEXT PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;
