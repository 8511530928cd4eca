/** Answers in the words of the corpus' expectations: what a client's program gets to see, without what the protocol adds. */
import {
  decodeCommandComplete,
  decodeDataRow,
  decodeErrorFields,
  decodeParameterDescription,
  decodeRowDescription,
} from "../../adapters/postgres/protocol/backend.ts";
import type { Message } from "../e2e/postgres/wire-client.ts";
import type { Answers } from "./leaks.ts";

export type Cell = string | null;

export type AnswerEvent =
  | { readonly params: number }
  | { readonly cols?: readonly string[]; readonly types?: readonly number[]; readonly rows: Cell[][] }
  | { readonly tag: string }
  | { readonly error: string; readonly msg: string }
  | { copy: string };

/** What all connections got, one after the other. */
export function eventsOf(answers: Answers): AnswerEvent[] {
  return [...answers.values()].flatMap(({ messages }) => eventsIn(messages));
}

function eventsIn(messages: readonly Message[]): AnswerEvent[] {
  const events: AnswerEvent[] = [];
  for (const { type, body } of messages) {
    const last = events.at(-1);
    switch (type) {
      case "t":
        events.push({ params: decodeParameterDescription(body).length });
        break;
      case "T": {
        const fields = decodeRowDescription(body);
        events.push({ cols: fields.map(({ name }) => name), types: fields.map(({ typeOid }) => typeOid), rows: [] });
        break;
      }
      case "D": {
        const row = decodeDataRow(body).map((cell) => (cell === null ? null : Buffer.from(cell).toString()));
        if (last !== undefined && "rows" in last) last.rows.push(row);
        else events.push({ rows: [row] });
        break;
      }
      case "C":
        events.push({ tag: decodeCommandComplete(body).tag });
        break;
      case "E": {
        const { fields } = decodeErrorFields(body);
        events.push({ error: fields.get("C") ?? "", msg: fields.get("M") ?? "" });
        break;
      }
      case "d":
        if (last !== undefined && "copy" in last) last.copy += body.toString();
        else events.push({ copy: body.toString() });
        break;
      default:
    }
  }
  return events;
}

/** The same answers with everything in the columns of these names taken out; and what was in them. */
export function withoutColumns(
  events: readonly AnswerEvent[],
  columns: readonly string[],
): { readonly rest: AnswerEvent[]; readonly taken: Cell[] } {
  const taken: Cell[] = [];
  const rest = events.map((event) => {
    if (!("rows" in event) || event.cols === undefined) return event;
    const { cols } = event;
    const rows = event.rows.map((row) =>
      row.map((cell, index) => {
        if (!columns.includes(cols[index] ?? "")) return cell;
        taken.push(cell);
        return "(masked)";
      }),
    );
    return { ...event, rows };
  });
  return { rest, taken };
}
