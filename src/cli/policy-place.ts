/** Where the policies of a policy command lie: `--policies DIR`, or as the configuration says. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { VOCABULARIES } from "../../adapters/index.ts";
import type { Config } from "../config/config.ts";
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Arguments, Option, Terminal } from "./command.ts";
import { DEFAULT_FILE, requireConfiguration } from "./configuration.ts";

export const POLICY_OPTIONS: readonly Option[] = [
  CONFIG_OPTION,
  { name: "policies", value: "DIR", description: "the policy folder, instead of the configuration's" },
];

export type PolicyPlace = {
  /** Absolute. */
  readonly folder: string;
  /** Null: only the folder was named. */
  readonly config: Config | null;
  /** Those of the configuration; null: not known here. */
  readonly targets: readonly Target[] | null;
  readonly vocabularies: readonly Vocabulary[];
};

/** A folder named without a configuration stands alone: targets are then what its catalog says. */
export function policyPlace(args: Arguments, terminal: Terminal): PolicyPlace {
  const folder = args.text("policies");
  const isAlone = folder !== undefined && args.text("config") === undefined;
  if (folder === undefined && args.text("config") === undefined && !existsSync(DEFAULT_FILE)) {
    throw new CommandError(
      `there is no ${DEFAULT_FILE} here, which would say where the policies are`,
      "Name the policy folder with --policies DIR, which may be new and empty, or the configuration with --config FILE.",
    );
  }
  const config = isAlone ? null : requireConfiguration(args, terminal);
  return {
    folder: resolve(folder ?? config?.policies ?? "policies"),
    config,
    targets: config?.targets ?? null,
    vocabularies: VOCABULARIES,
  };
}
