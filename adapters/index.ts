/** The protocols that this gateway speaks: one line each. */
import type * as v from "valibot";
import type { Adapter } from "../src/core/ports.ts";
import { postgresAdapter } from "./postgres/adapter.ts";
import { postgresTargetSchema } from "./postgres/settings.ts";

/** An adapter, and the shape of its section in a target of weir.yaml. */
type Entry = { readonly adapter: Adapter; readonly targetSchema: v.GenericSchema };

const ENTRIES: readonly Entry[] = [{ adapter: postgresAdapter, targetSchema: postgresTargetSchema }];

export const ADAPTERS: readonly Adapter[] = ENTRIES.map((entry) => entry.adapter);

/** The shape of each adapter's target section, by the adapter's name. */
export const TARGET_SCHEMAS: Readonly<Record<string, v.GenericSchema>> = Object.fromEntries(
  ENTRIES.map((entry) => [entry.adapter.name, entry.targetSchema]),
);
