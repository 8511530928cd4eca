/** `weir audit verify`: whether the log is what was signed, whole, and consistent in itself. */
import { existsSync, readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { type NoteVerifier, readSize, readVerifier } from "../audit/note.ts";
import { messageOf } from "../core/message-of.ts";
import { type KeptCheckpoint, readKept } from "../audit/verify/kept-checkpoint.ts";
import { openSource, sourceIn } from "../audit/verify/open-source.ts";
import type { LogSource, SourcePlace } from "../audit/verify/source.ts";
import { type Verdict, verifyLog } from "../audit/verify/verify.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

/** How often progress is shown. */
const PROGRESS_MS = 200;

export const auditVerifyCommand: Command = {
  words: ["audit", "verify"],
  summary: "Check that the log is whole, unchanged, and what was signed",
  positionals: [
    {
      name: "FOLDER",
      kind: "optional",
      description:
        "a copy of a data folder, or a folder of tiles or evidence; the configuration's data folder when left out",
    },
  ],
  options: [
    {
      name: "key",
      value: "VKEY",
      repeats: true,
      description:
        "the log's verifier key as you know it, or a file with it; may be repeated. Left out: the one beside the log",
    },
    {
      name: "witness",
      value: "VKEY",
      repeats: true,
      description: "the verifier key of a witness that must have cosigned, or a file with it; may be repeated",
    },
    {
      name: "checkpoint",
      value: "FILE",
      repeats: true,
      description: "a checkpoint of this log that was kept elsewhere: the log must agree with it; may be repeated",
    },
    {
      name: "since",
      value: "SIZE",
      description: "entries below this size, or below that of a checkpoint in a file, were verified before",
    },
    {
      name: "without-recordings",
      description: "the folder was copied without recordings.db: that it is missing is no finding",
    },
    CONFIG_OPTION,
  ],
  notes: [
    "Reads beside a running gateway or without one. Prints what is wrong and where, one line each, and goes on to find the rest:",
    "100 lines of each kind of finding, and a count. Ends with 1 when anything was found. What the log's own key alone cannot",
    "prove (a cut end, a history rewritten with the key) takes --witness or --checkpoint.",
    "",
    "  weir audit verify --key gw-1.example.com+8a7b6c5d+AW... --witness w1.example.org+0d1e2f30+BA...",
    "",
    'JSON: {"ok", "origin", "size", "from", "entries", "root", "keys": [{"vkey", "trusted"}], "checkpoints", "checkpointSize",',
    '  "witnessed": [{"vkey", "size", "time"}], "open", "findings": [{"check", "place", "text"}], "found": how many,',
    '  "remarks": [text], "seconds"}',
  ],
  run: async (args, terminal) => {
    const source = openLog(args, terminal);
    try {
      const [since, sinceFile] = readSince(args.text("since"));
      const files = [...args.all("checkpoint"), ...(sinceFile === null ? [] : [sinceFile])];
      const startedMs = performance.now();
      const verdict = await verifyLog(source, {
        keys: args.all("key").map((text) => readKey("key", text)),
        witnesses: args.all("witness").map((text) => readKey("witness", text)),
        kept: files.map(readCheckpointFile),
        since,
        withoutRecordings: args.flag("without-recordings"),
        onProgress: progressOn(terminal),
      });
      terminal.progress("");
      const seconds = (performance.now() - startedMs) / 1000;
      if (args.isJson) terminal.out(JSON.stringify(verdictView(verdict, seconds)));
      else for (const line of verdictLines(verdict, seconds)) terminal.out(printable(line));
      return verdict.count === 0 ? 0 : 1;
    } finally {
      terminal.progress("");
      source.close();
    }
  },
};

function openLog(args: Arguments, terminal: Terminal): LogSource {
  const named = args.text("FOLDER");
  const folder = named === undefined ? requireConfiguration(args, terminal).data : resolve(named);
  const place: SourcePlace | null = sourceIn(folder);
  if (place === null) {
    throw new CommandError(
      `there is no log in ${folder}`,
      "Name a data folder, which holds audit.db, or a folder that weir audit export or evidence has written.",
    );
  }
  return openSource(place);
}

/** A verifier key as text, or in a file. */
function readKey(option: string, text: string): NoteVerifier {
  const line = existsSync(text) ? readFileSync(text, "utf8").trim() : text;
  try {
    return readVerifier(line);
  } catch (error) {
    throw new UsageError(`--${option}: ${text} is no verifier key, and no file with one: ${messageOf(error)}`);
  }
}

function readCheckpointFile(path: string): KeptCheckpoint {
  try {
    return readKept(basename(path), readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path} holds no checkpoint: ${messageOf(error)}`);
  }
}

/** A size, and the file that it is from. */
function readSince(text: string | undefined): [number, string | null] {
  if (text === undefined) return [0, null];
  const size = readSize(text);
  if (size !== null) return [size, null];
  if (!existsSync(text))
    throw new UsageError(`--since is a number of entries or a file with a checkpoint, not ${text}`);
  return [readCheckpointFile(text).checkpoint.size, text];
}

function progressOn(terminal: Terminal): (entries: number, of: number) => void {
  let shownMs = 0;
  return (entries, of) => {
    const now = performance.now();
    if (now - shownMs < PROGRESS_MS) return;
    shownMs = now;
    terminal.progress(`${entries.toLocaleString("en")} of ${of.toLocaleString("en")} entries`);
  };
}

export function verdictView(verdict: Verdict, seconds: number): Record<string, unknown> {
  const { findings, count, keys, witnessed, ...rest } = verdict;
  return {
    ok: count === 0,
    ...rest,
    keys: keys.map(({ vkey, isTrusted }) => ({ vkey, trusted: isTrusted })),
    witnessed: witnessed.map(({ vkey, size, timeSeconds }) => ({ vkey, size, time: isoTime(timeSeconds) })),
    findings: findings.kept,
    found: count,
    seconds,
  };
}

function verdictLines(verdict: Verdict, seconds: number): string[] {
  const { size, from, entries, checkpoints, checkpointSize, witnessed, count, findings } = verdict;
  const lines = [`log          ${verdict.origin ?? "without a checkpoint"}, ${size} entries, root ${verdict.root}`];
  if (from > 0) lines.push(`entries      ${entries} read, from ${from} on`);
  for (const { vkey, isTrusted } of verdict.keys) lines.push(`key          ${vkey}${isTrusted ? "" : " (not given)"}`);
  if (checkpointSize !== null) lines.push(`checkpoints  ${checkpoints}, the last of ${checkpointSize} entries`);
  for (const { vkey, size: seen, timeSeconds } of witnessed) {
    const left = size - seen;
    const rest = left === 0 ? "all of it" : `the last ${left} entries are newer`;
    lines.push(
      `witness      ${vkey} has cosigned ${seen} entries${timeSeconds === null ? "" : ` at ${isoTime(timeSeconds)}`}: ${rest}`,
    );
  }
  if (verdict.open > 0) lines.push(`open         ${verdict.open} operations have no outcome yet`);
  for (const remark of verdict.remarks) lines.push(`note         ${remark}`);
  for (const { place, text } of findings.kept) lines.push(`${place}: ${text}`);
  if (count > findings.kept.length) lines.push(`and ${count - findings.kept.length} findings more`);
  const speed = `${entries} entries in ${seconds.toFixed(1)} s`;
  lines.push(
    count === 0 ? `verified: nothing is wrong (${speed})` : `NOT AS IT SHOULD BE: ${count} findings (${speed})`,
  );
  return lines;
}

function isoTime(timeSeconds: number | null): string | null {
  return timeSeconds === null ? null : new Date(timeSeconds * 1000).toISOString();
}
