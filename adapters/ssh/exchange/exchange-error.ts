/** Why keys could not be exchanged: said to the peer as the reason of a disconnect, and to whoever asks why it ended. */
import { DISCONNECT } from "../protocol/messages.ts";

export class ExchangeError extends Error {
  /** RFC 4250, section 4.2.2. */
  readonly reason: number;

  constructor(message: string, reason: number = DISCONNECT.keyExchangeFailed) {
    super(message);
    this.reason = reason;
  }
}
