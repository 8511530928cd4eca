/** Before a log goes on: whether somebody else has seen more of it, or another one, than what lies in the data folder. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { keysFolder } from "./log-keys.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { checkpointText, readSigner, signNote } from "./note.ts";
import { messageOf } from "../core/message-of.ts";
import { LOG_FILE } from "./schema.ts";
import { LogTree } from "./tree.ts";
import type { WitnessClient } from "./witness-client.ts";

/** For all places together. */
const ASKING_MS_MAX = 15_000;

/**
 * Asks one place for the log: resolves to where it is and how many entries it has seen when that does not go with the
 * log of the data folder (more than it has, or not what it has), to null when it does. Rejects when it cannot say.
 */
export type SeenElsewhere = () => Promise<{ readonly where: string; readonly size: number } | null>;

export type Seen = { readonly where: string; readonly size: number };

/** What the data folder has of a log; `root` in lower-case hex, at that size. */
export type OwnLog = { readonly origin: string; readonly size: number; readonly root: string };

/** No log at all. */
export function noLog(origin: string): OwnLog {
  return { origin, size: 0, root: Buffer.from(EMPTY_ROOT).toString("hex") };
}

/** The log as it lies in the data folder before it is opened for writing. */
export type LogBefore = OwnLog & {
  /** Its newest signed checkpoint. */
  readonly newest: { readonly size: number; readonly note: string };
  /** RFC 9162, 2.1.4. */
  proof(from: number, to: number): readonly Uint8Array[];
  close(): void;
};

/**
 * Looks at the log of a folder without changing anything; null when there is none that a
 * witness could have seen: it has no key, be it new or of an earlier version.
 */
export function logBefore(folder: string): LogBefore | null {
  const key = join(keysFolder(folder), "log.key");
  if (!existsSync(key)) return null;
  const signer = readSigner(readFileSync(key, "utf8"));
  const none = signNote(checkpointText({ origin: signer.name, size: 0, root: EMPTY_ROOT, extensions: [] }), [signer]);
  const empty = { size: 0, note: none };
  const file = join(folder, LOG_FILE);
  if (!existsSync(file) || statSync(file).size === 0) {
    return { ...noLog(signer.name), newest: empty, proof: () => [], close: () => {} };
  }
  const tree = LogTree.open(folder);
  const { size } = tree;
  return {
    origin: tree.origin,
    size,
    root: Buffer.from(tree.root(size)).toString("hex"),
    newest: tree.latestCheckpoint() ?? empty,
    proof: (from, to) => tree.consistencyProof(from, to),
    close: () => tree.close(),
  };
}

/** Asks a witness with the log's newest checkpoint: a request that says nothing that the log has not said before. */
export function seenByWitness(witness: WitnessClient, log: LogBefore): SeenElsewhere {
  const where = `the witness ${witness.name} (${witness.url})`;
  return async () => {
    const { newest } = log;
    const signal = AbortSignal.timeout(ASKING_MS_MAX);
    const first = await witness.ask({ oldSize: 0, proof: [], note: newest.note }, signal);
    if (first.kind === "cosigned") return null;
    if (first.kind === "conflict") throw new Error(first.message);
    const { size } = first;
    // A signed checkpoint is in the log's file before anybody sees it: one that is not there was taken away.
    if (size > newest.size) return { where, size };
    const proof = log.proof(size, newest.size);
    const again = await witness.ask({ oldSize: size, proof, note: newest.note }, signal);
    if (again.kind === "cosigned") return null;
    return { where, size: again.kind === "size" ? again.size : size };
  };
}

/** Asks all places at once. `unsaid`: those that could not say, and why. */
export async function askElsewhere(
  places: readonly { readonly where: string; readonly ask: SeenElsewhere }[],
): Promise<{ readonly seen: readonly Seen[]; readonly unsaid: readonly string[] }> {
  const seen: Seen[] = [];
  const unsaid: string[] = [];
  await Promise.all(
    places.map(async ({ where, ask }) => {
      try {
        const found = await ask();
        if (found !== null) seen.push(found);
      } catch (error) {
        unsaid.push(`${where}: ${messageOf(error)}`);
      }
    }),
  );
  return { seen, unsaid };
}
