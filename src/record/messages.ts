/** What the gateway's thread and the writer of recordings say to each other. */
import * as v from "valibot";
import { RECORDING_KINDS, RECORDING_STREAMS } from "../core/recording.ts";

const settingsSchema = v.object({
  /** The data folder. */
  folder: v.string(),
  /** Who can open what is sealed; empty: nothing is sealed. */
  recipients: v.array(v.string()),
  /** Why recordings that are still open ended: `unclean` after a crash, `failed` after a failed writer of this run. */
  openBecause: v.picklist(["unclean", "failed"]),
  /** The file grows to this and not beyond; null: only the disk bounds it. */
  sizeBytesMax: v.nullable(v.number()),
});
export type WriterSettings = Readonly<v.InferOutput<typeof settingsSchema>>;

/** Reads the data that the Worker was started with. Throws when it is not the writer's. */
export function readSettings(data: unknown): WriterSettings {
  return v.parse(settingsSchema, data);
}

const stream = v.picklist(RECORDING_STREAMS);

const orderSchema = v.variant("kind", [
  v.object({
    kind: v.literal("open"),
    recording: v.object({
      id: v.string(),
      session: v.string(),
      kind: v.picklist(RECORDING_KINDS),
      issuer: v.string(),
      subject: v.string(),
      target: v.string(),
      startedMs: v.number(),
    }),
  }),
  v.object({
    kind: v.literal("segment"),
    recording: v.string(),
    stream,
    number: v.number(),
    startedMs: v.number(),
    /** The plaintext is the first `length` bytes of `data`, whose memory was handed over. */
    data: v.instance(Uint8Array),
    length: v.number(),
  }),
  v.object({ kind: v.literal("end"), recording: v.string(), endedMs: v.number(), reason: v.string() }),
  /** The event of a row is durable in the log. */
  v.object({
    kind: v.literal("logged"),
    row: v.variant("what", [
      v.object({ what: v.literal("started"), recording: v.string() }),
      v.object({ what: v.literal("segment"), recording: v.string(), stream, number: v.number() }),
      v.object({ what: v.literal("ended"), recording: v.string() }),
    ]),
  }),
  v.object({ kind: v.literal("shred"), recording: v.string() }),
  v.object({ kind: v.literal("prune"), beforeMs: v.number() }),
  v.object({ kind: v.literal("close") }),
]);
export type WriterOrder = v.InferOutput<typeof orderSchema>;
export type NewRecording = Extract<WriterOrder, { kind: "open" }>["recording"];
export type LoggedRow = Extract<WriterOrder, { kind: "logged" }>["row"];

/** Reads a message of the gateway's. Throws when it is none. */
export function readOrder(data: unknown): WriterOrder {
  return v.parse(orderSchema, data);
}

/** A row whose event is not known to be in the log. */
export type Owed =
  | {
      readonly what: "started";
      readonly recording: NewRecording;
      readonly seal: SealFacts | null;
      /** Of a recording that is of one operation; after a crash it is not known any more. */
      readonly operation?: string;
    }
  | { readonly what: "segment"; readonly segment: StoredSegment }
  | { readonly what: "ended"; readonly ended: EndedRecording };

/** What the log has of a key that a recording is sealed to. */
export type SealFacts = {
  /** Of the wrapped key as it is stored, in lower-case hex; null: it was deleted before the log had it. */
  readonly keySha256: string | null;
};

/** A segment that is on the disk. */
export type StoredSegment = {
  readonly recording: string;
  readonly stream: "clear" | "sealed";
  readonly number: number;
  /** Of what is stored, in lower-case hex. */
  readonly sha256: string;
  /** Of what is stored. */
  readonly bytes: number;
};

export type EndedRecording = {
  readonly recording: string;
  readonly session: string;
  /** Of both streams. */
  readonly segments: number;
  readonly reason: string;
};

/** Everything that is said here is on the disk. */
export type WriterMessage =
  | { readonly kind: "serving"; readonly owed: readonly Owed[] }
  /** `seal` null: nothing of it is sealed. */
  | { readonly kind: "opened"; readonly recording: string; readonly seal: SealFacts | null }
  /** This one recording cannot be begun. */
  | { readonly kind: "refused"; readonly recording: string; readonly reason: string }
  /** `waitedBytes`: how many of the plaintext's bytes no longer wait. */
  | { readonly kind: "stored"; readonly segment: StoredSegment; readonly waitedBytes: number }
  | { readonly kind: "ended"; readonly ended: EndedRecording }
  /** So many orders were dealt with since the last time. */
  | { readonly kind: "progress"; readonly orders: number }
  | { readonly kind: "shredded"; readonly recording: string; readonly wasThere: boolean }
  | { readonly kind: "pruned"; readonly recordings: number }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };
