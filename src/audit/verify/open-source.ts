/** Opens what is to be verified, whatever it is: each thread of a verification opens its own. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LOG_FILE } from "../schema.ts";
import { DataSource } from "./data-source.ts";
import type { LogSource, SourcePlace } from "./source.ts";
import { TilesSource } from "./tiles-source.ts";

/** Throws with a sentence for people. */
export function openSource({ kind, folder }: SourcePlace): LogSource {
  return kind === "data" ? DataSource.open(folder) : TilesSource.open(folder);
}

/** What a folder holds: a log, or a tree of tiles. Null: neither. */
export function sourceIn(folder: string): SourcePlace | null {
  if (existsSync(join(folder, LOG_FILE))) return { kind: "data", folder };
  if (existsSync(join(folder, "checkpoint")) && existsSync(join(folder, "tile"))) return { kind: "tiles", folder };
  return null;
}
