/** What the gateway's thread and the streams' Worker say to each other. */
import type { OtlpPlace } from "./otlp.ts";
import type { StreamSource } from "./sender.ts";
import type { StreamState } from "./stream.ts";
import type { SyslogPlace } from "./syslog.ts";

export const STREAM_NAMES = ["syslog", "otlp"] as const;
export type StreamName = (typeof STREAM_NAMES)[number];

export type StreamPlaces = { readonly syslog: SyslogPlace | null; readonly otlp: OtlpPlace | null };

export type StreamsOrder =
  | {
      readonly kind: "start";
      readonly folder: string;
      readonly places: StreamPlaces;
      readonly source: StreamSource;
      /** The index of the entry that a new stream begins with. */
      readonly begin: number;
    }
  | { readonly kind: "end" };

export type StreamsNews =
  | { readonly kind: "state"; readonly name: StreamName; readonly state: StreamState }
  | { readonly kind: "ended" };
