/** What `weir up --accept-loss` does: sets a log aside whose end is gone, and begins another that says so. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { keysFolder, VKEY_FILE } from "./log-keys.ts";
import type { OwnLog, Seen } from "./seen-elsewhere.ts";
import { LOG_FILE } from "./schema.ts";
import { syncFolder } from "./sync-folder.ts";

/** Written first and removed last, so that a start that is cut short is finished by the next one that accepts the loss. */
const MARK_FILE = "audit.new-origin";
const ASIDE_START = "audit.lost-";
/** What is built from the log, and the log itself last: when it is there, all is. */
const ASIDE = ["search.db", LOG_FILE].flatMap((name) => [`${name}-wal`, `${name}-shm`, name]);

/** Of a log that was found to be set back while it is written to: for whoever is refused, and for the operator who reads why. */
export const UNTIL_ACCEPTED =
  "no new work is done until the gateway's operator has put the newest copy of its data folder back, or started it with --accept-loss";

const lossSchema = v.object({
  /** The origin of the log that was set aside, its size and its root (lower-case hex) as they lay in the data folder. */
  oldOrigin: v.string(),
  oldSize: v.number(),
  oldRoot: v.string(),
  /** Who has seen what of it: one sentence each. */
  seen: v.array(v.string()),
  newOrigin: v.string(),
  /** The folder inside the data folder into which the log was moved. */
  aside: v.string(),
  /** What lies in the data folder now is the new log. */
  isMoved: v.boolean(),
});

/** What is lost, and under which origin the log goes on. */
export type AcceptedLoss = v.InferOutput<typeof lossSchema>;

/** Notes that the log is to be set aside; finishNewOrigin() does it. `name`: the gateway's, the first origin. */
export function beginNewOrigin(folder: string, name: string, log: OwnLog, seen: readonly Seen[]): void {
  const number = 1 + Math.max(numberOf(name, log.origin), ...readdirSync(folder).map(numberOfAside));
  writeMark(folder, {
    oldOrigin: log.origin,
    oldSize: log.size,
    oldRoot: log.root,
    seen: seen.map((each) => seenWords(each, log)),
    newOrigin: `${name}/${number}`,
    aside: `${ASIDE_START}${number}`,
    isMoved: false,
  });
}

/** What somebody has seen, in words. */
export function seenWords({ where, size }: Seen, log: OwnLog): string {
  const more = size > log.size;
  return more
    ? `${where} has seen ${size} entries of ${log.origin}; here it has ${log.size}`
    : `${where} has seen ${size} entries of ${log.origin} that are not those here`;
}

/** Was a loss accepted by a start that was cut short, or does it look so? */
export function isNewOriginBegun(folder: string): boolean {
  return existsSync(join(folder, MARK_FILE));
}

/** Moves the old log aside, as far as that is not done yet; null when no loss was accepted. The log must not be open. */
export function finishNewOrigin(folder: string): AcceptedLoss | null {
  const path = join(folder, MARK_FILE);
  if (!existsSync(path)) return null;
  const loss = v.parse(v.pipe(v.string(), v.parseJson(), lossSchema), readFileSync(path, "utf8"));
  if (loss.isMoved) return loss;
  const aside = join(folder, loss.aside);
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  // The key first: without it nobody can go on with the old log, whatever comes between.
  const moves = [
    [join(keysFolder(folder), "log.key"), "log.key"],
    [join(folder, VKEY_FILE), VKEY_FILE],
    ...ASIDE.map((name) => [join(folder, name), name] as const),
  ] as const;
  for (const [from, to] of moves) if (existsSync(from)) renameSync(from, join(aside, to));
  for (const each of [aside, keysFolder(folder), folder]) if (existsSync(each)) syncFolder(each);
  const moved = { ...loss, isMoved: true };
  writeMark(folder, moved);
  return moved;
}

/** The new log says what it follows: the mark is no longer needed. */
export function forgetNewOrigin(folder: string): void {
  rmSync(join(folder, MARK_FILE), { force: true });
  syncFolder(folder);
}

/** Of `name` 1, of `name/2` 2. */
function numberOf(name: string, origin: string): number {
  const number = origin.startsWith(`${name}/`) ? Number(origin.slice(name.length + 1)) : 1;
  return Number.isSafeInteger(number) && number > 0 ? number : 1;
}

function numberOfAside(fileName: string): number {
  const number = fileName.startsWith(ASIDE_START) ? Number(fileName.slice(ASIDE_START.length)) : 1;
  return Number.isSafeInteger(number) ? number : 1;
}

function writeMark(folder: string, loss: AcceptedLoss): void {
  const path = join(folder, MARK_FILE);
  const file = openSync(`${path}.new`, "w", 0o600);
  try {
    writeFileSync(file, `${JSON.stringify(loss)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  syncFolder(folder);
}
