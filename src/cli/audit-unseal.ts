/** `weir audit unseal`: opens what is sealed with an auditor's key, or writes it out for the age tool. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { messageOf } from "../core/message-of.ts";
import { nameOf } from "../record/check.ts";
import type { RecordingFacts } from "../record/reader.ts";
import { openSegment, openWrappedKey, readIdentities, recipientsOf } from "../record/unseal.ts";
import { printable } from "./audit-lines.ts";
import { linesOf } from "./audit-replay.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { readReason, whoRuns, withCustody } from "./custody-desk.ts";
import { CastShower, recordingLine, TranscriptShower } from "./recording-lines.ts";
import { checkOf, RECORDING_OPTIONS, withRecordings, type RecordingPlace } from "./recording-place.ts";

/** Far more than a file of identities has. */
const IDENTITY_BYTES_MAX = 1024 * 1024;

export const auditUnsealCommand: Command = {
  words: ["audit", "unseal"],
  summary: "Open the sealed part of a recording with an auditor's key",
  positionals: [{ name: "ID", description: "the id of a recording or of a session", kind: "required" }],
  options: [
    { name: "identity", value: "FILE", description: "the auditor's age identity, as age-keygen writes it" },
    { name: "reason", value: "TEXT", description: "why; the log keeps it" },
    { name: "out", value: "DIR", description: "write it to a file there instead of showing it" },
    { name: "export-age", value: "DIR", description: "open nothing: write the files that the age tool opens" },
    ...RECORDING_OPTIONS,
  ],
  notes: [
    "The log gets recording.unsealed, with who, why and the recipients of the keys, before anything is shown. With --data",
    "nothing is recorded: a copy of a log is not written to.",
    "",
    "With --export-age the log gets nothing, since nothing is opened. Afterwards, with the age tool:",
    "",
    "  age -d -i auditor.txt R-....key.age > session.txt",
    "  age -d -i session.txt R-....sealed.0000.age",
    "",
    "JSON: the lines as they were sealed",
  ],
  run: async (args, terminal) => {
    const exported = args.text("export-age");
    if (exported !== undefined) {
      if (args.text("identity") !== undefined)
        throw new UsageError("--export-age opens nothing and takes no --identity");
      return exportAge(exported, args, terminal);
    }
    const identities = readIdentityFile(args.required("identity"));
    const reason = args.text("data") === undefined ? readReason(args) : "";
    return withRecordings(args.required("ID"), args, terminal, async (place) => {
      const sealed = place.recordings.filter(({ seal }) => seal !== "none");
      if (sealed.length === 0)
        throw new CommandError("nothing of this was sealed", "weir audit replay shows what is in the clear.");
      let status = 0;
      for (const facts of sealed) if (!(await unseal(facts, identities, reason, place, args, terminal))) status = 1;
      return status;
    });
  },
};

/** False when something is wrong with what is stored. */
async function unseal(
  facts: RecordingFacts,
  identities: readonly string[],
  reason: string,
  { folder, config, reader }: RecordingPlace,
  args: Arguments,
  terminal: Terminal,
): Promise<boolean> {
  const wrapped = reader.wrappedKey(facts.id);
  if (wrapped === null) {
    throw new CommandError(
      `the sealed part of ${facts.id} was shredded: its key is gone`,
      "weir audit show with its id says when and why.",
    );
  }
  const check = await checkOf(facts, folder, terminal);
  const exchanged = check.keyProblem(wrapped);
  if (exchanged !== null) {
    throw new CommandError(exchanged, "Only the key that was stored opens what was sealed: look for it in a copy.");
  }
  const identity = await openWrappedKey(wrapped, identities);
  if (config === null) {
    terminal.err("Nothing was recorded about this: the folder is a copy, to whose log nothing is written.");
  } else {
    const keys = await recipientsOf(identities);
    await withCustody(config, async (desk) =>
      desk.recordUnsealing({ recording: facts.id, by: whoRuns(), reason }, keys),
    );
  }
  const out = args.text("out");
  if (!args.isJson) terminal.err(recordingLine(facts));
  const problems: string[] = [];
  const opened = out === undefined ? shower(facts, args, terminal) : fileWriter(facts, out, terminal);
  for (const segment of reader.segments(facts.id, "sealed")) {
    const problem = check.problem(segment);
    if (problem !== null) {
      problems.push(problem);
      break;
    }
    opened.take(await openSegment(segment.data, identity, nameOf(segment)));
  }
  opened.end();
  if (problems.length === 0) problems.push(...check.missing(["sealed"]));
  for (const each of problems) terminal.err(`weir: ${each}`);
  return problems.length === 0;
}

