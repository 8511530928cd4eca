/** `--all-gateways`: the same questions, asked of the shared copy that several gateways ship their logs to. */
import { ShipError } from "../audit/ship/bounded-fetch.ts";
import { type SharedEntry, SharedCopy } from "../audit/ship/shared-copy.ts";
import type { Config } from "../config/config.ts";
import { entryLine, printable } from "./audit-lines.ts";
import { CommandError } from "./command.ts";
import type { Arguments, Option, Terminal } from "./command.ts";

export const ALL_GATEWAYS: Option = {
  name: "all-gateways",
  description: "of every gateway that ships to the same libSQL server (audit.ship.libsql)",
};

/** Works with the shared copy that the configuration names. Throws CommandError when there is none, or it does not answer. */
export async function withSharedCopy<T>(config: Config, work: (copy: SharedCopy) => Promise<T>): Promise<T> {
  const { libsql } = config.audit.ship;
  if (libsql === null) {
    throw new CommandError(
      "there is no shared copy: audit.ship.libsql is not configured",
      "docs/shipping.md says how to set one up.",
    );
  }
  const copy = new SharedCopy(libsql);
  try {
    return await work(copy);
  } catch (error) {
    if (error instanceof ShipError) throw new CommandError(`the shared copy at ${libsql.url}: ${error.message}`);
    throw error;
  } finally {
    copy.close();
  }
}

/** Prints an entry as `weir audit search` does, with its gateway before it. */
export function printShared({ gateway, hash, json, leaf }: SharedEntry, args: Arguments, terminal: Terminal): void {
  const line = `{"gateway":${JSON.stringify(gateway)},"hash":"${hash}","leaf":${json}}`;
  terminal.out(args.isJson ? line : `${printable(gateway)}  ${entryLine(leaf)}`);
}
