/** `weir audit replay`: plays what was recorded in the clear, or prints it. */
import { parseDuration } from "../config/units.ts";
import type { SegmentCheck } from "../record/check.ts";
import type { RecordingFacts, RecordingReader } from "../record/reader.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { CastShower, recordingLine, TranscriptShower, type Shower } from "./recording-lines.ts";
import { checkOf, RECORDING_OPTIONS, withRecordings } from "./recording-place.ts";

const SPEED_MAX = 1000;
const IDLE_DEFAULT = "2s";
/** What a recorded terminal may have left behind: colours, a hidden cursor, another screen, reports of the mouse. */
const TERMINAL_RESET =
  "\u001b[!p\u001b[0m\u001b[?25h\u001b[?1049l\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?2004l\n";

export const auditReplayCommand: Command = {
  words: ["audit", "replay"],
  summary: "Play what was recorded of a session",
  positionals: [{ name: "ID", description: "the id of a recording or of a session", kind: "required" }],
  options: [
    { name: "speed", value: "N", description: "so many times as fast; 1 when left out" },
    { name: "idle-limit", value: "TIME", description: `the longest pause; ${IDLE_DEFAULT} when left out` },
    { name: "at-once", description: "print it without pauses, as in a pipe" },
    ...RECORDING_OPTIONS,
  ],
  notes: [
    "Shows the clear part; weir audit unseal opens the sealed one. Every segment is held against the log before it is",
    "shown: at one that was changed the replay ends with 1. A terminal's recording is shown as it was only in a terminal:",
    "what draws on the screen, and nothing that would set a title or the clipboard, or make the terminal answer.",
    "",
    "JSON: the lines as they were recorded; those of a terminal are an asciicast v3 that asciinema plays",
  ],
  run: async (args, terminal) => {
    const pace = readPace(args);
    return withRecordings(args.required("ID"), args, terminal, async ({ folder, reader, recordings }) => {
      let status = 0;
      for (const facts of recordings) {
        if (!args.isJson) terminal.err(recordingLine(facts));
        const check = await checkOf(facts, folder, terminal);
        const player = playerOf(facts, args, terminal, pace);
        const problem = await play(facts, reader, player, check);
        const problems = problem === null ? check.missing(["clear"]) : [problem];
        for (const each of problems) terminal.err(`weir: ${each}`);
        if (problems.length > 0) status = 1;
      }
      return status;
    });
  },
};

/** Null: without pauses. */
type Pace = { readonly speed: number; readonly idleMsMax: number } | null;

function readPace(args: Arguments): Pace {
  const speed = Number(args.text("speed") ?? "1");
  if (!(speed > 0 && speed <= SPEED_MAX)) {
    throw new UsageError(`--speed is a number above 0 and up to ${SPEED_MAX}, not ${args.text("speed") ?? ""}`);
  }
  const idle = parseDuration(args.text("idle-limit") ?? IDLE_DEFAULT);
  if (!idle.ok) throw new UsageError(`--idle-limit is a time such as 2s, not ${args.text("idle-limit") ?? ""}`);
  return args.flag("at-once") ? null : { speed, idleMsMax: idle.value };
}

/** Shows lines one after the other. */
type Player = { line(json: string): Promise<void>; end(): void };

function playerOf(facts: RecordingFacts, args: Arguments, terminal: Terminal, pace: Pace): Player {
  if (args.isJson) {
    return { line: async (json) => terminal.out(json), end: () => undefined };
  }
  const isCast = facts.kind === "asciicast";
  const isPlayed = terminal.isTerminal && pace !== null;
  const shower: Shower = isCast ? new CastShower(terminal.isTerminal) : new TranscriptShower(facts.startedMs);
  if (isCast && terminal.isTerminal) process.once("SIGINT", () => leave(terminal));
  const print = (text: string): void => {
    if (isCast) terminal.write(text);
    else terminal.out(text);
  };
  return {
    line: async (json) => {
      const { waitMs, text } = shower.show(json);
      if (isPlayed) await Bun.sleep(Math.min(waitMs / pace.speed, pace.idleMsMax));
      if (text !== "") print(text);
    },
    end: () => {
      const rest = shower.rest();
      if (rest !== "") print(rest);
      if (isCast) terminal.write(terminal.isTerminal ? TERMINAL_RESET : "\n");
    },
  };
}

/** Interrupted: the terminal is left as it was found. */
function leave(terminal: Terminal): never {
  terminal.write(TERMINAL_RESET);
  process.exit(130);
}

/** Plays the clear stream; what is wrong with a segment, at which it ends, or null. */
async function play(
  { id }: RecordingFacts,
  reader: RecordingReader,
  player: Player,
  check: SegmentCheck,
): Promise<string | null> {
  try {
    for (const segment of reader.segments(id, "clear")) {
      const problem = check.problem(segment);
      if (problem !== null) return problem;
      for (const line of linesOf(segment.data)) await player.line(line);
    }
    return null;
  } finally {
    player.end();
  }
}

/** The lines of a segment: each ends with a newline. */
export function linesOf(data: Uint8Array): string[] {
  const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8");
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new CommandError("a segment ends in the middle of a line");
  return lines;
}
