/** The copy in S3-compatible storage: the log as C2SP tlog-tiles lays it out, with stamps and recordings beside it. */
import { entriesPath, fullTiles, TILE_WIDTH, tilePath } from "../tiles.ts";
import { CopyForked, ShipError } from "./bounded-fetch.ts";
import { checkpointIn, conflictOf } from "./copied-checkpoint.ts";
import type { Destination, SeenCopy, SeenLog, Source, SourceNote, Step } from "./destination.ts";
import { namedSegment, recordedEvent, type RecordedEvent, strangeSegment } from "./recorded-events.ts";
import { type BucketPlace, S3Bucket } from "./s3-bucket.ts";

export type S3Place = BucketPlace & {
  /** Before the origin in every key; may be empty. */
  readonly prefix: string;
  /** How long what is put there is locked; null: it is not. */
  readonly lockMs: number | null;
};

/** A checkpoint takes the tiles at the right edge along, which are not full yet; so it is not published more often than this. */
const PUBLISH_MS_MIN = 60_000;
/** Entries between two checkpoints that are published while there is much to do. */
const ROUND_ENTRIES = 64 * TILE_WIDTH;
const ENTRIES_AT_ONCE = 256;
/** Entries have up to 64 KiB, and so a bundle up to 16 MiB: few at a time. */
const PUTS_AT_ONCE = 4;
const NOTE_BYTES_MAX = 64 * 1024;
const BUNDLE_BYTES_MAX = TILE_WIDTH * (65_535 + 2);
/** Stamps that are looked for in the copy, from the newest back, until one is there. */
const STAMPS_LOOKED_FOR_MAX = 1000;

const BYTES = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";

/** What is known of the copy. */
type Published = {
  /** That its checkpoint is of. */
  size: number;
  /** Its checkpoint; null: it has none. */
  note: Uint8Array | null;
  /** Null: it was here before us. */
  monoMs: number | null;
  stampsTo: number;
};

export class S3Copy implements Destination {
  readonly name = "s3";
  readonly where: string;
  readonly #bucket: S3Bucket;
  readonly #place: S3Place;
  readonly #publishMsMin: number;
  #published: Published | null = null;
  /** Why keys of recordings are not copied; null: they are. */
  #keysCaveat: string | null = null;
  #strange: string | null = null;
  #mayDelete = true;

  constructor(place: S3Place, options: { readonly publishMsMin?: number } = {}) {
    this.#place = place;
    this.#bucket = new S3Bucket(place);
    this.where = `${this.#bucket.where}${place.prefix === "" ? "" : `/${place.prefix}`}`;
    this.#publishMsMin = options.publishMsMin ?? PUBLISH_MS_MIN;
  }

  get caveat(): string | null {
    return this.#strange ?? this.#keysCaveat;
  }

  async step(source: Source, isLast: boolean): Promise<Step> {
    try {
      this.#published ??= await this.#resume(source);
      return await this.#ship(source, this.#published, isLast);
    } catch (error) {
      this.#published = null;
      throw error;
    }
  }

  async seen(log: SeenLog): Promise<SeenCopy> {
    const { origin } = log;
    const note = await this.#bucket.get(this.#key(log, "checkpoint"), NOTE_BYTES_MAX);
    if (note === null) return { size: 0, conflict: null };
    const checkpoint = checkpointIn(note);
    if (checkpoint === null) throw new ShipError("the object `checkpoint` there is no checkpoint");
    const { size } = checkpoint;
    if (checkpoint.origin !== origin) {
      return { size, conflict: `the checkpoint there is of ${JSON.stringify(checkpoint.origin)}, not of ${origin}` };
    }
    return { size, conflict: conflictOf(checkpoint, log) };
  }

  async #resume(source: Source): Promise<Published> {
    const { size, conflict } = await this.seen(source);
    if (conflict !== null) throw new CopyForked(conflict);
    const lock = await this.#bucket.defaultLock();
    if (lock === "none") this.#keysCaveat = null;
    else {
      const why =
        lock === "locked" ? "the bucket locks all objects" : "the bucket does not say whether it locks objects";
      this.#keysCaveat = `keys of recordings are not copied, because ${why} and a locked key could not be deleted`;
    }
    const note = size === 0 ? null : await this.#bucket.get(this.#key(source, "checkpoint"), NOTE_BYTES_MAX);
    return { size, note, monoMs: null, stampsTo: await this.#stampsTo(source, size) };
  }

