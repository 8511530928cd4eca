/** The database that a client gets whose forward has already named the target. */
import { databaseNameOf } from "./databases.ts";
import type { PostgresSettings } from "./settings.ts";

/** `part` is DATABASE of a forward to `TARGET.DATABASE`; `asked` is the startup packet's database, or else its user. */
export type ArrivingNames = {
  readonly targetName: string;
  readonly part: string | null;
  readonly user: string;
  readonly asked: string;
};

/**
 * The forward's own database, or the target's. A client may name that again in any way, and where the forward names
 * none also another database that the target lists; one that names its user, as clients do that were told of no
 * database, names none. Null: it asks for what is not there.
 */
export function arrivingDatabase(settings: PostgresSettings, names: ArrivingNames): string | null {
  const { targetName, part, user, asked } = names;
  const fixed = databaseNameOf(settings, part);
  if (fixed === null) return null;
  const own = asked.startsWith(`${targetName}.`) ? asked.slice(targetName.length + 1) : asked;
  if (own === fixed || asked === targetName) return fixed;
  const isListed = own === settings.database || settings.databases.includes(own);
  if (part === null && isListed) return own;
  if (asked === user) return fixed;
  return part === null ? databaseNameOf(settings, own) : null;
}
