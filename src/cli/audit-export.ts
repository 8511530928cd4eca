/** `weir audit export`: the log, or a part of it, in forms that other programs read. */
import { createWriteStream, existsSync, mkdirSync, readdirSync } from "node:fs";
import { once } from "node:events";
import { csvHead, csvLine } from "../audit/export/csv.ts";
import { checkpointLine, jsonLine, type Prove } from "../audit/export/jsonl.ts";
import { ocsfEvent, type Product } from "../audit/export/ocsf.ts";
import { ParquetFile } from "../audit/export/parquet.ts";
import { rowOf } from "../audit/export/row.ts";
import { type ExportFilter, select, type SelectedEntry } from "../audit/export/selection.ts";
import { writeLogFolder } from "../audit/export/tiles.ts";
import { LogReader } from "../audit/query.ts";
import { LogTree } from "../audit/tree.ts";
import { openSource } from "../audit/verify/open-source.ts";
import type { StoredCheckpoint } from "../audit/verify/source.ts";
import type { Config } from "../config/config.ts";
import { DURATION_RULE, parseDuration } from "../policy/language/quantity.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { VERSION } from "./version.ts";

const FORMATS = ["jsonl", "csv", "parquet", "ocsf", "tiles"] as const;
type Format = (typeof FORMATS)[number];
const DECISIONS = ["permit", "ask", "deny", "house"];
const PROGRESS_ENTRIES = 10_000;

export const auditExportCommand: Command = {
  words: ["audit", "export"],
  summary: "Write the log, or a part of it, as JSON lines, CSV, Parquet, OCSF events or tlog tiles",
  positionals: [],
  options: [
    { name: "format", value: "F", description: `one of ${FORMATS.join(", ")}` },
    {
      name: "out",
      value: "PATH",
      description: "the file, or for tiles the folder, to make; standard output when left out",
    },
    {
      name: "since",
      value: "TIME",
      description: "only entries from then on: 2026-11-01T00:00:00Z, or a time back: 30d",
    },
    { name: "until", value: "TIME", description: "only entries before then" },
    { name: "subject", value: "S", description: "only of this subject" },
    { name: "target", value: "T", description: "only on this target" },
    { name: "event", value: "E", description: "only of this kind: operation.intent, login.failed, ..." },
    { name: "decision", value: "D", description: `only with this decision: ${DECISIONS.join(", ")}` },
    { name: "proofs", description: "jsonl: with what proves each entry, and the signed checkpoint as the last line" },
    CONFIG_OPTION,
  ],
  notes: [
    "Reads beside a running gateway or without one, with the same memory however long the log is. An outcome has the subject, target",
    "and decision of its operation. Parquet and tiles need --out; tiles are always the whole log up to its last checkpoint.",
    "",
    "  weir audit export --format csv --since 30d --decision deny --out refused.csv",
    "",
    'With --json: {"format", "entries", "out", "checkpoint": its size or null}, after the file is written; it needs --out.',
  ],
  run: async (args, terminal) => {
    const format = readFormat(args);
    const out = args.text("out");
    if (out === undefined && (format === "parquet" || format === "tiles" || args.isJson)) {
      throw new UsageError(
        `--out is missing: ${args.isJson ? "--json speaks of a file that was written" : `${format} is not written to a terminal`}`,
      );
    }
    if (args.flag("proofs") && format !== "jsonl")
      throw new UsageError("--proofs is for --format jsonl; tiles hold all that proofs are made of");
    const filter = readFilter(args);
    const config = requireConfiguration(args, terminal);
    try {
      const done =
        format === "tiles"
          ? exportTiles(config, out ?? "", filter, terminal)
          : await exportRows(config, format, args, filter, terminal);
      terminal.progress("");
      if (args.isJson) terminal.out(JSON.stringify({ format, out, ...done }));
      return 0;
    } finally {
      terminal.progress("");
    }
  },
};

type Done = { readonly entries: number; readonly checkpoint: number | null };

/** Where lines go; `ready` waits until what was written is out of the memory. */
type Lines = { write(line: string): void; ready(): Promise<void>; end(): Promise<void> };

async function exportRows(
  config: Config,
  format: Exclude<Format, "tiles">,
  args: Arguments,
  filter: ExportFilter,
  terminal: Terminal,
): Promise<Done> {
  const out = args.text("out");
  if (out !== undefined && existsSync(out)) throw new CommandError(`${out} is there already`, "Name another file.");
  const log = LogReader.open(config.data);
  try {
    if (format === "parquet")
      return { entries: await exportParquet(log, filter, out ?? "", terminal), checkpoint: null };
    const lines = out === undefined ? terminalLines(terminal) : fileLines(out);
    const proofs = args.flag("proofs") ? openProofs(config.data) : null;
    try {
      const product: Product = { gateway: config.name, version: VERSION };
      const line = lineOf(format, product, proofs?.prove ?? null);
      if (format === "csv") lines.write(`${csvHead()}\r`);
      let entries = 0;
      for await (const entry of select(log, filter)) {
        if (proofs !== null && entry.index >= proofs.checkpoint.size) break;
        lines.write(line(entry));
        entries++;
        if (entries % PROGRESS_ENTRIES === 0) terminal.progress(entriesWords(entries));
        await lines.ready();
      }
      if (proofs !== null) lines.write(checkpointLine(proofs.checkpoint.note));
      await lines.end();
      return { entries, checkpoint: proofs?.checkpoint.size ?? null };
    } finally {
      proofs?.close();
    }
  } finally {
    log.close();
  }
}

