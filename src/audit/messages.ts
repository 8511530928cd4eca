/** What the gateway's thread gives the log's writer at its start, and what the writer says back. */
import * as v from "valibot";

const settingsSchema = v.object({
  /** The memory of the ring that records come through. */
  buffer: v.instance(SharedArrayBuffer),
  path: v.string(),
  /** The id of this run of the gateway. */
  boot: v.string(),
  /** Wall time for what the writer records on its own. */
  timeMs: v.number(),
  sizeBytesMax: v.nullable(v.number()),
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

export type WriterMessage =
  | { readonly kind: "serving" }
  /** `durable` in the shared memory has grown. */
  | { readonly kind: "progress" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };
