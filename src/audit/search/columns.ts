/** One stretch of the log in the index: a dictionary of who, what and session occur in it, and columns that refer to it. */
import { PART_PAIRS, PART_SESSIONS, PART_TIMES, STRETCH_ENTRIES, TAIL_ITEM_BYTES } from "./schema.ts";

/** What the index keeps of one entry; 0: nobody's, of no session, or no entry at all. */
export type Item = {
  readonly timeMs: number;
  readonly who: number;
  readonly what: number;
  readonly session: number;
};

/** Entries as a row of `tail`. */
export function tailOf(items: readonly Item[]): Buffer {
  const bytes = Buffer.alloc(items.length * TAIL_ITEM_BYTES);
  for (const [index, { timeMs, who, what, session }] of items.entries()) {
    const at = index * TAIL_ITEM_BYTES;
    bytes.writeDoubleLE(timeMs, at);
    bytes.writeUInt32LE(who, at + 8);
    bytes.writeUInt32LE(what, at + 12);
    bytes.writeUInt32LE(session, at + 16);
  }
  return bytes;
}

/** Reads a part of a full stretch. */
type ReadPart = (part: number) => Uint8Array;

export class Columns {
  /** The numbers that occur, by their place in the dictionary. */
  readonly whos: Uint32Array;
  readonly whats: Uint32Array;
  readonly sessions: Uint32Array;
  readonly #read: ReadPart;
  #pairs: Uint16Array | null = null;
  #ofSession: Uint16Array | null = null;
  #times: Float64Array | null = null;

  private constructor(whos: Uint32Array, whats: Uint32Array, sessions: Uint32Array, read: ReadPart) {
    this.whos = whos;
    this.whats = whats;
    this.sessions = sessions;
    this.#read = read;
  }

  /** Of a full stretch; its columns are read when they are needed. */
  static ofDict(dict: Uint8Array, read: ReadPart = nothing): Columns {
    const numbers = new Uint32Array(aligned(dict));
    const [whos = 0, whats = 0, sessions = 0] = numbers;
    if (numbers.length !== 3 + whos + whats + sessions) throw new Error("the search index is damaged");
    const sessionsFrom = 3 + whos + whats;
    return new Columns(
      numbers.subarray(3, 3 + whos),
      numbers.subarray(3 + whos, sessionsFrom),
      numbers.subarray(sessionsFrom),
      read,
    );
  }

  /** Of the rows of `tail`, in order. */
  static ofTails(tails: readonly Uint8Array[]): Columns {
    const bytes = Buffer.concat(tails);
    const count = Math.floor(bytes.length / TAIL_ITEM_BYTES);
    if (count > STRETCH_ENTRIES) throw new Error("the search index is damaged");
    const [whos, whats, sessions] = [new Dictionary(), new Dictionary(), new Dictionary()];
    const pairs = new Uint16Array(2 * count);
    const ofSession = new Uint16Array(count);
    const times = new Float64Array(count);
    for (let place = 0; place < count; place++) {
      const at = place * TAIL_ITEM_BYTES;
      times[place] = bytes.readDoubleLE(at);
      pairs[place] = whos.placeOf(bytes.readUInt32LE(at + 8));
      pairs[count + place] = whats.placeOf(bytes.readUInt32LE(at + 12));
      ofSession[place] = sessions.placeOf(bytes.readUInt32LE(at + 16));
    }
    const columns = new Columns(whos.list(), whats.list(), sessions.list(), nothing);
    columns.#pairs = pairs;
    columns.#ofSession = ofSession;
    columns.#times = times;
    return columns;
  }

  /** How many entries there are. */
  get count(): number {
    return this.pairs.length / 2;
  }

  /** Who of each entry, and behind all of these what: places in the dictionaries. */
  get pairs(): Uint16Array {
    return (this.#pairs ??= new Uint16Array(aligned(this.#read(PART_PAIRS))));
  }

  get ofSession(): Uint16Array {
    return (this.#ofSession ??= new Uint16Array(aligned(this.#read(PART_SESSIONS))));
  }

  get times(): Float64Array {
    return (this.#times ??= new Float64Array(aligned(this.#read(PART_TIMES))));
  }

  /** What another of the entries says from now on. */
  setWhat(place: number, what: number): Columns {
    const known = this.whats.indexOf(what);
    const whats = known === -1 ? Uint32Array.of(...this.whats, what) : this.whats;
    const pairs = this.pairs.slice();
    pairs[this.count + place] = known === -1 ? this.whats.length : known;
    const changed = new Columns(this.whos, whats, this.sessions, this.#read);
    changed.#pairs = pairs;
    return changed;
  }

  /** The column of pairs as it is kept. */
  pairsPart(): Buffer {
    const { buffer, byteOffset, byteLength } = this.pairs;
    return Buffer.from(buffer, byteOffset, byteLength);
  }

  dict(): Buffer {
    const { whos, whats, sessions } = this;
    const numbers = [whos.length, whats.length, sessions.length, ...whos, ...whats, ...sessions];
    return Buffer.from(Uint32Array.from(numbers).buffer);
  }

  /** The parts as they are kept, in the order of their numbers. */
  parts(): Buffer[] {
    return [this.pairs, this.ofSession, this.times].map(({ buffer, byteOffset, byteLength }) =>
      Buffer.from(buffer, byteOffset, byteLength),
    );
  }
}

/** Gives numbers their places, in the order in which they come first. */
class Dictionary {
  readonly #places = new Map<number, number>();

  placeOf(number: number): number {
    let place = this.#places.get(number);
    if (place === undefined) this.#places.set(number, (place = this.#places.size));
    return place;
  }

  list(): Uint32Array {
    return Uint32Array.from(this.#places.keys());
  }
}

/** A copy that begins where numbers may. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}

function nothing(): never {
  throw new Error("the search index is damaged");
}