function lineOf(
  format: "jsonl" | "csv" | "ocsf",
  product: Product,
  prove: Prove | null,
): (entry: SelectedEntry) => string {
  if (format === "jsonl") return (entry) => jsonLine(entry, prove);
  if (format === "csv") return (entry) => `${csvLine(rowOf(entry))}\r`;
  return (entry) => JSON.stringify(ocsfEvent(entry, product));
}

async function exportParquet(log: LogReader, filter: ExportFilter, out: string, terminal: Terminal): Promise<number> {
  const file = new ParquetFile(out, `weir ${VERSION}`);
  let entries = 0;
  for await (const entry of select(log, filter)) {
    file.add(rowOf(entry));
    entries++;
    if (entries % PROGRESS_ENTRIES === 0) terminal.progress(entriesWords(entries));
  }
  file.end();
  return entries;
}

function exportTiles(config: Config, folder: string, filter: ExportFilter, terminal: Terminal): Done {
  if (Object.keys(filter).length > 0) {
    throw new UsageError(
      "tiles are the whole log: they take no filter",
      "weir audit evidence writes the tiles of a period.",
    );
  }
  makeEmptyFolder(folder);
  const source = openSource({ kind: "data", folder: config.data });
  try {
    const { entries, size } = writeLogFolder(source, folder, (done) => terminal.progress(entriesWords(done)));
    return { entries, checkpoint: size };
  } finally {
    source.close();
  }
}

/** Makes a folder, or takes one that is empty. */
export function makeEmptyFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (readdirSync(folder).length > 0) throw new CommandError(`${folder} is not empty`, "Name another folder.");
}

function openProofs(data: string): { readonly checkpoint: StoredCheckpoint; readonly prove: Prove; close(): void } {
  const tree = LogTree.open(data);
  const checkpoint = tree.latestCosigned() ?? tree.latestCheckpoint();
  if (checkpoint === null) {
    tree.close();
    throw new CommandError("the log has no checkpoint yet", "The gateway signs one some seconds after it has started.");
  }
  return { checkpoint, prove: (index) => tree.inclusionProof(index, checkpoint.size), close: () => tree.close() };
}

function terminalLines(terminal: Terminal): Lines {
  return { write: (line) => terminal.out(line), ready: async () => terminal.ready(), end: async () => {} };
}

function fileLines(path: string): Lines {
  const stream = createWriteStream(path, { flags: "wx", mode: 0o600 });
  const failed = new Promise<never>((_resolve, reject) => stream.once("error", reject));
  failed.catch(() => undefined);
  return {
    write: (line) => void stream.write(`${line}\n`),
    ready: async () => {
      if (stream.writableNeedDrain) await Promise.race([once(stream, "drain"), failed]);
    },
    end: async () => {
      stream.end();
      await Promise.race([once(stream, "close"), failed]);
    },
  };
}

function entriesWords(entries: number): string {
  return `${entries.toLocaleString("en")} entries`;
}

function readFormat(args: Arguments): Format {
  const word = args.required("format");
  const format = FORMATS.find((each) => each === word);
  if (format === undefined) throw new UsageError(`--format is one of ${FORMATS.join(", ")}, not ${word}`);
  return format;
}

function readFilter(args: Arguments): ExportFilter {
  const decision = args.text("decision");
  if (decision !== undefined && !DECISIONS.includes(decision)) {
    throw new UsageError(`--decision is one of ${DECISIONS.join(", ")}, not ${decision}`);
  }
  const [since, until] = [args.text("since"), args.text("until")];
  const [subject, target, event] = [args.text("subject"), args.text("target"), args.text("event")];
  return {
    ...(since === undefined ? {} : { sinceMs: readInstant("since", since) }),
    ...(until === undefined ? {} : { untilMs: readInstant("until", until) }),
    ...(subject === undefined ? {} : { subject }),
    ...(target === undefined ? {} : { target }),
    ...(event === undefined ? {} : { event }),
    ...(decision === undefined ? {} : { decision }),
  };
}

/** An instant in milliseconds: a date, a date with time and zone, or a duration back from now. */
export function readInstant(option: string, text: string): number {
  const backMs = parseDuration(text);
  if (backMs !== null) return Date.now() - backMs;
  // Without a zone a time would be read as that of this machine; a date alone is UTC.
  const isInstant = text.length === 10 || text.endsWith("Z") || ["+", "-"].includes(text.charAt(text.length - 6));
  const timeMs = isInstant ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(timeMs)) return timeMs;
  throw new UsageError(
    `--${option}: an instant such as 2026-11-01 or 2026-11-01T08:00:00Z, or ${DURATION_RULE}; not ${text}`,
  );
}
