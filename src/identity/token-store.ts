/** Where tokens are kept: a libSQL file in the data folder, with a view in memory that logins and operations are checked against. */
import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import type { Identity, SubjectKind } from "../core/identity.ts";
import type { TimeMs } from "../core/session.ts";
import { messageOf } from "../core/message-of.ts";
import { StoreError } from "./store-error.ts";
import { formatToken, newToken } from "./token.ts";
import { hashSecret, openTokenKey } from "./token-key.ts";

/** The issuer of every identity that a weir token proves. */
export const TOKEN_ISSUER = "weir";
/** The gateway's own name in the record; no token may carry it. */
const RESERVED_SUBJECT = "gateway";

const SCHEMA_VERSION = 1;
const BUSY_TIME_MS_MAX = 250;
/** The view is read again at least this often, which is what makes a revocation by another process count. */
const VIEW_AGE_MS_MAX = 1_000;
const TOKENS_MAX = 100_000;
const GROUPS_MAX = 64;
const GROUP_CHARS_MAX = 128;
const NAME_CHARS_MAX = 63;
/** Tokens that ended longer ago are forgotten. */
const KEPT_AFTER_END_MS = 30 * 86_400_000;

/** A token as it is kept; its secret is not part of it. */
export type TokenRecord = {
  readonly id: string;
  readonly subject: string;
  readonly kind: SubjectKind;
  readonly groups: readonly string[];
  readonly owner: string | null;
  readonly createdAtMs: TimeMs;
  /** Null: never. */
  readonly expiresAtMs: TimeMs | null;
  /** Null: not revoked. */
  readonly revokedAtMs: TimeMs | null;
};

export type NewToken = Pick<TokenRecord, "subject" | "kind" | "groups" | "owner" | "expiresAtMs">;

/** What a login is checked against. */
export type KnownToken = { readonly record: TokenRecord; readonly hash: Uint8Array; readonly identity: Identity };

