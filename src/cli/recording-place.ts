/** Where a command about recordings finds them: the configuration's data folder, or a copy of one. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { LogReader } from "../audit/query.ts";
import { LOG_FILE } from "../audit/schema.ts";
import type { Config } from "../config/config.ts";
import { SegmentCheck } from "../record/check.ts";
import { RecordingReader, type RecordingFacts } from "../record/reader.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Arguments, Option, Terminal } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

export const RECORDING_OPTIONS: readonly Option[] = [
  { name: "data", value: "DIR", description: "a copy of a data folder, instead of the configuration's" },
  CONFIG_OPTION,
];

export type RecordingPlace = {
  /** Absolute. */
  readonly folder: string;
  /** Null: a copy, to which nothing is written. */
  readonly config: Config | null;
  readonly reader: RecordingReader;
  /** Those of the id, which is a recording's or a session's; at least one. */
  readonly recordings: readonly RecordingFacts[];
};

/** Opens the recordings of an id. */
export async function withRecordings<T>(
  id: string,
  args: Arguments,
  terminal: Terminal,
  work: (place: RecordingPlace) => Promise<T>,
): Promise<T> {
  const copy = args.text("data");
  const config = copy === undefined ? requireConfiguration(args, terminal) : null;
  const folder = resolve(copy ?? config?.data ?? "");
  const reader = RecordingReader.open(folder);
  if (reader === null) {
    throw new CommandError(
      `${folder} holds no recordings`,
      "A session is recorded when a rule obliges to it: record: [input].",
    );
  }
  try {
    const recordings = reader.find(id);
    if (recordings.length === 0) {
      throw new CommandError(
        `there is no recording of ${id}`,
        "weir audit tail shows recording.started with the ids of recordings and of their sessions.",
      );
    }
    return await work({ folder, config, reader, recordings });
  } finally {
    reader.close();
  }
}

/** What holds the segments of a recording against the folder's log; it says so when there is none. */
export async function checkOf(facts: RecordingFacts, folder: string, terminal: Terminal): Promise<SegmentCheck> {
  if (!existsSync(join(folder, LOG_FILE))) {
    terminal.err("There is no log in this folder, so the segments were only held against the hashes beside them.");
    return new SegmentCheck(facts, null);
  }
  const log = LogReader.open(folder);
  try {
    // A clock that went back makes a recording seem younger than its entries: then all of them are read.
    const later = await log.operation(facts.id, await log.firstSince(facts.startedMs));
    const isWhole = later.some(({ leaf }) => leaf.shape === "event" && leaf.event === "recording.started");
    const events = isWhole ? later : await log.operation(facts.id);
    return new SegmentCheck(
      facts,
      events.flatMap(({ leaf }) => (leaf.shape === "event" ? [{ event: leaf.event, facts: leaf.facts }] : [])),
    );
  } finally {
    log.close();
  }
}
