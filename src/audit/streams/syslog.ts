/** Entries as syslog messages (RFC 5424) over TLS with octet counting (RFC 5425). */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { SelectedEntry } from "../export/selection.ts";
import type { Sender, StreamSource } from "./sender.ts";

/** RFC 5425: what every receiver should take. A leaf that makes a message larger is left out, and the message says so. */
const MESSAGE_BYTES_MAX = 8192;
/** Facility 13, log audit. */
const FACILITY = 13;
const NOTICE = 5;
const WARNING = 4;
/** The number that IANA keeps for examples (RFC 5612): weir has none of its own. */
const ENTERPRISE = 32473;
const CONNECT_MS_MAX = 10_000;
const WRITE_MS_MAX = 30_000;
const END_MS_MAX = 2000;
/** Lengths of fields in RFC 5424, 6. */
const HOSTNAME_MAX = 255;
const MSGID_MAX = 32;
/** Names that clients chose are cut there, so that a message has room for the rest. */
const VALUE_CHARS_MAX = 256;

/** One message without its length. */
export function syslogMessage(entry: SelectedEntry, { gateway }: StreamSource): string {
  const { index, leaf, hash, operation, json } = entry;
  const facts = leaf.shape === "event" ? leaf.facts : {};
  const decision = operation?.decision.kind;
  const outcome = leaf.shape === "event" ? undefined : leaf.outcome?.status;
  const isWarning =
    decision === "deny" ||
    leaf.event === "login.failed" ||
    leaf.event === "audit.gap" ||
    leaf.event.startsWith("alert.");
  const time = new Date(Math.floor(leaf.timeMs)).toISOString();
  const head = `<${FACILITY * 8 + (isWarning ? WARNING : NOTICE)}>1 ${time} ${printable(gateway, HOSTNAME_MAX)} weir - ${printable(leaf.event, MSGID_MAX)}`;
  const id = leaf.shape === "event" ? facts["id"] : leaf.id;
  const parameters: readonly (readonly [string, unknown])[] = [
    ["index", index],
    ["hash", Buffer.from(hash).toString("hex")],
    ["boot", leaf.boot],
    ["id", id],
    ["subject", operation?.subject.name ?? facts["subject"]],
    ["target", operation?.target.name ?? facts["target"]],
    ["source", operation?.session.source ?? facts["source"]],
    ["decision", decision],
    ["rules", operation?.decision.rules?.join(",")],
    ["status", outcome],
  ];
  const data = parameters.flatMap(([name, value]) =>
    typeof value === "string" || typeof value === "number" ? [` ${name}="${escaped(String(value))}"`] : [],
  );
  const start = `${head} [weir@${ENTERPRISE}${data.join("")}`;
  const whole = `${start}] \ufeff${json}`;
  return Buffer.byteLength(whole) <= MESSAGE_BYTES_MAX ? whole : `${start} leaf="left out"]`;
}

/** RFC 5424, 6.3.3; control characters are no part of a value either. */
function escaped(text: string): string {
  let result = "";
  for (const char of text.slice(0, VALUE_CHARS_MAX).toWellFormed()) {
    const code = char.codePointAt(0) ?? 0;
    result += char === '"' || char === "\\" || char === "]" ? `\\${char}` : code < 0x20 || code === 0x7f ? "?" : char;
  }
  return result;
}

/** PRINTUSASCII; `-` where nothing is left. */
function printable(text: string, charsMax: number): string {
  let result = "";
  for (const char of text.slice(0, charsMax)) result += char > " " && char <= "~" ? char : "_";
  return result === "" ? "-" : result;
}

export type SyslogPlace = { readonly host: string; readonly port: number; readonly ca: string | null };

/** Keeps one connection. A message counts as sent when the system has taken it: syslog has no acknowledgement. */
export class SyslogSender implements Sender {
  readonly #place: SyslogPlace;
  readonly #source: StreamSource;
  #socket: TLSSocket | null = null;

  constructor(place: SyslogPlace, source: StreamSource) {
    this.#place = place;
    this.#source = source;
  }

  async send(entries: readonly SelectedEntry[]): Promise<number> {
    const socket = (this.#socket ??= await this.#connect());
    const frames = entries.map((entry) => {
      const message = syslogMessage(entry, this.#source);
      return `${Buffer.byteLength(message)} ${message}`;
    });
    try {
      await withinTime(socket, WRITE_MS_MAX, "it did not take what was sent in time", (resolve, reject) => {
        socket.write(frames.join(""), (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      this.#drop(socket);
      socket.destroy();
      throw error;
    }
    return 0;
  }

  /** Lets what was written out before the connection ends. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    const timer = setTimeout(() => socket.destroy(), END_MS_MAX);
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
      socket.end();
    });
    clearTimeout(timer);
  }

  #drop(socket: TLSSocket): void {
    if (this.#socket === socket) this.#socket = null;
  }

  async #connect(): Promise<TLSSocket> {
    const { host, port, ca } = this.#place;
    // An address is no name that a server could choose its certificate by.
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, ...(ca === null ? {} : { ca }), ...servername, minVersion: "TLSv1.2" });
    // It may end at any time, also while nothing is sent.
    for (const event of ["error", "close"]) socket.on(event, () => this.#drop(socket));
    try {
      await withinTime(socket, CONNECT_MS_MAX, "it did not answer in time", (resolve) => {
        socket.once("secureConnect", resolve);
      });
    } catch (error) {
      socket.destroy();
      throw error;
    }
    // What a receiver says is of no interest, but must be read for its end to be seen.
    socket.resume();
    return socket;
  }
}

/** Waits for some work on a socket, as long as the socket lives and the time is not over. */
async function withinTime(
  socket: TLSSocket,
  timeMs: number,
  late: string,
  work: (resolve: () => void, reject: (error: Error) => void) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = (): void => reject(new Error("it closed the connection"));
  const timer = setTimeout(() => reject(new Error(late)), timeMs);
  socket.once("error", reject);
  socket.once("close", closed);
  try {
    work(resolve, reject);
    await promise;
  } finally {
    clearTimeout(timer);
    socket.off("error", reject);
    socket.off("close", closed);
  }
}
