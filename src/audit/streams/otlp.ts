/** Entries as log records of OpenTelemetry, sent by OTLP/HTTP in its JSON form. */
import * as v from "valibot";
import { boundedBody } from "../bounded-body.ts";
import type { SelectedEntry } from "../export/selection.ts";
import { readSize } from "../note.ts";
import type { Sender, StreamSource } from "./sender.ts";

const REQUEST_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** What the protocol says may be sent again; everything else never will be taken. */
const RETRIED: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
/** SeverityNumber of INFO and WARN. */
const INFO = 9;
const WARN = 13;

const answerSchema = v.object({
  partialSuccess: v.optional(v.object({ rejectedLogRecords: v.optional(v.union([v.string(), v.number()])) })),
});

type Attribute = {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
};

/** The body of one request (ExportLogsServiceRequest). */
function otlpRequest(entries: readonly SelectedEntry[], { gateway, version }: StreamSource): unknown {
  const resource = {
    attributes: attributes({ "service.name": "weir", "service.instance.id": gateway, "service.version": version }),
  };
  const scope = { name: "weir.audit", version };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: entries.map(logRecord) }] }] };
}

function logRecord({ index, leaf, hash, operation, json }: SelectedEntry): unknown {
  const facts = leaf.shape === "event" ? leaf.facts : {};
  const isWarning =
    operation?.decision.kind === "deny" ||
    leaf.event === "login.failed" ||
    leaf.event === "audit.gap" ||
    leaf.event.startsWith("alert.");
  // More digits than a JSON number keeps: nanoseconds are a string.
  const time = `${Math.floor(leaf.timeMs)}000000`;
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: isWarning ? WARN : INFO,
    severityText: isWarning ? "WARN" : "INFO",
    eventName: leaf.event,
    body: { stringValue: json },
    attributes: attributes({
      "weir.index": index,
      "weir.leaf_hash": Buffer.from(hash).toString("hex"),
      "weir.boot": leaf.boot,
      "weir.id": leaf.shape === "event" ? facts["id"] : leaf.id,
      "weir.target": operation?.target.name ?? facts["target"],
      "weir.decision": operation?.decision.kind,
      "weir.status": leaf.shape === "event" ? undefined : leaf.outcome?.status,
      "user.name": operation?.subject.name ?? facts["subject"],
      "client.address": operation?.session.source ?? facts["source"],
      "session.id": operation?.session.id,
    }),
  };
}

function attributes(values: Readonly<Record<string, unknown>>): Attribute[] {
  return Object.entries(values).flatMap(([key, value]): Attribute[] => {
    if (typeof value === "number") return [{ key, value: { intValue: String(value) } }];
    return typeof value === "string" ? [{ key, value: { stringValue: value } }] : [];
  });
}

export type OtlpPlace = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

export class OtlpSender implements Sender {
  readonly #place: OtlpPlace;
  readonly #source: StreamSource;

  constructor(place: OtlpPlace, source: StreamSource) {
    this.#place = place;
    this.#source = source;
  }

  async send(entries: readonly SelectedEntry[]): Promise<number> {
    const { url, headers } = this.#place;
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(otlpRequest(entries, this.#source)),
      // A redirect would take the credentials along.
      redirect: "manual",
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
    const text = new TextDecoder().decode(await boundedBody(response, ANSWER_BYTES_MAX));
    if (RETRIED.has(response.status)) throw new Error(`it answered ${response.status}`);
    if (!response.ok) return entries.length;
    return Math.min(entries.length, rejected(text));
  }

  async close(): Promise<void> {}
}

function rejected(text: string): number {
  try {
    const { partialSuccess } = v.parse(answerSchema, JSON.parse(text === "" ? "{}" : text));
    return readSize(String(partialSuccess?.rejectedLogRecords ?? 0)) ?? 0;
  } catch {
    // It took the request; what else it has to say is not understood.
    return 0;
  }
}
