/** What the entries of one batch add to the index, gathered so that each row is written once. */
import type { Item } from "./columns.ts";
import { ID_ITEM_BYTES, idHash, idRow, STRETCH_ENTRIES } from "./schema.ts";
import type { Ended } from "./trace.ts";

/** What a batch adds to one session. */
export type Tally = {
  permitted: number;
  refused: number;
  failed: number;
  rows: number;
  bytes: number;
  recordings: number;
  last: number;
  ended: Ended | null;
};

/** All of it is in one stretch. */
export class Batch {
  readonly first: number;
  readonly stretch: number;
  readonly items: Item[] = [];
  readonly tallies = new Map<number, Tally>();
  readonly #ids = new Map<number, number[]>();
  fromMs = Number.POSITIVE_INFINITY;
  toMs = Number.NEGATIVE_INFINITY;

  constructor(first: number) {
    this.first = first;
    this.stretch = Math.floor(first / STRETCH_ENTRIES);
  }

  /** The next entry. */
  add(item: Item): void {
    this.items.push(item);
    this.fromMs = Math.min(this.fromMs, item.timeMs);
    this.toMs = Math.max(this.toMs, item.timeMs);
  }

  addId(id: string, index: number): void {
    const hash = idHash(id);
    listIn(this.#ids, idRow(this.stretch, hash)).push(hash, index % STRETCH_ENTRIES);
  }

  /** What is added to a session; session 0 is nobody's and never written. */
  tally(session: number, index: number): Tally {
    let tally = this.tallies.get(session);
    if (tally === undefined) {
      const none = { permitted: 0, refused: 0, failed: 0, rows: 0, bytes: 0, recordings: 0 };
      this.tallies.set(session, (tally = { ...none, last: index, ended: null }));
    }
    tally.last = index;
    return tally;
  }

  *idRows(): Generator<[row: number, items: Buffer]> {
    for (const [row, list] of this.#ids) {
      const items = Buffer.alloc((list.length / 2) * ID_ITEM_BYTES);
      for (let at = 0, to = 0; at < list.length; at += 2, to += ID_ITEM_BYTES) {
        items.writeUInt32LE(list[at] ?? 0, to);
        items.writeUInt16LE(list[at + 1] ?? 0, to + 4);
      }
      yield [row, items];
    }
  }
}

/** An operation of the session has ended like this. */
export function addEnd(tally: Tally, ended: Ended): void {
  if (ended.status === "failed") tally.failed++;
  tally.rows += ended.rows;
  tally.bytes += ended.bytes;
}

function listIn(lists: Map<number, number[]>, key: number): number[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}
