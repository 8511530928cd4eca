/** What is wrong with a message whose fields could be read but say something PostgreSQL's protocol does not allow. */
import { WireError } from "../../../src/wire/wire-error.ts";

export type ProtocolErrorCode =
  | "PROTOCOL_VERSION" // neither a known request nor protocol 3
  | "PROTOCOL_STARTUP_LAYOUT" // parameters are not pairs with one empty name at the end
  | "PROTOCOL_DUPLICATE" // a name stands twice: two readers could choose differently
  | "PROTOCOL_TOO_LONG" // longer than its limit
  | "PROTOCOL_TOO_MANY" // more of them than the limit
  | "PROTOCOL_VALUE"; // a value outside those the field may have

/** A message that is not PostgreSQL's. The message names the field, never its value. */
export class ProtocolError extends WireError {
  override readonly name = "ProtocolError";
  override readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(code, message);
    this.code = code;
  }
}
