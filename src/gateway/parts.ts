/** What a gateway is made from, as its command gives it. */
import type { Config } from "../config/config.ts";
import type { Adapter, Clock } from "../core/ports.ts";
import type { Vocabulary } from "../core/vocabulary.ts";

export type GatewayParts = {
  readonly config: Config;
  readonly adapters: readonly Adapter[];
  /** The words that policies may use: those of the adapters, and of protocols whose adapters are still to come. */
  readonly vocabularies: readonly Vocabulary[];
  readonly version: string;
  readonly clock: Clock;
  /** Begin a new log when somebody has seen more of the old one than is there; absent: no. */
  readonly acceptLoss?: boolean;
  /** Told what people should know while the gateway runs: one line each. */
  readonly say: (line: string) => void;
};

/** The adapter of this name; undefined: there is none. */
export function adapterOf({ adapters }: Pick<GatewayParts, "adapters">, name: string): Adapter | undefined {
  return adapters.find((adapter) => adapter.name === name);
}
