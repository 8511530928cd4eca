/** The hashes of the tree out of the log's file. */
import type Database from "libsql";
import { columnsOf, LogDamaged } from "./log-file.ts";
import { SHA256_BYTES } from "./sha256.ts";
import { type TileSource, TILE_BYTES, TILE_WIDTH, tilePath } from "./tiles.ts";

/** Reads tiles on a connection; one snapshot is the caller's to take. */
export function databaseTiles(database: Database.Database, size: number): TileSource {
  const full = database.prepare("SELECT hashes FROM tile WHERE level = ? AND idx = ?").raw(true);
  const leaves = database.prepare("SELECT hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx").raw(true);
  // A hash is the root of the tile below it.
  const upper = database
    .prepare("SELECT root FROM tile WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx")
    .raw(true);
  return {
    size,
    tile: (level, index) => {
      const [row] = full.all([level, index]);
      const [hashes] = row === undefined ? [] : columnsOf(row);
      if (!(hashes instanceof Uint8Array) || hashes.length !== TILE_BYTES)
        throw new LogDamaged(`${tilePath(level, index, TILE_WIDTH)} is missing`);
      return hashes;
    },
    partial: (level, index, width) => {
      const from = index * TILE_WIDTH;
      const rows: unknown[] =
        level === 0 ? leaves.all([from, from + width]) : upper.all([level - 1, from, from + width]);
      const hashes = new Uint8Array(width * SHA256_BYTES);
      for (const [i, row] of rows.entries()) {
        const [hash] = columnsOf(row);
        if (!(hash instanceof Uint8Array)) throw new LogDamaged("a hash of the log cannot be read");
        hashes.set(hash, i * SHA256_BYTES);
      }
      if (rows.length !== width) throw new LogDamaged(`${tilePath(level, index, width)} is not whole`);
      return hashes;
    },
  };
}
