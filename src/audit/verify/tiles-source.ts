/**
 * A log as a folder of C2SP tlog-tiles: `checkpoint`, `tile/<level>/...` and `tile/entries/...`. Beside these, as weir
 * writes them: `checkpoints/<size>`, `stamps/<size>.tsr` and `log.vkey`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VKEY_FILE } from "../log-keys.ts";
import { readCheckpoint, unverifiedText } from "../note.ts";
import { SHA256_BYTES } from "../sha256.ts";
import type { LogSource, SourcePlace, StoredCheckpoint, StoredEntry, StoredTile } from "./source.ts";
import { entriesPath, TILE_WIDTH, tilePath } from "../tiles.ts";

const LENGTH_BYTES = 2;

export class TilesSource implements LogSource {
  readonly place: SourcePlace;
  readonly size: number;
  readonly first: number;
  readonly end: number;
  readonly head = null;
  readonly keepsTiles = false;
  readonly strays = [];
  readonly ownKey: string | null;
  readonly #folder: string;
  readonly #newest: StoredCheckpoint;

  private constructor(folder: string) {
    this.#folder = folder;
    this.place = { kind: "tiles", folder };
    const note = readFileSync(join(folder, "checkpoint"), "utf8");
    const { size } = readCheckpoint(unverifiedText(note));
    this.#newest = { size, timeMs: null, note };
    // There is a tile of level 1 for each of its entries, or all are below the first one.
    const ranges = listNumbers(join(folder, "tile/1")).length + 1;
    this.size = Math.min(size, ranges * TILE_WIDTH * TILE_WIDTH);
    const key = join(folder, VKEY_FILE);
    this.ownKey = existsSync(key) ? readFileSync(key, "utf8").trim() : null;
    const bundles = listNumbers(join(folder, "tile/entries"));
    this.first = Math.min(this.size, (bundles[0] ?? Number.POSITIVE_INFINITY) * TILE_WIDTH);
    this.end = Math.min(this.size, ((bundles.at(-1) ?? -1) + 1) * TILE_WIDTH);
  }

  /** Throws with a sentence for people. */
  static open(folder: string): TilesSource {
    return new TilesSource(folder);
  }

  *entries(from: number, to: number): Generator<StoredEntry> {
    for (let at = Math.floor(from / TILE_WIDTH) * TILE_WIDTH; at < to; at += TILE_WIDTH) {
      const width = Math.min(TILE_WIDTH, this.size - at);
      const n = at / TILE_WIDTH;
      const bundle = this.#read(entriesPath(n, TILE_WIDTH)) ?? this.#read(entriesPath(n, width));
      if (bundle === null) continue;
      let place = 0;
      for (let i = 0; i < width && place + LENGTH_BYTES <= bundle.length; i++) {
        const length = bundle.readUInt16BE(place);
        const leaf = bundle.subarray(place + LENGTH_BYTES, place + LENGTH_BYTES + length);
        place += LENGTH_BYTES + length;
        if (leaf.length < length) return;
        if (at + i >= from && at + i < to) yield { index: at + i, leaf, hash: null };
      }
    }
  }

  tile(level: number, n: number): StoredTile | null {
    const hashes = this.#read(tilePath(level, n, TILE_WIDTH));
    return hashes?.length === TILE_WIDTH * SHA256_BYTES ? { hashes, root: null } : null;
  }

  partialTile(level: number, n: number, width: number): Buffer | null {
    const tile = this.#read(tilePath(level, n, width)) ?? this.#read(tilePath(level, n, TILE_WIDTH));
    return tile === null || tile.length < width * SHA256_BYTES ? null : tile.subarray(0, width * SHA256_BYTES);
  }

  *checkpoints(from: number, to: number): Generator<StoredCheckpoint> {
    for (const size of this.#kept("checkpoints", "")) {
      if (size <= from || size > to) continue;
      yield { size, timeMs: null, note: readFileSync(join(this.#folder, "checkpoints", String(size)), "utf8") };
    }
  }

  /** The newest one, whatever signatures it has: with those of witnesses, if there were any. */
  *cosigned(from: number, to: number): Generator<StoredCheckpoint> {
    const { size } = this.#newest;
    if (size > from && size <= to) yield this.#newest;
  }

  *stamps(from: number, to: number): Generator<{ readonly size: number; readonly token: Buffer }> {
    for (const size of this.#kept("stamps", ".tsr")) {
      if (size <= from || size > to) continue;
      yield { size, token: readFileSync(join(this.#folder, "stamps", `${size}.tsr`)) };
    }
  }

  close(): void {}

  /** Sizes that files of a folder are named after, in order. */
  #kept(folder: string, suffix: string): number[] {
    const path = join(this.#folder, folder);
    if (!existsSync(path)) return [];
    const sizes = readdirSync(path).flatMap((name) => {
      const digits = name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : "";
      return digits === "" || Array.from(digits).some((char) => char < "0" || char > "9") ? [] : [Number(digits)];
    });
    return sizes.toSorted((a, b) => a - b);
  }

  #read(path: string): Buffer | null {
    const whole = join(this.#folder, path);
    return existsSync(whole) ? readFileSync(whole) : null;
  }
}

/** The numbers of the tiles or bundles that a folder holds, full or not, in order. */
function listNumbers(folder: string): number[] {
  const numbers: number[] = [];
  const walk = (path: string, before: number): void => {
    for (const name of readdirSync(path)) {
      const isPartial = name.endsWith(".p");
      const digits = name.startsWith("x") ? name.slice(1) : isPartial ? name.slice(0, -2) : name;
      const number = before * 1000 + Number(digits);
      if (!Number.isSafeInteger(number)) continue;
      if (name.startsWith("x")) walk(join(path, name), number);
      else numbers.push(number);
    }
  };
  if (existsSync(folder)) walk(folder, 0);
  return numbers.toSorted((a, b) => a - b);
}
