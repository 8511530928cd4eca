/** Rows masked by what they hold, through a real gateway: in both protocols, in text and binary, in COPY data, under limits. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { decodeDataRow, decodeErrorFields, decodeRowDescription } from "../../../adapters/postgres/protocol/backend.ts";
import {
  encodeBind,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { type Message, TEST_TIME_MS_MAX, WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const PERMITS = `apiVersion: weir.dev/v1
kind: Permits
rules:
  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
  - id: few-rows
    subject: { names: [limited], kinds: [human, agent] }
    target: { any: true }
    action: { any: true }
    obligations: { limit: { rows: 2 } }
`;
const GUARDS = `apiVersion: weir.dev/v1
kind: Guards
rules:
  - id: contents
    action: { postgres: { relations: [public.note] } }
    oblige:
      mask:
        - { classifiers: [email], with: redact }
        - { classifiers: [card-number], with: partial, keepLast: 4 }
        - { patterns: [$ticket], with: redact }
`;
const VOCABULARY = `apiVersion: weir.dev/v1
kind: Vocabulary
patterns:
  ticket: { pattern: "SHOP-[0-9]+", match: [SHOP-1], noMatch: [shop] }
`;

let server: PostgresServer;
let gateway: Gateway;

beforeAll(async () => {
  server = await startPostgres({
    sql: `CREATE TABLE note (id int, words text, doc jsonb);
      INSERT INTO note VALUES (1, 'write to ann@shop.example about SHOP-77', '{"to": "bob@shop.example"}'),
        (2, 'card 4111 1111 1111 1111', '{}'), (3, 'nothing', NULL);
      CREATE TABLE plain AS TABLE note;`,
  });
  gateway = await startGateway({
    postgres: server,
    policyFiles: {
      "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
      "vocabulary.yaml": VOCABULARY,
      "permits/everything.yaml": PERMITS,
      "guards/contents.yaml": GUARDS,
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

async function within<T>(
  work: (client: WireClient) => Promise<T>,
  parameters: Readonly<Record<string, string>> = {},
  subject = "bot",
): Promise<T> {
  const password = await gateway.token(subject, "agent");
  const client = await WireClient.logIn(gateway, { database: "db", password, parameters });
  try {
    return await work(client);
  } finally {
    client.abandon();
  }
}

function rowsOf(messages: readonly Message[]): (string | null)[][] {
  return messages
    .filter(({ type }) => type === "D")
    .map(({ body }) => decodeDataRow(body).map((cell) => (cell === null ? null : Buffer.from(cell).toString())));
}

function typesOf(messages: readonly Message[]): string {
  return messages.map(({ type }) => type).join("");
}

function copied(messages: readonly Message[]): string {
  return Buffer.concat(messages.filter(({ type }) => type === "d").map(({ body }) => body)).toString();
}

const SELECT = "SELECT id, words, doc FROM note ORDER BY id";
const MASKED = [
  ["1", "write to *** about ***", '{"to": "***"}'],
  ["2", expect.stringMatching(/^card .*1111$/u), "{}"],
  ["3", "nothing", null],
];

test("a simple query", async () => {
  await within(async (client) => {
    const messages = await client.ask(encodeQuery(SELECT));
    expect(rowsOf(messages)).toEqual(MASKED as never);
    expect(JSON.stringify(rowsOf(messages))).not.toContain("4111");
    expect(typesOf(messages)).toBe("TDDDCZ");
  });
});

test("a table that no rule speaks of is as it is", async () => {
  await within(async (client) => {
    const messages = await client.ask(encodeQuery("SELECT words FROM plain WHERE id = 1"));
    expect(rowsOf(messages)).toEqual([["write to ann@shop.example about SHOP-77"]]);
  });
});

for (const format of [0, 1]) {
  for (const describes of [true, false]) {
    test(`extended, ${format === 0 ? "text" : "binary"}, ${describes ? "described" : "not described"}`, async () => {
      await within(async (client) => {
        const bind = encodeBind({
          portal: "",
          statement: "",
          parameterFormats: [],
          parameters: [],
          resultFormats: [format],
        });
        const describe = describes ? [encodeDescribe("portal", "")] : [];
        const messages = await client.ask(
          encodeParse("", "SELECT words, doc FROM note ORDER BY id"),
          bind,
          ...describe,
          encodeExecute("", 0),
          SYNC,
        );
        expect(typesOf(messages)).toBe(describes ? "12TDDDCZ" : "12DDDCZ");
        const rows = rowsOf(messages);
        expect(rows[0]?.[0]).toBe("write to *** about ***");
        expect(rows[0]?.[1]).toBe(`${format === 1 ? "\u0001" : ""}{"to": "***"}`);
        expect(rows[2]).toEqual(["nothing", null]);
      });
    });
  }
}

test("a portal in parts, and a cursor", async () => {
  await within(async (client) => {
    const bind = encodeBind({ portal: "p", statement: "", parameterFormats: [], parameters: [], resultFormats: [] });
    const parts = await client.ask(
      encodeParse("", SELECT),
      bind,
      encodeExecute("p", 1),
      encodeExecute("p", 1),
      encodeExecute("p", 0),
      SYNC,
    );
    expect(typesOf(parts)).toBe("12DsDsDCZ");
    expect(rowsOf(parts)).toEqual(MASKED as never);
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(encodeQuery(`DECLARE c BINARY CURSOR FOR ${SELECT}`));
    const fetched = await client.ask(encodeQuery("FETCH 1 FROM c"));
    expect(rowsOf(fetched)[0]?.[1]).toBe("write to *** about ***");
    const description = fetched.find(({ type }) => type === "T");
    expect(description && decodeRowDescription(description.body)[1]?.format).toBe(1);
  });
});

test("an Execute of what does not exist fails as ever", async () => {
  await within(async (client) => {
    const messages = await client.ask(
      encodeParse("", "SELECT words, 1 / (id - 1) FROM note"),
      encodeBind({ portal: "", statement: "", parameterFormats: [], parameters: [], resultFormats: [] }),
      encodeExecute("", 0),
      SYNC,
    );
    expect(typesOf(messages)).toBe("12EZ");
    const again = await client.ask(encodeQuery("SELECT id FROM note WHERE id = 3"));
    expect(rowsOf(again)).toEqual([["3"]]);
  });
});

test("COPY data, text and CSV; binary cannot be masked", async () => {
  await within(async (client) => {
    const text = await client.ask(encodeQuery("COPY note TO STDOUT"));
    expect(copied(text)).toContain('1\twrite to *** about ***\t{"to": "***"}\n');
    expect(typesOf(text)).toMatch(/^Hd+cCZ$/u);
    const csv = await client.ask(encodeQuery("COPY note (words) TO STDOUT (FORMAT csv, HEADER)"));
    expect(copied(csv)).toContain(`"write to *** about ***"\n`);
    const binary = await client.ask(encodeQuery("COPY note TO STDOUT (FORMAT binary)"));
    expect(typesOf(binary)).toBe("EZ");
    const two = await client.ask(encodeQuery("COPY note (words) TO STDOUT; COPY note (doc) TO STDOUT (FORMAT csv)"));
    expect(copied(two)).not.toContain("shop.example");
  });
});

test("rows in another encoding cannot be masked", async () => {
  await within(
    async (client) => {
      const messages = await client.ask(encodeQuery(SELECT));
      expect(typesOf(messages)).toBe("EZ");
      const [error] = messages;
      expect(error && decodeErrorFields(error.body).fields.get("C")).toBe("42501");
    },
    { client_encoding: "LATIN1" },
  );
});

test("limits count masked rows too", async () => {
  await within(
    async (client) => {
      const messages = await client.ask(encodeQuery(SELECT));
      expect(JSON.stringify(rowsOf(messages))).not.toContain("shop.example");
      expect(typesOf(messages)).toMatch(/^TD{0,2}EZ$/u);
    },
    {},
    "limited",
  );
});
