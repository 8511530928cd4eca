/** The protocols that this gateway speaks: one line each. */
import type * as v from "valibot";
import type { KeptKind } from "../src/core/obligation.ts";
import type { Adapter } from "../src/core/ports.ts";
import type { Vocabulary } from "../src/core/vocabulary.ts";
import { HTTP_VOCABULARY } from "./http/vocabulary.ts";
import { MCP_VOCABULARY } from "./mcp/vocabulary.ts";
import { postgresAdapter } from "./postgres/adapter.ts";
import { postgresTarget } from "./postgres/settings.ts";
import { sshAdapter } from "./ssh/adapter.ts";
import { sshTarget } from "./ssh/settings.ts";

/** What weir.yaml may say of a target: `section` under the adapter's name, `masking` beside it, `settings` both together. */
type TargetShape = {
  readonly section: v.GenericSchema;
  /** Null: this protocol has no such key. */
  readonly masking: v.GenericSchema | null;
  readonly settings: v.GenericSchema;
};

/** An adapter, and what weir.yaml may say of its targets. */
type Entry = { readonly adapter: Adapter; readonly target: TargetShape };

const ENTRIES: readonly Entry[] = [
  { adapter: postgresAdapter, target: postgresTarget },
  { adapter: sshAdapter, target: sshTarget },
];

export const ADAPTERS: readonly Adapter[] = ENTRIES.map((entry) => entry.adapter);

/** Protocols whose words policy has before the gateway speaks them. */
const PLANNED: readonly Vocabulary[] = [MCP_VOCABULARY, HTTP_VOCABULARY];

/** All words that policies may use. */
export const VOCABULARIES: readonly Vocabulary[] = [...ADAPTERS.flatMap((adapter) => adapter.vocabularies), ...PLANNED];

/** The obligations that are or will be kept, by the vocabulary's name. */
export const KEEPS: ReadonlyMap<string, readonly KeptKind[]> = new Map([
  ...ADAPTERS.flatMap(({ vocabularies, keeps }) => vocabularies.map(({ name }) => [name, keeps] as const)),
  ...PLANNED.map(({ name, keeps }) => [name, [...keeps, "raw", "readOnly"]] as const),
]);

/** The shapes of each adapter's targets, by the adapter's name. */
export const TARGET_SCHEMAS: Readonly<Record<string, TargetShape>> = Object.fromEntries(
  ENTRIES.map((entry) => [entry.adapter.name, entry.target]),
);
