/** Messages from a server as lines of text, so that two conversations can be compared and a difference can be read. */
import {
  decodeAuthentication,
  decodeCommandComplete,
  decodeCopyResponse,
  decodeDataRow,
  decodeErrorFields,
  decodeFunctionCallResponse,
  decodeNegotiateProtocolVersion,
  decodeNotification,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
} from "../../../adapters/postgres/protocol/backend.ts";
import type { Message } from "./wire-client.ts";

const SHOWN_CELL_CHARS_MAX = 200;

/** One line per message. Left out are cancel keys, process ids and the numbers of tables, which differ between runs. */
export function transcript(messages: readonly Message[]): string[] {
  return messages.map((message) => `${message.type}${details(message)}`);
}

/** The same for what follows a login: without the authentication and the cancel key, which are the gateway's own. */
export function greeting(messages: readonly Message[]): string[] {
  return transcript(messages.filter(({ type }) => type !== "R" && type !== "K"));
}

/**
 * The same with each report of a setting at the end of its request, where a server makes it by itself: when it is asked
 * for settings in between, it reports then.
 */
export function greetingWithLateReports(messages: readonly Message[]): string[] {
  const lines: string[] = [];
  const reports: string[] = [];
  for (const line of greeting(messages)) {
    if (line.startsWith("S ")) {
      reports.push(line);
      continue;
    }
    if (line.startsWith("Z ")) lines.push(...reports.splice(0));
    lines.push(line);
  }
  return [...lines, ...reports];
}

/** The fields of the first ErrorResponse among the messages by their codes; undefined when there is none. */
export function errorIn(messages: readonly Message[]): ReadonlyMap<string, string> | undefined {
  const error = messages.find(({ type }) => type === "E");
  return error === undefined ? undefined : decodeErrorFields(error.body).fields;
}

/** The SQLSTATE of every ErrorResponse among the messages. */
export function sqlStates(messages: readonly Message[]): string[] {
  return messages
    .filter(({ type }) => type === "E")
    .map(({ body }) => decodeErrorFields(body).fields.get("C") ?? "none");
}

/** All rows among the messages, as texts; null is SQL's NULL. */
export function rows(messages: readonly Message[]): (string | null)[][] {
  return messages.filter(({ type }) => type === "D").map(({ body }) => decodeDataRow(body).map(text));
}

/** The types of the messages in one word. */
export function types(messages: readonly Message[]): string {
  return messages.map(({ type }) => type).join("");
}

function details(message: Message): string {
  const { type, body, bodyBytes, sha256 } = message;
  if (sha256 !== null) return ` ${bodyBytes} bytes ${sha256}`;
  switch (type) {
    case "R":
      return ` ${decodeAuthentication(body).kind}`;
    case "S": {
      const { name, value } = decodeParameterStatus(body);
      return ` ${name}=${value}`;
    }
    case "Z":
      return ` ${decodeReadyForQuery(body)}`;
    case "C":
      return ` ${decodeCommandComplete(body).tag}`;
    case "E":
    case "N":
      return ` ${[...decodeErrorFields(body).fields].map(([code, value]) => `${code}=${value}`).join(" | ")}`;
    case "T":
      return decodeRowDescription(body)
        .map((field) => {
          const from = field.tableOid === 0 ? "" : `@${field.column}`;
          return ` ${field.name}${from}:${field.typeOid}/${field.typeLength}/${field.typeModifier}/${field.format}`;
        })
        .join("");
    case "D":
      return ` ${decodeDataRow(body).map(shown).join(" | ")}`;
    case "t":
      return ` ${decodeParameterDescription(body).join(" ")}`;
    case "G":
    case "H":
    case "W": {
      const { format, columnFormats } = decodeCopyResponse(body);
      return ` ${format} ${columnFormats.join("")}`;
    }
    case "d":
      return ` ${shown(body)}`;
    case "V":
      return ` ${shown(decodeFunctionCallResponse(body))}`;
    case "A": {
      const { channel, payload } = decodeNotification(body);
      return ` ${channel} ${shown(payload)}`;
    }
    case "v": {
      const { minor, unknownOptions } = decodeNegotiateProtocolVersion(body);
      return ` ${minor} ${unknownOptions.join(",")}`;
    }
    case "K":
      return "";
    default:
      return bodyBytes === 0 ? "" : ` ${shown(body)}`;
  }
}

function shown(cell: Uint8Array | null): string {
  const whole = text(cell);
  if (whole === null) return "NULL";
  return whole.length <= SHOWN_CELL_CHARS_MAX ? whole : `${whole.length} chars ${Bun.hash(whole)}`;
}

/** Binary values stay readable and different values different. */
function text(cell: Uint8Array | null): string | null {
  return cell === null ? null : JSON.stringify(Buffer.from(cell).toString("latin1")).slice(1, -1);
}
