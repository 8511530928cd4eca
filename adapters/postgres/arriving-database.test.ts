/** Which database a client gets that comes through a forward to a target. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { arrivingDatabase } from "./arriving-database.ts";
import { postgresTarget } from "./settings.ts";
import type { PostgresSettings } from "./settings.ts";

function settingsWith(databases: readonly string[]): PostgresSettings {
  const postgres = { host: "127.0.0.1", port: 5432, database: "orders", user: "weir", databases };
  return v.parse(postgresTarget.settings, { postgres });
}

const LISTED = ["analytics", "ann"];

test.each([
  // The forward names the target alone.
  { asked: "carl", user: "carl", gets: "orders" },
  { asked: "shop", user: "carl", gets: "orders" },
  { asked: "orders", user: "carl", gets: "orders" },
  { asked: "shop.orders", user: "carl", gets: "orders" },
  { asked: "analytics", user: "carl", gets: "analytics" },
  { asked: "shop.analytics", user: "carl", gets: "analytics" },
  { asked: "postgres", user: "carl", gets: null },
  { asked: "shop.postgres", user: "carl", gets: null },
  { asked: "other", user: "carl", gets: null },
  { asked: "other.orders", user: "carl", gets: null },
  // A user with the name of a database that is listed.
  { asked: "ann", user: "ann", gets: "ann" },
  { asked: "", user: "", gets: "orders" },
  // The forward names a database too.
  { part: "analytics", asked: "carl", user: "carl", gets: "analytics" },
  { part: "analytics", asked: "ann", user: "ann", gets: "analytics" },
  { part: "analytics", asked: "shop", user: "carl", gets: "analytics" },
  { part: "analytics", asked: "analytics", user: "carl", gets: "analytics" },
  { part: "analytics", asked: "shop.analytics", user: "carl", gets: "analytics" },
  { part: "analytics", asked: "orders", user: "carl", gets: null },
  { part: "analytics", asked: "shop.orders", user: "carl", gets: null },
  { part: "postgres", asked: "carl", user: "carl", gets: null },
  // Every database is listed.
  { listed: ["*"], asked: "postgres", user: "carl", gets: "postgres" },
  { listed: ["*"], asked: "carl", user: "carl", gets: "orders" },
  { listed: ["*"], part: "postgres", asked: "carl", user: "carl", gets: "postgres" },
  { listed: ["*"], part: "postgres", asked: "other", user: "carl", gets: null },
])("%o", ({ listed = LISTED, part = null, asked, user, gets }) => {
  const names = { targetName: "shop", part, user, asked };
  expect(arrivingDatabase(settingsWith(listed), names)).toBe(gets);
});
