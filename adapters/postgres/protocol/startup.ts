/** The first packet of a connection, which has no type byte. https://www.postgresql.org/docs/18/protocol-message-formats.html (StartupMessage) */
import { decodeUtf8, Reader } from "../../../src/wire/reader.ts";
import { Writer } from "../../../src/wire/writer.ts";
import {
  CANCEL_SECRET_BYTES_MAX,
  CANCEL_SECRET_BYTES_MIN,
  STARTUP_BYTES_MAX,
  STARTUP_PARAMETERS_MAX,
} from "./limits.ts";
import { ProtocolError } from "./protocol-error.ts";
import { CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST } from "./types.ts";

export type StartupParameter = readonly [name: string, value: string];

export type Startup =
  | { readonly kind: "ssl" }
  | { readonly kind: "gssenc" }
  | { readonly kind: "cancel"; readonly processId: number; readonly secret: Uint8Array }
  | {
      readonly kind: "startup";
      readonly major: number;
      readonly minor: number;
      /** In the order they came. The texts are exact: `encodeStartup` makes the same bytes of them again. */
      readonly parameters: readonly StartupParameter[];
    };

/**
 * Decodes the first packet without its length. Only major version 3 is one: others lay their fields out differently.
 *
 * Names and values must be UTF-8, which makes the decoding lossless and equal texts equal bytes. A name that stands
 * twice (in any case, since the server folds the names of settings) is refused: the server takes the last, a reader
 * that took the first would log in somebody else. No known client sends one.
 *
 * Throws `WireError` (`ProtocolError` for the version, the layout, a duplicate, a number beyond its limit).
 */
export function decodeStartup(body: Uint8Array): Startup {
  if (body.length > STARTUP_BYTES_MAX) {
    throw new ProtocolError("PROTOCOL_TOO_LONG", `a startup packet is longer than ${STARTUP_BYTES_MAX} bytes`);
  }
  const reader = new Reader(body);
  const code = reader.u32();
  switch (code) {
    case SSL_REQUEST:
      reader.end();
      return { kind: "ssl" };
    case GSSENC_REQUEST:
      reader.end();
      return { kind: "gssenc" };
    case CANCEL_REQUEST:
      return decodeCancel(reader);
    default:
      return decodeVersion(code, reader);
  }
}

function decodeCancel(reader: Reader): Startup {
  const processId = reader.i32();
  const secret = reader.rest();
  if (secret.length < CANCEL_SECRET_BYTES_MIN || secret.length > CANCEL_SECRET_BYTES_MAX) {
    throw new ProtocolError("PROTOCOL_VALUE", "a cancel key is not 4 to 256 bytes long");
  }
  return { kind: "cancel", processId, secret };
}

function decodeVersion(version: number, reader: Reader): Startup {
  const major = version >>> 16;
  const minor = version & 0xffff;
  if (major !== 3) {
    throw new ProtocolError("PROTOCOL_VERSION", `unsupported frontend protocol ${major}.${minor}: only 3.x is spoken`);
  }
  const parameters: StartupParameter[] = [];
  const seen = new Set<string>();
  for (;;) {
    const name = reader.cstring();
    if (name.length === 0) break;
    if (parameters.length === STARTUP_PARAMETERS_MAX) {
      throw new ProtocolError("PROTOCOL_TOO_MANY", `more than ${STARTUP_PARAMETERS_MAX} startup parameters`);
    }
    const parameter = [decodeUtf8(name), decodeUtf8(reader.cstring())] as const;
    const folded = foldAscii(parameter[0]);
    if (seen.has(folded)) throw new ProtocolError("PROTOCOL_DUPLICATE", "a startup parameter stands twice");
    seen.add(folded);
    parameters.push(parameter);
  }
  if (reader.remaining !== 0) {
    throw new ProtocolError("PROTOCOL_STARTUP_LAYOUT", "bytes follow the terminator of the startup packet");
  }
  return { kind: "startup", major, minor, parameters };
}

/** As the server compares the names of settings: only A to Z are folded. */
function foldAscii(name: string): string {
  let folded = "";
  for (const character of name) folded += character >= "A" && character <= "Z" ? character.toLowerCase() : character;
  return folded;
}

/**
 * Encodes a StartupMessage; `version` is PROTOCOL_3_0 or PROTOCOL_3_2. Throws `WireError` for a NUL in a text and
 * `ProtocolError` for an empty name, which would end the list early.
 */
export function encodeStartup(version: number, parameters: Iterable<StartupParameter>): Uint8Array {
  const writer = new Writer().beginUntyped().u32(version);
  for (const [name, value] of parameters) {
    if (name === "") throw new ProtocolError("PROTOCOL_STARTUP_LAYOUT", "a startup parameter has no name");
    writer.cstring(name).cstring(value);
  }
  return writer.u8(0).end().take();
}

export function encodeSslRequest(): Uint8Array {
  return new Writer().beginUntyped().u32(SSL_REQUEST).end().take();
}

export function encodeGssEncRequest(): Uint8Array {
  return new Writer().beginUntyped().u32(GSSENC_REQUEST).end().take();
}

/** `secret` is the key of BackendKeyData, as it came. */
export function encodeCancelRequest(processId: number, secret: Uint8Array): Uint8Array {
  return new Writer(16 + secret.length).beginUntyped().u32(CANCEL_REQUEST).i32(processId).raw(secret).end().take();
}
