/** What the gateway's thread gives the log's writer at its start, and what the writer says back. */

export type WriterSettings = {
  /** The memory of the ring that records come through. */
  readonly buffer: SharedArrayBuffer;
  readonly path: string;
  /** The id of this run of the gateway. */
  readonly boot: string;
  /** Wall time for what the writer records on its own. */
  readonly timeMs: number;
  readonly sizeBytesMax: number | null;
  /** The writer before this one in the same run has failed; null for the first one. */
  readonly after: {
    readonly reason: string;
    /** The last sequence that was acknowledged as durable, and the last one that was handed over. */
    readonly durable: number;
    readonly handedOver: number;
    /** The ring that the failed writer did not empty. */
    readonly buffer: SharedArrayBuffer;
  } | null;
};

export type WriterMessage =
  | { readonly kind: "serving" }
  /** `durable` in the shared memory has grown. */
  | { readonly kind: "progress" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };
