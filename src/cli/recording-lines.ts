/** What was recorded, as lines for people: nothing in it can do anything to a terminal. */
import { isCastHeader, readCastLine, type CastEvent } from "../record/asciicast.ts";
import type { RecordingFacts } from "../record/reader.ts";
import { readTranscriptLine, type KeptLine } from "../record/transcript.ts";
import { printable } from "./audit-lines.ts";
import { ScreenFilter } from "./screen-filter.ts";

/** Something to show, and how long after what was before it. */
export type Shown = { readonly waitMs: number; readonly text: string };

/** Turns the lines of one stream into what is shown of them. */
export interface Shower {
  show(line: string): Shown;
  /** What is left at the end of the recording. */
  rest(): string;
}

/** One line about a recording as a whole. */
export function recordingLine(facts: RecordingFacts): string {
  const { id, kind, subject, target, session, startedMs, endedMs, reason, seal } = facts;
  const end = endedMs === null ? "still open" : `to ${isoTime(endedMs)} (${reason ?? "ended"})`;
  const sealed = { none: "", open: ", partly sealed", shredded: ", its sealed part shredded" }[seal];
  return printable(
    `${id}  ${kind} of ${subject} on ${target}, session ${session}, ${isoTime(startedMs)} ${end}${sealed}`,
  );
}

/** Of a line of output that comes in pieces, so much waits for its end, in UTF-16 units. */
const PART_UNITS_MAX = 4096;

export class TranscriptShower implements Shower {
  #previousMs: number;
  /** The beginning of a line of output whose end has not come, by operation and stream. */
  readonly #parts = new Map<string, string>();

  constructor(startedMs: number) {
    this.#previousMs = startedMs;
  }

  show(json: string): Shown {
    const line = readTranscriptLine(json);
    if (line === null) return { waitMs: 0, text: `(a line that this weir cannot read) ${printable(json)}` };
    const waitMs = Math.max(0, line.atMs - this.#previousMs);
    this.#previousMs = Math.max(line.atMs, this.#previousMs);
    return { waitMs, text: line.kind === "output" ? this.#output(line) : this.#before(line) };
  }

  /** Whole lines; a part of one waits for the rest. */
  #output(line: OutputLine): string {
    const { operation, stream, text, base64 } = line;
    const mark = `    ${stream === "stderr" ? "!" : "|"} `;
    const key = `${operation} ${stream}`;
    const lines = (text === undefined ? `(no text, in base64) ${base64 ?? ""}\n` : text).split("\n");
    lines[0] = (this.#parts.get(key) ?? "") + (lines[0] ?? "");
    const rest = lines.pop() ?? "";
    if (rest.length > PART_UNITS_MAX) lines.push(rest);
    this.#parts.set(key, rest.length > PART_UNITS_MAX ? "" : rest);
    return lines.map((each) => mark + shownLine(each)).join("\n") + cutText(line);
  }

  /** With what its operation had put out before it and has no end of a line. */
  #before(line: Exclude<KeptLine, OutputLine>): string {
    if (line.kind !== "end") return textOf(line) + cutText(line);
    const rest = ["stdout", "stderr"].flatMap((stream) => this.#part(`${line.operation} ${stream}`));
    return [...rest, textOf(line) + cutText(line)].join("\n");
  }

  rest(): string {
    return [...this.#parts.keys()].flatMap((key) => this.#part(key)).join("\n");
  }

  #part(key: string): string[] {
    const part = this.#parts.get(key) ?? "";
    this.#parts.delete(key);
    return part === "" ? [] : [`    ${key.endsWith(" stderr") ? "!" : "|"} ${shownLine(part)}`];
  }
}

type OutputLine = Extract<KeptLine, { kind: "output" }>;

function cutText({ cut }: KeptLine): string {
  return cut === undefined ? "" : `  (cut: ${cut.texts} texts, ${cut.units} units of text before)`;
}

function textOf(line: Exclude<KeptLine, OutputLine>): string {
  const time = isoTime(line.atMs).slice(11, -1);
  switch (line.kind) {
    case "input": {
      const parameters =
        line.parameters?.map((value, index) => `\n    $${index + 1} = ${valueText(value)}`).join("") ?? "";
      return `${time}  ${line.operation}  > ${block(line.text)}${parameters}`;
    }
    case "columns":
      return `    ${line.names.map(printable).join(" | ")}`;
    case "rows":
      return line.rows.map((row) => `    ${row.map(valueText).join(" | ")}`).join("\n");
    case "data":
      return printable(`${time}  ${line.operation}  (${line.of}: ${line.bytes} bytes, SHA-256 ${line.sha256})`);
    case "raw": {
      const unproven = new Set(line.unproven);
      const names = `    raw, ${printable(line.relation)}: ${line.names.map(printable).join(" | ")}`;
      const rows = line.rows.map((row, index) => {
        return `      ${row.map(valueText).join(" | ")}${unproven.has(index) ? "  (may have changed since)" : ""}`;
      });
      return [names, ...rows].join("\n");
    }
    case "end": {
      const { status, code, rows, message, operation } = line;
      const parts = [status, code, rows === undefined ? undefined : `${rows} ${rows === 1 ? "row" : "rows"}`, message];
      return printable(`${time}  ${operation}  < ${parts.filter((part) => part !== undefined).join(", ")}`);
    }
    case "note":
      return printable(`${time}  (${line.text})`);
  }
}

/** NULL is a word, text is in quotes. */
function valueText(value: string | null): string {
  return value === null ? "NULL" : `'${printable(value)}'`;
}

/** A text of several lines, the later ones moved in. */
function block(text: string): string {
  return text.split("\n").map(shownLine).join("\n      ");
}

/** Without the CR that ends it. */
function shownLine(line: string): string {
  return printable(line.endsWith("\r") ? line.slice(0, -1) : line);
}

/** A terminal's output: `raw` for a terminal that shows it as it was, as far as it only draws; else as plain text. */
export class CastShower implements Shower {
  readonly #isRaw: boolean;
  readonly #screen = new ScreenFilter();

  constructor(isRaw: boolean) {
    this.#isRaw = isRaw;
  }

  show(json: string): Shown {
    const line = readCastLine(json);
    if (line === "comment" || (line !== null && isCastHeader(line))) return { waitMs: 0, text: "" };
    if (line === null) return { waitMs: 0, text: `(a line that this weir cannot read) ${printable(json)}\n` };
    return { waitMs: line[0] * 1000, text: this.#text(line) };
  }

  rest(): string {
    return "";
  }

  #text([, code, data]: CastEvent): string {
    switch (code) {
      case "o":
        return this.#isRaw ? this.#screen.pass(data) : plain(data);
      case "i":
        return this.#isRaw ? "" : `(typed: ${printable(data)})\n`;
      case "m":
        return this.#isRaw ? "" : `\n(mark: ${printable(data)})\n`;
      case "x":
        return this.#isRaw ? "" : `\n(exit status ${printable(data)})\n`;
      default:
        return "";
    }
  }
}

/** Line breaks and tabs stay; every other control character is written out. */
function plain(data: string): string {
  return data
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.split("\t").map(printable).join("\t"))
    .join("\n");
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