/** Where the segments go that were opened. */
type Opened = { take(data: Uint8Array): void; end(): void };

function shower(facts: RecordingFacts, args: Arguments, terminal: Terminal): Opened {
  const isCast = facts.kind === "asciicast";
  const lines = isCast ? new CastShower(false) : new TranscriptShower(facts.startedMs);
  const print = (text: string): void => {
    if (isCast) terminal.write(text);
    else if (text !== "") terminal.out(text);
  };
  return {
    take: (data) => {
      for (const line of linesOf(data)) {
        if (args.isJson) terminal.out(line);
        else print(lines.show(line).text);
      }
    },
    end: () => print(lines.rest()),
  };
}

function fileWriter({ id, kind }: RecordingFacts, out: string, terminal: Terminal): Opened {
  mkdirSync(out, { recursive: true, mode: 0o700 });
  const path = join(resolve(out), `${id}.sealed.${kind === "asciicast" ? "cast" : "jsonl"}`);
  writeFileSync(path, "", { mode: 0o600, flag: "wx" });
  terminal.out(path);
  return { take: (data) => writeFileSync(path, data, { flag: "a" }), end: () => {} };
}

async function exportAge(out: string, args: Arguments, terminal: Terminal): Promise<number> {
  return withRecordings(args.required("ID"), args, terminal, async ({ folder, reader, recordings }) => {
    mkdirSync(out, { recursive: true, mode: 0o700 });
    let status = 0;
    const write = (name: string, data: Uint8Array): void => {
      const path = join(resolve(out), name);
      writeFileSync(path, data, { mode: 0o600 });
      terminal.out(args.isJson ? JSON.stringify({ path }) : path);
    };
    for (const facts of recordings) {
      const wrapped = reader.wrappedKey(facts.id);
      const check = await checkOf(facts, folder, terminal);
      if (wrapped === null) {
        terminal.err(
          `weir: ${facts.id} has no key: ${facts.seal === "none" ? "nothing of it is sealed" : "it was shredded"}`,
        );
        status = 1;
      } else {
        write(`${facts.id}.key.age`, wrapped);
        const exchanged = check.keyProblem(wrapped);
        if (exchanged !== null) terminal.err(`weir: ${exchanged}`);
        if (exchanged !== null) status = 1;
      }
      for (const segment of reader.segments(facts.id, "sealed")) {
        const problem = check.problem(segment);
        if (problem !== null) terminal.err(`weir: ${problem}`);
        if (problem !== null) status = 1;
        write(`${facts.id}.sealed.${String(segment.number).padStart(4, "0")}.age`, segment.data);
      }
      const missing = check.missing(["sealed"]);
      for (const each of missing) terminal.err(`weir: ${each}`);
      if (missing.length > 0) status = 1;
    }
    return status;
  });
}

function readIdentityFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`the identity cannot be read: ${messageOf(error)}`);
  }
  if (text.length > IDENTITY_BYTES_MAX) throw new CommandError(`${printable(path)} is too large for an identity`);
  if (text.startsWith("age-encryption.org/v1") || text.startsWith("-----BEGIN AGE")) {
    throw new CommandError(
      `${printable(path)} is encrypted itself`,
      `Open it first: age -d ${printable(path)} > identity.txt`,
    );
  }
  return readIdentities(text);
}
