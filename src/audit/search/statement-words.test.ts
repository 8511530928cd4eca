/** What is kept of recorded statements: names and keywords, and never a value. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { statementWords } from "./statement-words.ts";

const cases: readonly [text: string, words: string][] = [
  ["SELECT id, name FROM Public.Orders WHERE id = 42", "select id name from public orders where"],
  ["SELECT 'secret' AS a, E'sec\\'ret' b, $$secret$$ c, $t$sec$$ret$t$ d", "select as a b c d"],
  ["select 'it''s secret' x, U&'secret' y, u&\"secret\" z, B'01' q, x'AF' r, N'secret' s", "select x y z q r s"],
  [
    "SELECT 1e10, 0xAFFE, 1_000, 12ab, .5e3, $1, $2::int FROM t -- secret\n, u /* secret /* more */ secret */ , v",
    "select int from t u v",
  ],
  ['SELECT "secret name" FROM t WHERE a$b = b', "select from t where a$b b"],
  // From where the text could be read in two ways, nothing.
  ["SELECT a FROM t WHERE b = 'x\\' OR secret = 1", "select a from t where b"],
  ["SELECT a FROM t WHERE b = 'open OR secret", "select a from t where b"],
  ["SELECT a \\ secret", "select a"],
  ["SELECT a /* open secret", "select a"],
  ["SELECT a FROM $secret", "select a from"],
  ["SELECT a FROM t WHERE b = E'a' 'x\\' secret", "select a from t where b"],
  // Statements in which a bare word can be a value.
  ["SET app.password TO secret", "set"],
  ["ALTER ROLE ann SET search_path = secret; SELECT a FROM t", "alter role select a from t"],
  ["NOTIFY secret", "notify"],
  ["CREATE USER secret PASSWORD 'secret'", "create user"],
  ["EXPLAIN SELECT secret", "explain"],
  ["SELECT Käse FROM größe", "select käse from größe"],
  ["SELECT a\u{fffd} FROM t", ""],
  ["", ""],
];
for (const [text, words] of cases) {
  test(`keeps "${words}" of ${JSON.stringify(text)}`, () => {
    expect(statementWords(text).join(" ")).toBe(words);
  });
}

const SECRET = "zq7secret";
const quotings: readonly ((value: string) => string)[] = [
  (value) => `'${value.replaceAll("'", "''")}'`,
  (value) => `E'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`,
  (value) => `$x$${value.replaceAll("$", "")}$x$`,
  (value) => `"${value.replaceAll('"', '""')}"`,
  (value) => `/* ${value.replaceAll("/", "").replaceAll("*", "")} */ 1`,
  (value) => `-- ${value.replaceAll("\n", "").replaceAll("\r", "")}\n1`,
];

test("no value gets through, whatever surrounds it", () => {
  const value = fc.string({ unit: fc.constantFrom("a", " ", "'", '"', "\\", "$", "-", "/", "*", "\n", ";", "(") });
  const piece = fc
    .tuple(fc.constantFrom(...quotings), value, value)
    .map(([quote, a, b]) => quote(`${a} ${SECRET} ${b}`));
  const noise = fc.string({ unit: fc.constantFrom("a", " ", ",", "(", ")", "=", "1", ".", "\n", ";", "_", "+") });
  fc.assert(
    fc.property(fc.array(fc.tuple(noise, piece), { minLength: 1, maxLength: 6 }), (parts) => {
      // Noise that ends in a letter could make another kind of literal of what follows.
      const text = `SELECT ${parts.map(([before, quoted]) => `${before} ${quoted}`).join(" ")}`;
      expect(statementWords(text).join(" ")).not.toContain("zq7");
    }),
    { numRuns: 3000 },
  );
});
