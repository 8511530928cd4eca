/** What the gateway's thread gives the log's writer at its start, and what the writer says back. */
import * as v from "valibot";

const settingsSchema = v.object({
  /** The memory of the ring that records come through. */
  buffer: v.instance(SharedArrayBuffer),
  /** The data folder. */
  folder: v.string(),
  /** The origin of a new log. */
  origin: v.string(),
  /** The owner accepts that the log has lost entries, or its key: if it has, it goes on under a new origin. */
  isLossAccepted: v.boolean(),
  /** Are there witnesses, whose signatures pruning has to wait for? */
  isWitnessed: v.boolean(),
  /** The id of this run of the gateway. */
  boot: v.string(),
  /** Wall time for what the writer records on its own. */
  timeMs: v.number(),
  sizeBytesMax: v.nullable(v.number()),
  /** How long what nobody awaits is gathered; null: for as long as the writer finds right. */
  gatherMs: v.nullable(v.number()),
  /** The writer before this one in the same run has failed; null for the first one. */
  after: v.nullable(
    v.object({
      reason: v.string(),
      /** The last sequence that was acknowledged as durable, and the last one that was handed over. */
      durable: v.number(),
      handedOver: v.number(),
      /** The ring that the failed writer did not empty. */
      buffer: v.instance(SharedArrayBuffer),
    }),
  ),
});

export type WriterSettings = Readonly<v.InferOutput<typeof settingsSchema>>;

/** Reads the data that a Worker was started with. Throws when it is not the writer's. */
export function readSettings(data: unknown): WriterSettings {
  return v.parse(settingsSchema, data);
}

/** A checkpoint of the log, as a signed note. */
export type SignedCheckpoint = { readonly size: number; readonly note: string };

/** What a pruning came to: the entries from `first` on and before `to` are gone. */
export type Pruned = { readonly first: number; readonly to: number; readonly entries: number };

export type RotatedKey = { readonly oldKey: string; readonly newKey: string };

export type WriterMessage =
  | { readonly kind: "serving"; readonly origin: string; readonly vkey: string; readonly checkpoint: SignedCheckpoint }
  /** `durable` in the shared memory has grown. */
  | { readonly kind: "progress" }
  | ({ readonly kind: "checkpoint" } & SignedCheckpoint)
  | ({ readonly kind: "rotated" } & RotatedKey)
  | ({ readonly kind: "pruned" } & Pruned)
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };
