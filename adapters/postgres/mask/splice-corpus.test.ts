/** Every text of the masking corpus, under each grammar: the lexer agrees with the parser, and identities can be spliced. */
import { beforeAll, describe, expect, test } from "bun:test";
import { attacks, benignEntries, newerAttacks } from "../../../test/corpus/masking.ts";
import { grammars, shapeOf, statementsOf } from "../../../test/corpus/splicing.ts";
import { isFields, loadParser } from "../parser.ts";
import type { Fields, ParsedStatement, ParseResult } from "../parser.ts";
import { splice } from "./splice.ts";
import type { Edit } from "./splice.ts";
import { SqlLexer } from "./sql-lexer.ts";

const encoder = new TextEncoder();

/** Relations in source position: where FROM, USING and joins list what they read. */
function sourcesIn(value: unknown): Fields[] {
  const found: Fields[] = [];
  const lists = new Set(["fromClause", "usingClause", "larg", "rarg", "sourceRelation"]);
  const visit = (node: unknown, isSource: boolean): void => {
    if (Array.isArray(node)) for (const item of node) visit(item, isSource);
    if (!isFields(node)) return;
    for (const [key, child] of Object.entries(node)) {
      if (key === "RangeVar" && isSource && isFields(child)) found.push(child);
      // The second copy of one source.
      const isCopy = key === "MultiAssignRef" && isFields(child) && child["colno"] !== 1;
      if (!isCopy) visit(child, lists.has(key));
    }
  };
  visit(value, false);
  return found;
}

function numberIn(fields: Fields, name: string): number {
  const value = fields[name];
  return typeof value === "number" ? value : 0;
}

function nameIn(fields: Fields): string {
  const parts = ["catalogname", "schemaname", "relname"].flatMap((field) => {
    const part = fields[field];
    return typeof part === "string" ? `"${part.replaceAll('"', '""')}"` : [];
  });
  return `${fields["inh"] === true ? "" : "ONLY "}${parts.join(".")}`;
}

/** The shape that a text should have when each source reads itself. */
function shapeWithSourcesInside(statements: readonly ParsedStatement[], read: (text: string) => ParseResult): string {
  const lists = new Set(["fromClause", "usingClause", "larg", "rarg", "sourceRelation"]);
  const put = (node: unknown, isSource: boolean): unknown => {
    if (Array.isArray(node)) return node.map((item: unknown) => put(item, isSource));
    if (!isFields(node)) return node;
    const relation = node["RangeVar"];
    if (isSource && isFields(relation)) {
      const [select] = statementsOf(`SELECT * FROM ${nameIn(relation)}`, read);
      const alias = relation["alias"] ?? { aliasname: relation["relname"] };
      return { RangeSubselect: { subquery: { SelectStmt: select?.node }, alias } };
    }
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, put(child, lists.has(key))]));
  };
  return shapeOf(statements.map(({ kind, node }) => [kind, put(node, false)]));
}

const corpus = [...attacks(), ...newerAttacks(), ...benignEntries()].flatMap(({ texts }) =>
  texts.map(({ sql }) => sql),
);

describe.each([...grammars])("the corpus with the grammar of $major", ({ major, read }) => {
  beforeAll(() => loadParser(major));

  test("every location of the tree is the beginning of a token", () => {
    let locations = 0;
    for (const text of corpus) {
      const result = read(text);
      if (result.kind !== "statements") continue;
      const starts = new Set<number>();
      const lexer = new SqlLexer(encoder.encode(text));
      for (lexer.next(); lexer.kind !== "end"; lexer.next()) {
        expect(lexer.kind).not.toBe("unknown");
        starts.add(lexer.start);
      }
      JSON.stringify(result.statements, (key, value: unknown) => {
        if (key === "location" && typeof value === "number" && value >= 0) {
          locations++;
          if (!starts.has(value)) throw new Error(`no token at ${value} of ${text}`);
        }
        return value;
      });
    }
    expect(locations).toBeGreaterThan(4000);
  });

  test("every source replaced by a query of itself parses as it should", () => {
    let edited = 0;
    for (const text of corpus) {
      const result = read(text);
      if (result.kind !== "statements") continue;
      const sources = sourcesIn(result.statements.map(({ node }) => node));
      const edits = sources.map((fields): Edit => {
        return { kind: "relation", at: numberIn(fields, "location"), subquery: `SELECT * FROM ${nameIn(fields)}` };
      });
      const outcome = splice(text, result.statements, edits, read);
      if (!("text" in outcome)) throw new Error(`${outcome.because}: ${text}`);
      const again = statementsOf(outcome.text, read);
      expect(shapeOf(again.map(({ kind, node }) => [kind, node]))).toBe(
        shapeWithSourcesInside(result.statements, read),
      );
      edited += edits.length;
    }
    expect(edited).toBeGreaterThan(350);
  });
});
