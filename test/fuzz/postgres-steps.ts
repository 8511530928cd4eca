/** What a client of PostgreSQL may send, each with the words that show it when a test fails, and how a conversation is held. */
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "../e2e/postgres/messages.ts";
import { types } from "../e2e/postgres/transcript.ts";
import { type WireClient, WireClosed } from "../e2e/postgres/wire-client.ts";

/** A message, or a few that belong together. */
export type Step = { readonly words: string; readonly bytes: Uint8Array };

/** Rounds are sent each in one go, cut into pieces of these sizes, over and over; between them the client reads. */
export type Conversation = { readonly rounds: readonly (readonly Step[])[]; readonly pieces: readonly number[] };

/** What a Bind gives for the parameters, as texts. */
export type Given = readonly (string | null)[];

export const STEPS_MAX = 14;

function step(words: string, ...parts: readonly Uint8Array[]): Step {
  return { words, bytes: Buffer.concat(parts) };
}

export const sync = step("Sync", encodeSync());
export const flush = step("Flush", encodeFlush());
export const copyDone = step("CopyDone", encodeCopyDone());
export const copyFail = step("CopyFail", encodeCopyFail("given up"));

export function copyData(rows: string): Step {
  return step(`CopyData ${JSON.stringify(rows)}`, encodeCopyData(Buffer.from(rows)));
}

export function query(sql: string): Step {
  return step(`Query ${sql}`, encodeQuery(sql));
}

/** Parse, Bind and Execute through the unnamed statement and portal. */
export function runOf(sql: string, given: Given = []): Step {
  return step(`run ${sql}${shownGiven(given)}`, run(sql, ...given));
}

export function parse(name: string, sql: string): Step {
  return step(`Parse "${name}" ${sql}`, encodeParse(name, sql));
}

export function bindOf(portal: string, name: string, given: Given = []): Step {
  return step(`Bind "${portal}" "${name}"${shownGiven(given)}`, bind(portal, name, given));
}

export function execute(portal: string, rowsMax = 0): Step {
  return step(`Execute "${portal}"${rowsMax === 0 ? "" : ` ${rowsMax}`}`, encodeExecute(portal, rowsMax));
}

export function describe(of: "statement" | "portal", name: string): Step {
  return step(`Describe ${of} "${name}"`, encodeDescribe(of, name));
}

export function close(of: "statement" | "portal", name: string): Step {
  return step(`Close ${of} "${name}"`, encodeClose(of, name));
}

export function functionCall(functionOid: number, argument: string): Step {
  const call = { functionOid, argumentFormats: [], arguments: [Buffer.from(argument)], resultFormat: 0 };
  return step(`FunctionCall ${functionOid} ${argument}`, encodeFunctionCall(call));
}

/** Several steps as one. */
export function joined(steps: readonly Step[]): Step {
  return step(steps.map(({ words }) => words).join(", "), ...steps.map(({ bytes }) => bytes));
}

function shownGiven(given: Given): string {
  return given.length === 0 ? "" : ` ${JSON.stringify(given)}`;
}

/** A conversation for whoever reads of its failure. */
export function shown({ rounds, pieces }: Conversation): string {
  const lines = rounds.map((steps) => steps.map(({ words }) => `  ${words}`).join("\n"));
  return `pieces of ${pieces.join(", ")} bytes:\n${lines.join("\n  ----\n")}`;
}

/** More of them than a round of steps can hold: answered in every state of a session, and it is as it was before. */
const SIGN = Array.from({ length: STEPS_MAX + 1 }, () => encodeClose("portal", "nothing"));
/** Ends the COPY or the skipping that is under way, and asks for a sign that all has been read. */
const END_OF_ROUND = Buffer.concat([encodeCopyFail("over"), encodeSync(), ...SIGN, encodeSync()]);

/** Holds the conversation; false when the other side ended it. Rejects when an answer does not come. */
export async function converse(client: WireClient, { rounds, pieces }: Conversation): Promise<boolean> {
  for (const steps of rounds) {
    const bytes = Buffer.concat([...steps.map((each) => each.bytes), END_OF_ROUND]);
    for (let at = 0, piece = 0; at < bytes.length; piece++) {
      const size = pieces[piece % pieces.length] ?? bytes.length;
      client.send(bytes.subarray(at, at + size));
      at += size;
      if (at < bytes.length) await new Promise((resolve) => setImmediate(resolve));
    }
    if (!(await readRound(client))) return false;
  }
  return true;
}

async function readRound(client: WireClient): Promise<boolean> {
  for (;;) {
    const messages = await client.until("Z").catch((error: unknown) => {
      if (error instanceof WireClosed) return null;
      throw error;
    });
    if (messages === null) return false;
    if (types(messages).endsWith(`${"3".repeat(SIGN.length)}Z`)) return true;
  }
}
