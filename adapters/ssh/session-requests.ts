/** What a client may ask of a session channel before its command (RFC 4254, section 6): read within bounds, or refused. */
import type { PtyRequest, TerminalSize } from "./channels.ts";
import type { FieldReader } from "./protocol/fields.ts";

const VARIABLES_MAX = 64;
const NAME_BYTES_MAX = 64;
const VALUE_BYTES_MAX = 256;
const MODES_BYTES_MAX = 1_024;
const TTY_OP_END = 0;
/** Opcodes from here on have arguments that nobody knows (RFC 4254, section 8). */
const TTY_OP_UNKNOWN = 160;
/** What clients send by themselves and programs need to speak to people; git names its protocol's version. */
const VARIABLES: ReadonlySet<string> = new Set(["LANG", "LANGUAGE", "TZ", "COLORTERM", "NO_COLOR", "GIT_PROTOCOL"]);
const LOCALE_PREFIX = "LC_";
const PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

/** The variables that go to the target; whatever else a client sends is refused, and does not. */
export class Environment {
  readonly #variables: Record<string, string> = {};
  #count = 0;

  get variables(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  /** False: it is not taken. */
  take(fields: FieldReader): boolean {
    if (++this.#count > VARIABLES_MAX) return false;
    const name = fields.string();
    const value = fields.string();
    if (name.length > NAME_BYTES_MAX || value.length > VALUE_BYTES_MAX) return false;
    const [nameText, valueText] = [textOf(name), textOf(value)];
    if (!mayName(nameText) || !mayHold(nameText, valueText)) return false;
    this.#variables[nameText] = valueText;
    return true;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function mayName(name: string): boolean {
  if (VARIABLES.has(name)) return true;
  return name.startsWith(LOCALE_PREFIX) && isMadeOf(name, PLAIN);
}

/** No value is a path: locales and zones are looked up by name. */
function mayHold(name: string, value: string): boolean {
  if (name === "TZ") return isMadeOf(value, `${PLAIN}+/,`) && !value.startsWith("/") && !value.includes("..");
  return isMadeOf(value, `${PLAIN}@:+=,`);
}

function isMadeOf(text: string, characters: string): boolean {
  return Array.from(text).every((each) => characters.includes(each));
}

/** Throws WireError when it is no `pty-req`; null: not one that is taken. */
export function readPty(fields: FieldReader): PtyRequest | null {
  const type = textOf(fields.string());
  const size = readSize(fields);
  const encoded = fields.string();
  if (type.length > NAME_BYTES_MAX || !isMadeOf(type, `${PLAIN}+`) || encoded.length > MODES_BYTES_MAX) return null;
  return { type, ...size, modes: readModes(encoded) };
}

/** Columns, rows, and both in pixels. */
export function readSize(fields: FieldReader): TerminalSize {
  return { columns: fields.u32(), rows: fields.u32(), widthPx: fields.u32(), heightPx: fields.u32() };
}

/** By the number of their opcode; what is behind an end is left out. */
function readModes(encoded: Uint8Array): Readonly<Record<string, number>> {
  const modes: Record<string, number> = {};
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length);
  for (let at = 0; at + 5 <= encoded.length; at += 5) {
    const code = view.getUint8(at);
    if (code === TTY_OP_END || code >= TTY_OP_UNKNOWN) break;
    modes[code] = view.getUint32(at + 1);
  }
  return modes;
}
