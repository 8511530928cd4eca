/** Conversations at random that are recorded: the answers are the server's, and the transcript has what the client got. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { array, asyncProperty, check, constantFrom } from "fast-check";
import { decodeErrorFields, decodeFunctionCallResponse } from "../../../adapters/postgres/protocol/backend.ts";
import { policyFiles } from "./policed.ts";
import { converse, step, STEP_ROADS } from "./random-steps.ts";
import { keptLines } from "./recorded.ts";
import { Roads } from "./roads.ts";
import { greeting, rows } from "./transcript.ts";
import { type Message, TEST_TIME_MS_MAX, WireClient } from "./wire-client.ts";

setDefaultTimeout(2 * TEST_TIME_MS_MAX);

const CONVERSATIONS = 30;
const MESSAGES_MAX = 30;
const COPIED = "COPY data";

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    ...STEP_ROADS,
    gateway: {
      policyFiles: policyFiles(
        "  - { id: all, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }",
        "  - { id: record, action: { any: true }, oblige: { record: [input, output] } }",
      ),
    },
  });
});

afterAll(async () => {
  await roads?.stop();
});

/** Where in the server's source an error was raised differs: a Describe of the gateway's own comes before an Execute. */
function withoutPlaces(lines: readonly string[]): string[] {
  return lines.map((line) =>
    line
      .split(" | ")
      .filter((field) => !/^[FLR]=/u.test(field))
      .join(" | "),
  );
}

/** Rows, and results of function calls. */
function answers(messages: readonly Message[]): (string | null)[][] {
  return messages.flatMap((message) => {
    if (message.type !== "V") return rows([message]);
    const result = decodeFunctionCallResponse(message.body);
    return [[result === null ? null : Buffer.from(result).toString()]];
  });
}

function copied(messages: readonly Message[]): string {
  return messages.flatMap(({ type, body }) => (type === "d" ? [body.toString()] : [])).join("");
}

/** SQLSTATE and message of every error. */
function errors(messages: readonly Message[]): string[] {
  const told = messages.filter(({ type }) => type === "E").map(({ body }) => decodeErrorFields(body).fields);
  return told.map((fields) => `${fields.get("C")} ${fields.get("M")}`);
}

/** Are the first texts among the second, in their order? */
function areAmong(texts: readonly string[], others: readonly string[]): boolean {
  let at = 0;
  return texts.every((text) => (at = others.indexOf(text, at) + 1) > 0);
}

let subjects = 0;

test("random conversations are answered as ever, and recorded as they were answered", async () => {
  const [direct, plain] = roads.all;
  const gateway = roads.gateways[0];
  const conversation = asyncProperty(
    array(step, { minLength: 1, maxLength: MESSAGES_MAX }),
    constantFrom(1, 3, MESSAGES_MAX),
    async (steps, pieceSteps) => {
      await roads.reset();
      const expected = await roads.connect(direct);
      await converse(expected, steps, pieceSteps);
      expected.abandon();
      await roads.reset();
      const subject = `s${++subjects}`;
      const client = await WireClient.logIn(plain.address, { database: "db", password: await gateway.token(subject) });
      await converse(client, steps, pieceSteps);
      client.abandon();
      const { received } = client;
      expect(withoutPlaces(greeting(received))).toEqual(withoutPlaces(greeting(expected.received)));

      const kept = await keptLines(gateway, subject);
      let isCopy = false;
      const seen: (readonly (string | null)[])[] = [];
      let data = "";
      for (const line of kept) {
        if (line.kind === "columns") isCopy = line.names[0] === COPIED;
        else if (line.kind === "input" || line.kind === "end") isCopy = isCopy && line.kind === "input";
        else if (line.kind === "rows" && isCopy) data += line.rows.map(([piece]) => piece).join("");
        else if (line.kind === "rows") seen.push(...line.rows);
      }
      expect(seen).toEqual(answers(received));
      expect(data).toBe(copied(received));
      const failed = kept.flatMap((line) =>
        line.kind === "end" && line.message !== undefined ? [`${line.code} ${line.message.split("\n")[0]}`] : [],
      );
      expect(areAmong(failed, errors(received)) ? [] : failed).toEqual([]);
      const open = new Set(kept.flatMap((line) => (line.kind === "input" ? [line.operation] : [])));
      for (const line of kept) if (line.kind === "end") open.delete(line.operation);
      expect([...open]).toEqual([]);
    },
  );
  const details = await check(conversation, { numRuns: CONVERSATIONS, endOnFailure: true });
  if (!details.failed) return;
  const [steps = [], pieceSteps] = details.counterexample ?? [];
  throw new Error(
    `seed ${details.seed}, pieces of ${pieceSteps}:\n${steps.map(({ word }) => word).join("\n")}\n${String(details.errorInstance)}`,
  );
});