const rowSchema = v.object({
  id: v.string(),
  // libsql gives a BLOB as the one or the other, depending on the call.
  hash: v.union([v.instance(ArrayBuffer), v.instance(Uint8Array)]),
  subject: v.string(),
  kind: v.picklist(["human", "agent", "service"]),
  groups: v.pipe(v.string(), v.parseJson(), v.array(v.string())),
  owner: v.nullable(v.string()),
  created_ms: v.number(),
  expires_ms: v.nullable(v.number()),
  revoked_ms: v.nullable(v.number()),
});
const versionSchema = v.object({ user_version: v.number() });
const changeSchema = v.object({ data_version: v.number() });
const countSchema = v.object({ count: v.number() });

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS token (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    subject TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('human', 'agent', 'service')),
    groups TEXT NOT NULL,
    owner TEXT,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
  ) STRICT`;

/** All calls are synchronous and take microseconds, but for writes, which wait for the disk. */
export class TokenStore {
  readonly #path: string;
  readonly #database: Database.Database;
  readonly #key: Uint8Array;
  readonly #dataVersion: Database.Statement;
  readonly #inode: number;
  #known = new Map<string, KnownToken>();
  #seenVersion = -1;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #isOpen = true;

  /** Opens the store in a data folder that exists, and makes what is not there. Throws StoreError. */
  static open(folder: string): TokenStore {
    const path = join(folder, "identity.db");
    try {
      return new TokenStore(folder, path);
    } catch (error) {
      throw error instanceof StoreError ? error : new StoreError(`${path} cannot be used: ${messageOf(error)}`);
    }
  }

  private constructor(folder: string, path: string) {
    this.#path = path;
    // Made here first, so that it and the files SQLite puts beside it are the owner's only.
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    this.#inode = statSync(path).ino;
    this.#database = new Database(path, { timeout: BUSY_TIME_MS_MAX });
    try {
      this.#database.pragma("journal_mode = WAL");
      this.#database.pragma("synchronous = FULL");
      const version = v.parse(versionSchema, this.#database.prepare("PRAGMA user_version").get()).user_version;
      if (version > SCHEMA_VERSION) throw new StoreError(`${path} was written by a newer weir; use that one`);
      if (version < SCHEMA_VERSION) {
        this.#database.exec(CREATE_TABLE);
        this.#database.pragma(`user_version = ${SCHEMA_VERSION}`);
      }
      this.#key = openTokenKey(join(folder, "identity.key"), this.#count() === 0);
      this.#dataVersion = this.#database.prepare("PRAGMA data_version");
      this.refresh();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Makes a token; the text is not kept and cannot be had again. */
  create(wanted: NewToken, now: TimeMs): { readonly text: string; readonly record: TokenRecord } {
    checkWanted(wanted, now);
    this.#forgetEnded(now - KEPT_AFTER_END_MS);
    if (this.#count() >= TOKENS_MAX) throw new StoreError(`there are ${TOKENS_MAX} tokens, the limit; revoke some`);
    const token = newToken();
    const { subject, kind, owner, expiresAtMs } = wanted;
    const groups = [...new Set(wanted.groups)].toSorted();
    this.#database
      .prepare("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)")
      .run(
        token.id,
        Buffer.from(hashSecret(this.#key, token.id, token.secret)),
        subject,
        kind,
        JSON.stringify(groups),
        owner,
        now,
        expiresAtMs,
      );
    const known = this.#readOne(token.id);
    if (known === undefined) throw new StoreError(`${this.#path} did not keep the token`);
    return { text: formatToken(token), record: known.record };
  }

  /** Ends a token at once. Null when there is none of that id; a revoked one stays as it is. */
  revoke(id: string, now: TimeMs): TokenRecord | null {
    this.#database.prepare("UPDATE token SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL").run(now, id);
    return this.#readOne(id)?.record ?? null;
  }

  /** All tokens, the oldest first. */
  list(): TokenRecord[] {
    this.refresh();
    return [...this.#known.values()].map((known) => known.record).toSorted((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /** The token of an id, from a view that is at most VIEW_AGE_MS_MAX old. Throws StoreError when there is no such view. */
  find(id: string): KnownToken | undefined {
    if (performance.now() - this.#readAtMs > VIEW_AGE_MS_MAX) this.refresh();
    return this.#known.get(id);
  }

  /** The hash that the secret of a token must have. */
  hash(id: string, secret: string): Uint8Array {
    return hashSecret(this.#key, id, secret);
  }

  /** Reads the view again when somebody else has changed the file. Throws StoreError when the file is gone. */
  refresh(): void {
    if (!this.#isOpen) throw new StoreError(`${this.#path} is closed`);
    try {
      // A file that was moved away or replaced would go on answering from the old one.
      if (statSync(this.#path).ino !== this.#inode) throw new StoreError(`${this.#path} was replaced; restart weir`);
      const version = v.parse(changeSchema, this.#dataVersion.get()).data_version;
      if (version === this.#seenVersion) this.#readAtMs = performance.now();
      else {
        this.#read();
        this.#seenVersion = version;
      }
    } catch (error) {
      throw error instanceof StoreError ? error : new StoreError(`${this.#path} cannot be read: ${messageOf(error)}`);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#known.clear();
    this.#readAtMs = Number.NEGATIVE_INFINITY;
    this.#database.close();
  }

  #count(): number {
    return v.parse(countSchema, this.#database.prepare("SELECT count(*) AS count FROM token").get()).count;
  }

  #forgetEnded(before: TimeMs): void {
    const { changes } = this.#database
      .prepare("DELETE FROM token WHERE expires_ms < ? OR revoked_ms < ?")
      .run(before, before);
    if (changes > 0) this.#read();
  }

  /** Brings one token of the view up to date; what this process writes does not change the version that refresh() looks at. */
  #readOne(id: string): KnownToken | undefined {
    const row = this.#database.prepare("SELECT * FROM token WHERE id = ?").get(id);
    if (row === undefined) return undefined;
    const token = knownToken(v.parse(rowSchema, row));
    this.#known.set(id, token);
    return token;
  }

  #read(): void {
    const known = new Map<string, KnownToken>();
    for (const row of this.#database.prepare("SELECT * FROM token").all()) {
      const token = knownToken(v.parse(rowSchema, row));
      known.set(token.record.id, token);
    }
    this.#known = known;
    this.#readAtMs = performance.now();
  }
}

function knownToken(row: v.InferOutput<typeof rowSchema>): KnownToken {
  const record: TokenRecord = {
    id: row.id,
    subject: row.subject,
    kind: row.kind,
    groups: row.groups,
    owner: row.owner,
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms,
    revokedAtMs: row.revoked_ms,
  };
  const identity: Identity = {
    kind: row.kind,
    issuer: TOKEN_ISSUER,
    subject: row.subject,
    groups: row.groups,
    ...(row.owner === null ? {} : { owner: row.owner }),
    proof: { method: "token", credential: row.id, expiresAtMs: row.expires_ms },
  };
  return { record, hash: new Uint8Array(row.hash), identity };
}

function checkWanted(wanted: NewToken, now: TimeMs): void {
  if (!isName(wanted.subject)) {
    throw new StoreError(`the subject must be made of a-z, 0-9 and "-", at most ${NAME_CHARS_MAX}`);
  }
  if (wanted.subject === RESERVED_SUBJECT) {
    throw new StoreError(`the subject "${RESERVED_SUBJECT}" is the gateway itself`);
  }
  if (wanted.owner !== null && !isName(wanted.owner)) {
    throw new StoreError(`the owner must be made of a-z, 0-9 and "-", at most ${NAME_CHARS_MAX}`);
  }
  if (wanted.groups.length > GROUPS_MAX) throw new StoreError(`a token carries at most ${GROUPS_MAX} groups`);
  for (const group of wanted.groups) {
    if (!isGroup(group)) {
      throw new StoreError(`a group is made of letters, digits and - _ . : / @, at most ${GROUP_CHARS_MAX} characters`);
    }
  }
  if (wanted.expiresAtMs !== null && wanted.expiresAtMs <= now) {
    throw new StoreError("a token must not expire before it begins");
  }
}

function isName(text: string): boolean {
  return isMadeOf(text, NAME_CHARS_MAX, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

function isGroup(text: string): boolean {
  return isMadeOf(text, GROUP_CHARS_MAX, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@");
}

function isMadeOf(text: string, charsMax: number, alphabet: string): boolean {
  if (text.length === 0 || text.length > charsMax) return false;
  for (const char of text) if (!alphabet.includes(char)) return false;
  return true;
}
