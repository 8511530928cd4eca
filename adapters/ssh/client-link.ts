/** What carries a client's SSH connection: a socket, or a forward of another connection that leads to a target. */
import type { ByteStream } from "../../src/core/ports.ts";

export interface ClientLink {
  /** The peer's address without its port. */
  readonly source: string;
  /** False: the client does not take more now; wait for onDrain. Bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean;
  onData(callback: (bytes: Uint8Array) => void): void;
  onDrain(callback: () => void): void;
  /** Called once when it is gone, whoever ended it. */
  onClose(callback: () => void): void;
  /** Sends what was written, then closes. */
  end(): void;
}

/** A forward as a client's connection. */
export function handedLink(stream: ByteStream, source: string): ClientLink {
  return {
    source,
    write: (bytes) => stream.write(bytes),
    onData: (callback) => {
      stream.onEof(() => stream.end());
      stream.onData(callback);
    },
    onDrain: (callback) => stream.onDrain(callback),
    onClose: (callback) => stream.onClose(callback),
    end: () => stream.end(),
  };
}
