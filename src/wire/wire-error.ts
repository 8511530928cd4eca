/** The one error that decoding, encoding and framing bytes may end in. */

/** What this folder itself complains of, and what a protocol's own subclass may add. */
export type WireErrorCode =
  | `PROTOCOL_${string}`
  | "WIRE_SHORT" // a field reaches past the end of its message
  | "WIRE_TRAILING" // bytes are left after the last field
  | "WIRE_NO_TERMINATOR" // a string has no NUL within its bounds
  | "WIRE_NOT_UTF8" // a text is not UTF-8
  | "WIRE_RANGE" // a value to be written does not fit its field
  | "WIRE_FRAMING"; // a writer's messages do not begin and end in turn

/** Bytes that are not what their protocol says. `code` is stable and for programs; the message never holds the bytes. */
export class WireError extends Error {
  override readonly name: string = "WireError";
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
