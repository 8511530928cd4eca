/** COPY data comes out masked wherever it was parted, reads as before but for what was found, and rows stay rows. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { contentMask } from "../../../test/detectors/masks.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { CELL_BYTES_MAX, CopyMask } from "./copy-mask.ts";
import { copySyntax, type CopySyntax } from "./copy-syntax.ts";

const utf8 = new TextEncoder();
const decoder = new TextDecoder();

const redact = contentMask({
  email: { with: "redact" },
  "card-number": { with: "partial", keepFirst: 2, keepLast: 2 },
});
const remove = contentMask({ email: { with: "null" } });

function syntaxOf(options: Readonly<Record<string, string | null>>): CopySyntax {
  const syntax = copySyntax(new Map(Object.entries(options)));
  if (syntax === null) throw new Error("these options cannot be masked");
  return syntax;
}

const TEXT = syntaxOf({});
const CSV = syntaxOf({ format: "csv" });

/** What comes out when the bytes are parted at these places, each part between other bytes. */
function copied(syntax: CopySyntax, data: Uint8Array, parts: readonly number[] = [], mask = redact): string {
  const copy = new CopyMask(mask, syntax);
  const out: Uint8Array[] = [];
  const places = [0, ...parts.toSorted((a, b) => a - b), data.length];
  for (const [index, start] of places.slice(0, -1).entries()) {
    const part = data.subarray(start, places[index + 1]);
    const around = new Uint8Array(part.length + 6).fill(0x39);
    around.set(part, 3);
    out.push(copy.push(around, 3, 3 + part.length) ?? part);
  }
  out.push(copy.finish() ?? new Uint8Array(0));
  return decoder.decode(Buffer.concat(out));
}

describe("text", () => {
  test.each([
    ["1\ta@b.de\tx\n", "1\t***\tx\n"],
    ["to a@b.de\\tand c@d.org\t\\N\n", "to ***\\tand ***\t\\N\n"],
    ["line\\na@b.de\\\\\n", "line\\n***\\\\\n"],
    ['{"e": "a\\\\u0040b.de", "t": "\\\\t"}\n', '{"e": "***", "t": "\\\\t"}\n'],
    ["4111111111111111\n", "41***11\n"],
    ["nothing\t\\N\there\n", "nothing\t\\N\there\n"],
    ["a@b.de", "***"],
    ["\n\n\t\n", "\n\n\t\n"],
  ])("%j", (data, expected) => {
    expect(copied(TEXT, utf8.encode(data))).toBe(expected);
  });

  test("a row without anything is answered with null", () => {
    const row = utf8.encode("1\tnobody\\t\n");
    expect(new CopyMask(redact, TEXT).push(row, 0, row.length)).toBeNull();
  });

  test("a value that may not be is NULL, as the statement writes it", () => {
    expect(copied(TEXT, utf8.encode("1\ta@b.de\n"), [], remove)).toBe("1\t\\N\n");
    expect(copied(syntaxOf({ null: "-" }), utf8.encode("1\ta@b.de\n"), [], remove)).toBe("1\t-\n");
  });

  test("another delimiter is escaped", () => {
    const syntax = syntaxOf({ delimiter: "*" });
    expect(copied(syntax, utf8.encode("1*a@b.de*2\n"))).toBe("1*\\*\\*\\**2\n");
  });
});

describe("CSV", () => {
  test.each([
    ["1,a@b.de,x\n", '1,"***",x\n'],
    ['"say ""hi"" to a@b.de, now","x\ny"\n', '"say ""hi"" to ***, now","x\ny"\n'],
    ['"{""e"": ""a\\u0040b.de""}"\n', '"{""e"": ""***""}"\n'],
    ['1,,"",x\n', '1,,"",x\n'],
    ["a@b.de\r\n", '"***"\r\n'],
  ])("%j", (data, expected) => {
    expect(copied(CSV, utf8.encode(data))).toBe(expected);
  });

  test("quotes, escapes and NULL are those of the statement", () => {
    const syntax = syntaxOf({ format: "csv", delimiter: ";", quote: "'", escape: "\\", null: "none" });
    expect(copied(syntax, utf8.encode("none;'it\\'s a@b.de; \\\\'\n"))).toBe("none;'it\\'s ***; \\\\'\n");
    expect(copied(syntax, utf8.encode("a@b.de;1\n"), [], remove)).toBe("none;1\n");
  });
});

test("what cannot be told is not masked but refused", () => {
  for (const options of [
    { format: "binary" },
    { format: "json" },
    { encoding: "LATIN1" },
    { delimiter: null },
    { delimiter: "ab" },
    { delimiter: "é" },
    { quote: "'" },
    { format: "csv", escape: "''" },
    { freeze: "true" },
  ]) {
    expect(copySyntax(new Map(Object.entries(options)))).toBeNull();
  }
  expect(
    copySyntax(
      new Map([
        ["encoding", "UTF8"],
        ["header", null],
        ["force_quote", null],
      ]),
    ),
  ).toEqual(TEXT);
});

const cells = fc.oneof(
  fc.constantFrom("a@b.de", "to 4111 1111 1111 1111!", "x", "", "\\", '"', "tab\there", "a\nb", '["a\\u0040b.de"]'),
  fc.string({ unit: fc.constantFrom(...Array.from('a@b.de\\"\t\n\r,{}[]1é')), maxLength: 12 }),
);
const rows = fc.array(fc.array(cells, { minLength: 2, maxLength: 2 }), { minLength: 1, maxLength: 4 });

function textRow(row: readonly string[]): string {
  const escapes: Record<string, string> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };
  return `${row.map((cell) => Array.from(cell, (each) => escapes[each] ?? each).join("")).join("\t")}\n`;
}

