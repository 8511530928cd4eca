/** The catalog's files: what is read back is what was written, small changes change few lines, and what is wrong is said. */
import { describe, expect, test } from "bun:test";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import { catalogPath, formatCatalogTarget, makeCatalogTarget, readCatalog } from "./catalog.ts";
import { formatProblem } from "../problems.ts";

const SHOP = makeCatalogTarget({
  name: "shop",
  adapter: "postgres",
  labels: { team: "sales", env: "prod" },
  names: { relations: ["public.orders", "public.customers", "public.orders"], databases: ["shop"] },
  unlisted: { relations: ["pg_catalog.**"] },
  detail: { databases: { shop: { "2": [["id", "integer"]], __proto__x: null } }, isUtf8: true },
});

const encoder = new TextEncoder();

function file(path: string, content: unknown): { path: string; bytes: Uint8Array } {
  return { path, bytes: encoder.encode(typeof content === "string" ? content : JSON.stringify(content)) };
}

function problemsOf(...files: readonly { path: string; bytes: Uint8Array }[]): readonly string[] {
  return readCatalog(files).problems.map(formatProblem);
}

/** A good file with changes to its top level; undefined leaves a key out. */
function changed(changes: Readonly<Record<string, unknown>>): { path: string; bytes: Uint8Array } {
  const written: Record<string, unknown> = JSON.parse(formatCatalogTarget(SHOP));
  return file("catalog/shop.json", { ...written, digest: undefined, ...changes });
}

describe("a target of the catalog", () => {
  test("is read back as it was written", () => {
    const { catalog, problems } = readCatalog([file(catalogPath("shop"), formatCatalogTarget(SHOP))]);
    expect(problems).toEqual([]);
    expect(catalog.targets.get("shop")).toEqual(SHOP);
    expect(SHOP.names["relations"]).toEqual(["public.customers", "public.orders"]);
  });

  test("has the same text and digest in whatever order it was put together", () => {
    const other = makeCatalogTarget({
      detail: { isUtf8: true, databases: { shop: { __proto__x: null, "2": [["id", "integer"]] } } },
      unlisted: { relations: ["pg_catalog.**"] },
      names: { databases: ["shop"], relations: ["public.customers", "public.orders"] },
      labels: { env: "prod", team: "sales" },
      adapter: "postgres",
      name: "shop",
    });
    expect(other.digest).toBe(SHOP.digest);
    expect(Object.keys(other.names)).toEqual(["databases", "relations"]);
  });

  test("has the same digest whatever the order of keys within lists, and another for a map that looks like a list", () => {
    const digestOf = (detail: unknown): string => makeCatalogTarget({ ...SHOP, detail }).digest;
    expect(digestOf([{ b: 1, a: [2] }])).toBe(digestOf([{ a: [2], b: 1 }]));
    expect(digestOf([1, 2])).not.toBe(digestOf([2, 1]));
    expect(digestOf(["a"])).not.toBe(digestOf({ "0": "a" }));
  });

  test("has another digest when anything in it is another", () => {
    const content = { ...SHOP };
    const others: readonly CatalogTarget[] = [
      { ...content, name: "shop2" },
      { ...content, adapter: "mysql" },
      { ...content, labels: { ...content.labels, env: "test" } },
      { ...content, names: { ...content.names, databases: ["shop", "b"] } },
      { ...content, unlisted: {} },
      { ...content, detail: null },
    ];
    const digests = new Set([SHOP, ...others].map((target) => makeCatalogTarget(target).digest));
    expect(digests.size).toBe(others.length + 1);
  });

  test("gives one line to each name and to each item of a list", () => {
    const lines = formatCatalogTarget(SHOP).split("\n");
    expect(lines).toContain('      "public.customers",');
    expect(lines).toContain('          ["id","integer"]');
    const more = makeCatalogTarget({ ...SHOP, names: { ...SHOP.names, databases: ["shop", "archive"] } });
    const grown = formatCatalogTarget(more).split("\n");
    const added = grown.filter((line) => !lines.includes(line));
    expect(added.length).toBeLessThanOrEqual(2);
  });

  test("may be written by hand, without a digest and with little in it", () => {
    const { catalog, problems } = readCatalog([
      file("catalog/a.json", { apiVersion: "weir.dev/v1", kind: "Catalog", name: "a", adapter: "ssh" }),
    ]);
    expect(problems).toEqual([]);
    expect(catalog.targets.get("a")).toMatchObject({ labels: {}, names: {}, unlisted: {}, detail: null });
  });
});

describe("what is wrong with a file is said, and the file left out:", () => {
  const cases: readonly (readonly [name: string, file: { path: string; bytes: Uint8Array }, problem: string])[] = [
    ["changed by hand", changed({ digest: SHOP.digest, labels: {} }), "CATALOG_DIGEST the digest is not that of"],
    ["no JSON", file("catalog/shop.json", "{"), "SYNTAX the file is no JSON in UTF-8"],
    ["no UTF-8", { path: "catalog/shop.json", bytes: new Uint8Array([0x22, 0xff, 0x22]) }, "SYNTAX the file is no"],
    ["a list", file("catalog/shop.json", []), "WRONG_TYPE the file must be a map"],
    ["a key too many", changed({ extra: 1 }), 'UNKNOWN_KEY "extra" is not a key of a catalog file'],
    ["another kind", changed({ kind: "Permits" }), 'BAD_VALUE kind must be "Catalog"'],
    ["another version", changed({ apiVersion: "weir.dev/v2" }), 'BAD_VALUE apiVersion must be "weir.dev/v1"'],
    ["another name", changed({ name: "shop2" }), 'BAD_VALUE name must be "shop", as the file is called'],
    ["no adapter", changed({ adapter: undefined }), "WRONG_TYPE adapter must be text"],
    ["a label that is no text", changed({ labels: { env: 1 } }), "WRONG_TYPE labels must be text"],
    ["names that are no lists", changed({ names: { relations: "a" } }), "WRONG_TYPE names must hold lists of names"],
    ["a name that is none", changed({ names: { relations: [""] } }), "WRONG_TYPE names must be text"],
    ["a name too long", changed({ names: { relations: ["a".repeat(1025)] } }), "TOO_LARGE a text of names has more"],
    ["deep nesting", changed({ detail: JSON.parse("[".repeat(40) + "]".repeat(40)) }), "TOO_LARGE values are nested"],
    ["a folder of its own", { ...changed({}), path: "catalog/eu/shop.json" }, "WRONG_FOLDER files of the catalog"],
    ["a name that no target has", { ...changed({}), path: "catalog/Shop.json" }, "WRONG_FOLDER files of the catalog"],
  ];
  test.each(cases)("%s", (_, wrong, problem) => {
    const { catalog, problems } = readCatalog([wrong]);
    expect(problems.map(formatProblem).join("\n")).toStartWith(`${wrong.path} error ${problem}`);
    expect(catalog.targets.size).toBe(0);
  });

  test("one bad file does not hide another's target", () => {
    expect(problemsOf(changed({}), file("catalog/b.json", "{"))).toHaveLength(1);
    expect(readCatalog([changed({}), file("catalog/b.json", "{")]).catalog.targets.has("shop")).toBe(true);
  });
});