  /** The size from which on stamps are not there yet. */
  async #stampsTo(source: Source, size: number): Promise<number> {
    let at = size;
    for (let looked = 0; looked < STAMPS_LOOKED_FOR_MAX; looked++) {
      const stamp = source.lastNote("stamp", at);
      if (stamp === null) break;
      if ((await this.#bucket.head(this.#key(source, stampPath(stamp.size)))) !== null) return stamp.size + 1;
      at = stamp.size - 1;
    }
    return 0;
  }

  async #ship(source: Source, published: Published, isLast: boolean): Promise<Step> {
    const next = this.#nextCheckpoint(source, published.size);
    const isDue =
      next !== null &&
      (isLast ||
        published.monoMs === null ||
        fullTiles(next.size, 0) - fullTiles(published.size, 0) >= ROUND_ENTRIES / TILE_WIDTH ||
        performance.now() - published.monoMs >= this.#publishMsMin);
    if (next !== null && isDue) await this.#publish(source, published, next);
    await this.#improve(source, published);
    const isMore = isDue && this.#nextCheckpoint(source, published.size) !== null;
    return { size: published.size, isMore: isMore && source.size - published.size > ROUND_ENTRIES };
  }

  /** The checkpoint to publish after one of this size: the last within a round, or else the first behind it. */
  #nextCheckpoint(source: Source, size: number): SourceNote | null {
    const last = source.lastNote("checkpoint", size + ROUND_ENTRIES);
    if (last !== null && last.size > size) return last;
    return source.notes("checkpoint", size + 1, source.size, 1)[0] ?? null;
  }

