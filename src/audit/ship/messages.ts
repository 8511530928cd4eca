/** What the gateway and its shipper tell each other. */
import * as v from "valibot";
import type { ServerPlace } from "./libsql-connection.ts";
import type { S3Place } from "./s3-copy.ts";

/** Where copies go; at least one is there. */
export type ShipPlaces = { readonly libsql: ServerPlace | null; readonly s3: S3Place | null };

export type ShipSettings = { readonly folder: string; readonly places: ShipPlaces };

/** How a copy stands. */
export type CopyState = {
  readonly destination: "libsql" | "s3";
  /** Where it is: without secrets. */
  readonly where: string;
  /** Entries that it surely has; null: it has not answered yet. */
  readonly size: number | null;
  /** Null while all is well. */
  readonly failure: string | null;
  /** What it has that does not go with the log: more of it, or another one of its name. Null: nothing, as far as is known. */
  readonly fork: string | null;
  /** What cannot be copied there at all. */
  readonly caveat: string | null;
};

export type ShipperMessage =
  | { readonly kind: "state"; readonly state: CopyState }
  /** The first failure of a series, and the first success after it. */
  | { readonly kind: "failed"; readonly destination: CopyState["destination"]; readonly reason: string }
  | { readonly kind: "recovered"; readonly destination: CopyState["destination"] }
  | { readonly kind: "finished" };

const server = v.object({ url: v.string(), token: v.nullable(v.string()) });
const bucket = v.object({
  endpoint: v.string(),
  bucket: v.string(),
  region: v.string(),
  prefix: v.string(),
  accessKeyId: v.string(),
  secretAccessKey: v.string(),
  lockMs: v.nullable(v.number()),
});
const settings = v.object({
  folder: v.string(),
  places: v.object({ libsql: v.nullable(server), s3: v.nullable(bucket) }),
});

/** What a Worker was started with. */
export function readShipSettings(data: unknown): ShipSettings {
  return v.parse(settings, data);
}
