/** What a login and a conversation need of a client's connection, whether it is a socket or was handed over. */

export interface ClientLink {
  /** The peer's address without its port. */
  readonly source: string;
  /** False: the client does not take more now; wait for onDrain. Bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean;
  /** As write(), of what lies between the two places. */
  writePart(bytes: Uint8Array, start: number, end: number): boolean;
  /** What was unread comes first. */
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  /** Called once when the connection is gone, whoever ended it; at once when it is already. */
  onClose(callback: () => void): void;
  pause(): void;
  resume(): void;
  /** Hands bytes back, for the next reader; nobody reads until then. */
  handBack(bytes: Uint8Array): void;
  /** Sends what was written, then closes. */
  end(): void;
}
