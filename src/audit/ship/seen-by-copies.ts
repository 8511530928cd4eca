/** The copies as witnesses: whether one of them has seen more of this log than lies in the data folder, or another log. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { EMPTY_ROOT } from "../merkle.ts";
import { LOG_FILE } from "../schema.ts";
import { ShipError } from "./bounded-fetch.ts";
import type { Destination } from "./destination.ts";
import { LibsqlCopy } from "./libsql-copy.ts";
import type { ShipPlaces } from "./messages.ts";
import { S3Copy } from "./s3-copy.ts";
import { FolderSource } from "./source.ts";

/** A start does not wait longer for a copy that does not answer. */
const ASKING_MS_MAX = 15_000;

export type SeenByCopy = {
  readonly where: string;
  /** Resolves to null when what the copy has goes with the log in the folder; rejects when the copy does not say. */
  readonly ask: () => Promise<{ readonly where: string; readonly size: number } | null>;
};

/** The copies that can be asked before the log of a folder is opened. `origin`: of the log, should there be none yet. */
export function seenByCopies(folder: string, origin: string, { libsql, s3 }: ShipPlaces): readonly SeenByCopy[] {
  const destinations: Destination[] = [];
  if (libsql !== null) destinations.push(new LibsqlCopy(libsql));
  if (s3 !== null) destinations.push(new S3Copy(s3));
  return destinations.map((destination) => {
    const where = `the copy at ${destination.where}`;
    return {
      where,
      ask: async () => {
        const { size, conflict } = await inTime(seen(folder, origin, destination));
        return conflict === null ? null : { where, size };
      },
    };
  });
}

async function seen(folder: string, origin: string, destination: Destination): ReturnType<Destination["seen"]> {
  const path = join(folder, LOG_FILE);
  if (!existsSync(path) || statSync(path).size === 0) {
    return destination.seen({ origin, size: 0, hash: () => null, root: () => EMPTY_ROOT });
  }
  const source = new FolderSource(folder);
  try {
    return await destination.seen(source);
  } finally {
    source.close();
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new ShipError(`no answer within ${ASKING_MS_MAX / 1000} s`)),
    ASKING_MS_MAX,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
