/** Where a verification reads from: a data folder's log, or a folder of C2SP tlog-tiles. */

/** One stored entry; `hash` is what stands beside it, null where nothing does. */
export type StoredEntry = { readonly index: number; readonly leaf: Buffer; readonly hash: Buffer | null };

/** A checkpoint as it was stored; `note` is the whole signed note. */
export type StoredCheckpoint = { readonly size: number; readonly timeMs: number | null; readonly note: string };

/** What the log says of itself beside its entries. */
export type StoredHead = {
  readonly size: number;
  /** The subtrees' roots, the largest first. */
  readonly stack: Buffer;
  /** The run that wrote last, and the last of its sequences that is in the log. */
  readonly boot: string;
  readonly sequence: number;
  /** The lowest index that was not pruned. */
  readonly first: number;
};

/** A full tile: 8192 bytes of hashes. `root` is what stands beside them, null where nothing does. */
export type StoredTile = { readonly hashes: Buffer; readonly root: Buffer | null };

/** Something that no log of this size has: `place` as in a finding. */
export type Stray = { readonly check: "entry" | "tile"; readonly place: string };

/** How another thread opens the same source. */
export type SourcePlace = { readonly kind: "data" | "tiles"; readonly folder: string };

/** Read-only; other threads open their own. Entries and tiles below `size` never change. */
export interface LogSource {
  readonly place: SourcePlace;
  /** Never more than what is stored could be of, whatever it says of itself. */
  readonly size: number;
  /** The entries that are there: from `first` on, and below `end`. Others are known by the tiles only. */
  readonly first: number;
  readonly end: number;
  /** Null where there is only a checkpoint. */
  readonly head: StoredHead | null;
  /** The verifier key that lies beside the log; null: there is none. */
  readonly ownKey: string | null;
  /** In order; one that is missing is left out. */
  entries(from: number, to: number): Iterable<StoredEntry>;
  /** Is every full tile kept here? False: a folder may leave out those of level 0 that it does not need. */
  readonly keepsTiles: boolean;
  /** Null: there is none, or it has another length. */
  tile(level: number, n: number): StoredTile | null;
  /** Hashes of a tile that is not full yet; null where none are kept. */
  partialTile(level: number, n: number, width: number): Buffer | null;
  /** The log's own checkpoints above one size and up to another, in order. */
  checkpoints(from: number, to: number): Iterable<StoredCheckpoint>;
  /** The same of those with cosignatures. */
  cosigned(from: number, to: number): Iterable<StoredCheckpoint>;
  /** RFC 3161 tokens, by the size of their checkpoint. */
  stamps(from: number, to: number): Iterable<{ readonly size: number; readonly token: Buffer }>;
  /** What lies before the first entry or behind the last one, as far as that is worth naming. */
  readonly strays: readonly Stray[];
  close(): void;
}
