/** What has changed between two catalogs: names by key, labels, or only what policy does not name. */
import { expect, test } from "bun:test";
import { catalogChange } from "./catalog-change.ts";
import { makeCatalogTarget } from "./catalog.ts";

const CONTENT = {
  name: "db",
  adapter: "postgres",
  labels: { env: "prod", team: "a" },
  names: { relations: ["app.a", "app.b"], databases: ["shop"] },
  unlisted: { relations: ["pg_catalog.**"] },
  detail: { version: 15 },
};
const BEFORE = makeCatalogTarget(CONTENT);
const changeTo = (more: Partial<typeof CONTENT> | { readonly names: Record<string, readonly string[]> }) =>
  catalogChange(BEFORE, makeCatalogTarget({ ...CONTENT, ...more }));

test("nothing", () => {
  expect(changeTo({})).toBeNull();
});

test("names that are new and names that are gone, by key, sorted", () => {
  expect(changeTo({ names: { relations: ["app.b", "app.c"], databases: ["shop", "test"] } })).toEqual({
    names: [
      { key: "databases", added: ["test"], removed: [] },
      { key: "relations", added: ["app.c"], removed: ["app.a"] },
    ],
    labels: null,
    onlyDetail: false,
  });
});

test("keys that are new and keys that are gone, whole", () => {
  expect(changeTo({ names: { columns: ["app.a.x"], relations: ["app.a", "app.b"] } })?.names).toEqual([
    { key: "columns", added: ["app.a.x"], removed: [] },
    { key: "databases", added: [], removed: ["shop"] },
  ]);
});

test("labels, with their values", () => {
  expect(changeTo({ labels: { env: "test", team: "a" } })).toEqual({
    names: [],
    labels: { key: "labels", added: ["env: test"], removed: ["env: prod"] },
    onlyDetail: false,
  });
});

test("nothing that policy names", () => {
  for (const more of [{ detail: { version: 16 } }, { unlisted: { relations: [] } }]) {
    expect(changeTo(more)).toEqual({ names: [], labels: null, onlyDetail: true });
  }
});