function csvRow(row: readonly string[]): string {
  const mustQuote = (cell: string): boolean => Array.from('",\n\r').some((each) => cell.includes(each)) || cell === "";
  return `${row.map((cell) => (mustQuote(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}

/** A cell that is masked, as the mask alone would have it. */
function maskedCell(cell: string): string {
  const bytes = utf8.encode(cell);
  const answer = redact.mask(bytes, 0, bytes.length, "text");
  return answer === null || answer === "absent" ? cell : decoder.decode(answer);
}

/** An independent reading of CSV: whole rows, each of cells. */
function readCsv(text: string): readonly (readonly string[])[] {
  const table: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; at++) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
        if (text[at] === '"') at++;
        cell += text[at];
      }
      at++;
    } else {
      while (text[at] !== "," && text[at] !== "\n") cell += text[at++];
    }
    row.push(cell);
    if (text[at] === ",") continue;
    table.push(row);
    row = [];
  }
  return table;
}

describe("parted anywhere, it is the masked cells", () => {
  test.each([
    ["text", TEXT, textRow],
    ["CSV", CSV, csvRow],
  ] as const)("%s", (format, syntax, write) => {
    fc.assert(
      fc.property(rows, fc.array(fc.nat(200), { maxLength: 6 }), (table, parts) => {
        const data = utf8.encode(table.map(write).join(""));
        const masked = table.map((row) => row.map(maskedCell));
        const once = copied(syntax, data);
        if (format === "text") expect(once).toBe(masked.map(write).join(""));
        else expect(readCsv(once)).toEqual(masked);
        const places = parts.map((part) => part % (data.length + 1));
        expect(copied(syntax, data, places)).toBe(once);
      }),
      { numRuns: 1000 },
    );
  });
});

test("parted at every place, and byte by byte, it is the same", () => {
  const data = utf8.encode('1\tto a@b.de\\t\\\\\t{"e": "a\\\\u0040b.de"}\n\\N\t4111 1111 1111 1111\té\n');
  const whole = copied(TEXT, data);
  expect(whole).toBe('1\tto ***\\t\\\\\t{"e": "***"}\n\\N\t41***11\té\n');
  for (let at = 0; at <= data.length; at++) expect(copied(TEXT, data, [at])).toBe(whole);
  expect(
    copied(
      TEXT,
      data,
      Array.from({ length: data.length }, (_, at) => at),
    ),
  ).toBe(whole);
});

test("what ends with a row comes out with it", () => {
  const copy = new CopyMask(redact, TEXT);
  const first = utf8.encode("1\ta@b.de\n2\tc@");
  expect(decoder.decode(copy.push(first, 0, first.length) ?? first)).toBe("1\t***\n2\t");
  const second = utf8.encode("d.org\n");
  expect(decoder.decode(copy.push(second, 0, second.length) ?? second)).toBe("***\n");
  expect(copy.finish()).toBeNull();
});

test("a cell that is too long is redacted whole, and the rows go on behind it", () => {
  const long = "x".repeat(CELL_BYTES_MAX);
  expect(copied(TEXT, utf8.encode(`1\t${long}\t2\n`))).toBe(`1\t${long}\t2\n`);
  const parts = [5, 1000, CELL_BYTES_MAX, CELL_BYTES_MAX + 3];
  for (const places of [[], parts]) expect(copied(TEXT, utf8.encode(`1\t${long}x\t2\n`), places)).toBe("1\t***\t2\n");
  expect(copied(CSV, utf8.encode(`1,"${long}",a@b.de\n`), parts)).toBe('1,***,"***"\n');
});

describe("what PostgreSQL writes, masked, PostgreSQL reads", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({
      sql: `CREATE TABLE noted (id int, note text, doc jsonb);
        INSERT INTO noted VALUES (1, E'to a@b.de,\\t"now" \\\\ or \\n4111 1111 1111 1111', '{"e": "a@b.de\\n", "n": 4111111111111111}'),
          (2, NULL, '[]'), (3, '', NULL), (4, 'nothing', '{"a": "\\\\"}');
        CREATE TABLE loaded (id int, note text, doc jsonb)`,
    });
  }, 240_000);
  afterAll(async () => server.stop());

  test.each<[string, Record<string, string>]>([
    ["", {}],
    ["WITH (DELIMITER '|', NULL 'none')", { delimiter: "|", null: "none" }],
    ["WITH (FORMAT csv)", { format: "csv" }],
    [
      "WITH (FORMAT csv, DELIMITER ';', QUOTE '|', ESCAPE '!', NULL '-')",
      { format: "csv", delimiter: ";", quote: "|", escape: "!", null: "-" },
    ],
  ])("COPY %s", (written, options) => {
    const data = utf8.encode(`${server.psql(`COPY (SELECT * FROM noted ORDER BY id) TO STDOUT ${written}`)}\n`);
    const masked = copied(syntaxOf(options), data);
    const file = join(server.dataDir, "masked");
    writeFileSync(file, masked);
    server.psql(`TRUNCATE loaded; COPY loaded FROM '${file}' ${written}`);
    const loaded: unknown = JSON.parse(server.psql("SELECT json_agg(l ORDER BY id) FROM loaded l"));
    expect(loaded).toEqual([
      { id: 1, note: 'to ***,\t"now" \\ or \n41***11', doc: { e: "***\n", n: null } },
      { id: 2, note: null, doc: [] },
      { id: 3, note: "", doc: null },
      { id: 4, note: "nothing", doc: { a: "\\" } },
    ]);
  });
});
