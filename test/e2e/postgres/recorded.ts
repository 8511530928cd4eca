/** What a gateway has recorded of its sessions, for tests that hold it against what the clients saw. */
import { join } from "node:path";
import { RecordingReader, type RecordingFacts } from "../../../src/record/reader.ts";
import { type KeptLine, readTranscriptLine } from "../../../src/record/transcript.ts";
import type { Gateway } from "../../gateway.ts";

const POLL_MS = 10;

/** The recordings of a subject, the oldest first; none is waited for. */
export function recordingsOf(gateway: Gateway, subject: string): RecordingFacts[] {
  return read(gateway, (reader) =>
    reader
      .latest(1000)
      .filter((facts) => facts.subject === subject)
      .toReversed(),
  );
}

/**
 * The lines of a subject's only recording, when it has ended, as texts. What was sent at once is in no certain order, so
 * they are those of one operation after the other.
 */
export async function linesOf(gateway: Gateway, subject: string): Promise<string[]> {
  const operations = Map.groupBy(await keptLines(gateway, subject), ({ operation }) => operation);
  return [...operations.values()].flat().map(shown);
}

/** The same as they were kept. */
export async function keptLines(gateway: Gateway, subject: string): Promise<KeptLine[]> {
  for (;;) {
    const [facts, ...others] = recordingsOf(gateway, subject);
    if (others.length > 0) throw new Error(`${subject} has more than one recording`);
    if (facts !== undefined && facts.endedMs !== null) return linesIn(gateway, facts);
    await Bun.sleep(POLL_MS);
  }
}

function linesIn(gateway: Gateway, { id }: RecordingFacts): KeptLine[] {
  const segments = read(gateway, (reader) => [...reader.segments(id, "clear")]);
  const text = segments.map(({ data }) => Buffer.from(data).toString()).join("");
  return text
    .split("\n")
    .slice(0, -1)
    .map((json) => {
      const line = readTranscriptLine(json);
      if (line === null) throw new Error(`this is no line of a transcript: ${json}`);
      return line;
    });
}

function read<T>(gateway: Gateway, work: (reader: RecordingReader) => T[]): T[] {
  const reader = RecordingReader.open(join(gateway.folder, "data"));
  if (reader === null) return [];
  try {
    return work(reader);
  } finally {
    reader.close();
  }
}

function shown(line: KeptLine): string {
  switch (line.kind) {
    case "input":
      return `> ${line.text}${line.parameters === undefined ? "" : ` ${JSON.stringify(line.parameters)}`}`;
    case "columns":
      return `= ${line.names.join(" | ")}`;
    case "rows":
      return line.rows.map((row) => `  ${JSON.stringify(row)}`).join("\n");
    case "output":
      return `${line.stream}: ${line.text ?? line.base64 ?? ""}`;
    case "data":
      return `(${line.of}: ${line.bytes} bytes)`;
    case "raw":
      return `* ${line.relation} ${JSON.stringify([line.names, ...line.rows])} ${JSON.stringify(line.unproven ?? [])}`;
    case "end":
      return `< ${[line.status, line.code, line.rows, line.message].filter((part) => part !== undefined).join(" ")}`;
    case "note":
      return `(${line.text})`;
  }
}
