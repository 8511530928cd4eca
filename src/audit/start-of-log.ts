/** How a gateway's log begins at a start: as it lies there, or under a new origin when somebody has seen more of it. */
import type { AuditLog } from "./audit.ts";
import { beginNewOrigin, finishNewOrigin, forgetNewOrigin, isNewOriginBegun, seenWords } from "./new-origin.ts";
import type { AcceptedLoss } from "./new-origin.ts";
import { askElsewhere, logBefore, noLog, seenByWitness } from "./seen-elsewhere.ts";
import type { SeenElsewhere } from "./seen-elsewhere.ts";
import type { WitnessClient } from "./witness-client.ts";

/** Somebody has seen more of the log than is there: it was cut, or an older copy was put back. */
export class LogSetBack extends Error {
  readonly code = "LOG_SET_BACK";
}

export type StartOfLogParts = {
  readonly folder: string;
  /** The gateway's name: the origin of its first log. */
  readonly name: string;
  readonly witnesses: readonly WitnessClient[];
  /** Others who may have seen the log. */
  readonly places: readonly { readonly where: string; readonly ask: SeenElsewhere }[];
  readonly acceptLoss: boolean;
  say(line: string): void;
};

/** `origin`: of a log that is to be made; one that is there has its own. `accepted`: what the new log must say first. */
export type StartOfLog = { readonly origin: string; readonly accepted: AcceptedLoss | null };

/** Asks everybody before the log is opened. Throws LogSetBack when the start must not go on. */
export async function startOfLog(parts: StartOfLogParts): Promise<StartOfLog> {
  const { folder, name, acceptLoss } = parts;
  // Anybody who can write here could leave the mark: only the operator's word sets a log aside.
  if (!acceptLoss && isNewOriginBegun(folder))
    throw new LogSetBack(`a start with --accept-loss was cut short, or somebody has left its mark in ${folder}`);
  // Also when a loss was accepted: what lies there now is to be the new log, which nobody has seen yet.
  finishNewOrigin(folder);
  await compare(parts);
  const accepted = finishNewOrigin(folder);
  if (accepted === null) return { origin: name, accepted };
  parts.say(`the log goes on as ${accepted.newOrigin}; the old one lies in ${accepted.aside}`);
  if (parts.witnesses.length > 0) parts.say("its witnesses need the new key: the line of log.vkey");
  return { origin: accepted.newOrigin, accepted };
}

async function compare(parts: StartOfLogParts): Promise<void> {
  const { folder, name, witnesses, places, acceptLoss } = parts;
  if (witnesses.length === 0 && places.length === 0) return;
  const log = logBefore(folder);
  // Witnesses know the log by its key; copies may have it also when the data folder is new and empty.
  const own = log ?? noLog(name);
  try {
    const asked =
      log === null
        ? []
        : witnesses.map((each) => ({ where: `the witness ${each.name}`, ask: seenByWitness(each, log) }));
    const { seen, unsaid } = await askElsewhere([...asked, ...places]);
    for (const line of unsaid) parts.say(`whether the log is whole cannot be asked: ${line}`);
    if (seen.length === 0) return;
    const words = seen.map((each) => seenWords(each, own));
    if (!acceptLoss) throw new LogSetBack(words.join("; "));
    for (const line of words) parts.say(`accepted as lost: ${line}`);
    beginNewOrigin(folder, name, own, seen);
  } finally {
    log?.close();
  }
}

/** Has the new log say what it follows. Resolves when that is on the disk. */
export async function recordAcceptedLoss(folder: string, log: AuditLog, accepted: AcceptedLoss | null): Promise<void> {
  if (accepted === null) return;
  const { oldOrigin, oldSize, oldRoot, seen } = accepted;
  await log.waitDurable(log.event("loss.accepted", { oldOrigin, oldSize, oldRoot, seen }));
  forgetNewOrigin(folder);
}
