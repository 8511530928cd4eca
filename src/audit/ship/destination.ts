/** What the shipper needs of a place that gets a copy, and what a copy is made from. */

/** One entry as it is copied. */
export type SourceEntry = { readonly index: number; readonly leaf: Uint8Array; readonly hash: Uint8Array };

/** A note of the log (a checkpoint, with cosignatures or without) or a stamp, by the size it is of. */
export type SourceNote = { readonly size: number; readonly timeMs: number; readonly note: Uint8Array };

export type SourceSegment = { readonly startedMs: number; readonly sha256: Uint8Array; readonly data: Uint8Array };

export type SourceRecording = {
  readonly id: string;
  readonly session: string;
  readonly kind: string;
  readonly issuer: string;
  readonly subject: string;
  readonly target: string;
  readonly startedMs: number;
  readonly endedMs: number | null;
};

export type NoteKind = "checkpoint" | "cosigned" | "stamp";

/** The log as the shipper reads it: beside the writer, in short looks, never more in memory than was asked for. */
export interface Source {
  readonly origin: string;
  /** How many entries the log has. */
  readonly size: number;
  /** The lowest index that is not pruned. */
  readonly first: number;
  /** Entries from an index on: at most so many, and one at least where there is one. */
  entries(from: number, countMax: number, bytesMax: number): readonly SourceEntry[];
  /** The leaf hash of an entry, pruned or not; null: there is none. */
  hash(index: number): Uint8Array | null;
  /** The root of the tree when it had this size. */
  root(size: number): Uint8Array;
  /** As tlog-tiles names them; the tree must be as large. */
  tile(level: number, index: number, width: number): Uint8Array;
  /** Null: pruned. */
  entryBundle(index: number, width: number): Uint8Array | null;
  /** Of sizes from one on up to another, the lowest first. */
  notes(kind: NoteKind, fromSize: number, toSize: number, countMax: number): readonly SourceNote[];
  /** The last note of a kind of at most this size; null: there is none. */
  lastNote(kind: NoteKind, sizeMax: number): SourceNote | null;
  recording(id: string): SourceRecording | null;
  segment(recording: string, stream: string, number: number): SourceSegment | null;
  /** The age file that holds a recording's identity; null: it has none, or it was shredded. */
  wrappedKey(recording: string): Uint8Array | null;
}

/** How far a copy is. */
export type Step = {
  /** The copy surely has everything below this index, and what belongs to it. */
  readonly size: number;
  /** There is more to do at once. */
  readonly isMore: boolean;
};

/** What a copy is compared with. */
export type SeenLog = Pick<Source, "origin" | "size" | "hash" | "root">;

/** The size of the largest state of an origin that a copy has (0: none), and why that is not this log's; null: it is. */
export type SeenCopy = { readonly size: number; readonly conflict: string | null };

/** A place that gets a copy. */
export interface Destination {
  readonly name: "libsql" | "s3";
  /** Where it is, for people: without secrets. */
  readonly where: string;
  /** What of the log cannot be copied there, for people; null: all of it can. */
  readonly caveat: string | null;
  /**
   * Brings the copy nearer to the log by a bounded piece of work; `isLast`: the gateway ends, so nothing is put off.
   * Throws ShipError; the next step then asks anew what the copy has.
   */
  step(source: Source, isLast: boolean): Promise<Step>;
  /** What the copy has of this log's origin. Throws ShipError when it does not say. */
  seen(log: SeenLog): Promise<SeenCopy>;
}