  /** Puts all that a checkpoint covers, and then the checkpoint. */
  async #publish(source: Source, published: Published, checkpoint: SourceNote): Promise<void> {
    const { size: from } = published;
    const { size: to } = checkpoint;
    await this.#expectOwn(source, published);
    await this.#recordings(source, from, to);
    let last: Put | null = null;
    const puts = putsBetween(source, from, to);
    const put = async (): Promise<void> => {
      for (const each of puts) {
        await this.#put(source, each.path, each.bytes, BYTES);
        if (each.path.startsWith("tile/entries/")) last = each;
      }
    };
    await Promise.all(Array.from({ length: PUTS_AT_ONCE }, put));
    await this.#expectThere(source, last);
    const note = this.#bestNote(source, checkpoint);
    await this.#put(source, checkpointPath(to), note, TEXT);
    await this.#put(source, "checkpoint", note, TEXT);
    published.size = to;
    published.note = note;
    published.monoMs = performance.now();
    await this.#expectOwn(source, published);
    await this.#tidy(source, from, to);
  }

  /** Adds what has come since the checkpoint was published: cosignatures, and stamps. */
  async #improve(source: Source, published: Published): Promise<void> {
    const { size, note } = published;
    const cosigned = source.notes("cosigned", size, size, 1)[0];
    if (size > 0 && cosigned !== undefined && note !== null && Buffer.compare(cosigned.note, note) !== 0) {
      await this.#expectOwn(source, published);
      const better = Uint8Array.from(cosigned.note);
      await this.#put(source, checkpointPath(size), better, TEXT);
      await this.#put(source, "checkpoint", better, TEXT);
      published.note = better;
    }
    for (;;) {
      const [stamp] = source.notes("stamp", published.stampsTo, size, 1);
      if (stamp === undefined) return;
      const [own] = source.notes("checkpoint", stamp.size, stamp.size, 1);
      // The token is over exactly this note.
      if (own !== undefined) await this.#put(source, `stamps/${stamp.size}.checkpoint`, own.note, TEXT);
      await this.#put(source, stampPath(stamp.size), stamp.note, "application/timestamp-reply");
      published.stampsTo = stamp.size + 1;
    }
  }

  #bestNote(source: Source, checkpoint: SourceNote): Uint8Array {
    return source.notes("cosigned", checkpoint.size, checkpoint.size, 1)[0]?.note ?? checkpoint.note;
  }

  /** Throws when the checkpoint there is not the one that was left there: somebody else writes to the copy, or it lost something. */
  async #expectOwn(source: Source, { note }: Published): Promise<void> {
    const there = await this.#bucket.get(this.#key(source, "checkpoint"), NOTE_BYTES_MAX);
    if (note === null ? there === null : there !== null && Buffer.compare(there, note) === 0) return;
    throw new ShipError("the checkpoint there is not the one that was put there");
  }

  /** Throws when what was just put is not there. */
  async #expectThere(source: Source, put: Put | null): Promise<void> {
    if (put === null) return;
    const there = await this.#bucket.get(this.#key(source, put.path), BUNDLE_BYTES_MAX);
    if (there === null || Buffer.compare(there, put.bytes) !== 0) {
      throw new ShipError(`the storage says that it has taken ${put.path}, and does not have it`);
    }
  }

  /** Deletes tiles that were not full and now are; where that is not allowed they stay, and do no harm. */
  async #tidy(source: Source, from: number, to: number): Promise<void> {
    for (let level = 0; this.#mayDelete && fullTiles(to, level) > 0; level++) {
      const index = fullTiles(from, level);
      if (index >= fullTiles(to, level)) continue;
      const paths = [tilePath(level, index, TILE_WIDTH), ...(level === 0 ? [entriesPath(index, TILE_WIDTH)] : [])];
      for (const path of paths) {
        for (const key of await this.#bucket.list(this.#key(source, `${path}.p/`))) {
          this.#mayDelete &&= await this.#bucket.delete(key);
        }
      }
    }
  }

  async #recordings(source: Source, from: number, to: number): Promise<void> {
    let next = Math.max(from, source.first);
    while (next < to) {
      const entries = source.entries(next, ENTRIES_AT_ONCE, BUNDLE_BYTES_MAX);
      if (entries.length === 0) return;
      for (const entry of entries) {
        const event = entry.index < to ? recordedEvent(entry) : null;
        if (event !== null) await this.#recorded(source, event);
      }
      next += entries.length;
    }
  }

  /** Copies what an entry speaks of. What is no longer in the folder (pruned, shredded) is left out. */
  async #recorded(source: Source, event: RecordedEvent): Promise<void> {
    const folder = `recordings/${event.recording}`;
    const keyPath = `${folder}/key.age`;
    if (event.kind === "shredded") return this.#bucket.deleteAll(this.#key(source, keyPath));
    const described = source.recording(event.recording);
    if (event.kind === "segment") {
      const { stream, number } = event;
      const segment = namedSegment(source, event);
      if (segment === "strange") this.#strange = strangeSegment(event);
      if (segment === null || segment === "strange") return;
      const form = stream === "sealed" ? "age" : described?.kind === "asciicast" ? "cast" : "jsonl";
      const name = String(number).padStart(8, "0");
      return this.#put(source, `${folder}/${stream}/${name}.${form}`, segment.data, BYTES);
    }
    if (described !== null) {
      const text = `${JSON.stringify(described)}\n`;
      await this.#put(source, `${folder}/recording.json`, new TextEncoder().encode(text), "application/json");
    }
    // At the beginning alone: the log then says in its order whether the key was deleted later.
    const key = event.kind === "started" && this.#keysCaveat === null ? source.wrappedKey(event.recording) : null;
    // Never locked: a key that cannot be deleted is a recording that cannot be shredded.
    if (key !== null) await this.#bucket.put(this.#key(source, keyPath), Uint8Array.from(key), BYTES, null);
  }

  async #put(source: Source, path: string, bytes: Uint8Array, type: string): Promise<void> {
    const { lockMs } = this.#place;
    const lockedUntilMs = lockMs === null ? null : Date.now() + lockMs;
    await this.#bucket.put(this.#key(source, path), Uint8Array.from(bytes), type, lockedUntilMs);
  }

  #key({ origin }: SeenLog, path: string): string {
    const { prefix } = this.#place;
    const slash = prefix === "" || prefix.endsWith("/") ? "" : "/";
    return `${prefix}${slash}${origin}/${path}`;
  }
}

type Put = { readonly path: string; readonly bytes: Uint8Array };

function checkpointPath(size: number): string {
  return `checkpoints/${size}`;
}

function stampPath(size: number): string {
  return `stamps/${size}.tsr`;
}

/** The tiles and bundles that a tree of `to` entries has and one of `from` entries has not; each is made when it is asked for. */
function* putsBetween(source: Source, from: number, to: number): Generator<Put> {
  for (let level = 0, hashes = to; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
    const full = fullTiles(to, level);
    const width = hashes - full * TILE_WIDTH;
    for (let index = fullTiles(from, level); index < full + (width > 0 ? 1 : 0); index++) {
      const count = index < full ? TILE_WIDTH : width;
      const bundle = level === 0 ? source.entryBundle(index, count) : null;
      if (bundle !== null) yield { path: entriesPath(index, count), bytes: bundle };
      yield { path: tilePath(level, index, count), bytes: source.tile(level, index, count) };
    }
  }
}
