/** A client's TCP connection as the listener accepted it. */
import type { Socket, SocketHandler } from "bun";
import { AcceptedSocket } from "../../src/wire/accepted-socket.ts";
import type { ClientLink } from "./client-link.ts";

/** How long a silent peer is left alone before the kernel asks whether it is still there. */
const KEEP_ALIVE_MS = 60_000;

export class ClientSocket extends AcceptedSocket implements ClientLink {
  readonly source: string;

  constructor(socket: Socket<ClientSocket>) {
    super(socket);
    this.source = socket.remoteAddress;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }
}

/** For the listener: `accepted` gets each new connection. */
export function acceptHandlers(accepted: (client: ClientSocket) => void): SocketHandler<ClientSocket> {
  return {
    binaryType: "uint8array",
    open(socket) {
      socket.data = new ClientSocket(socket);
      accepted(socket.data);
    },
    data: (socket, bytes) => socket.data.received(bytes),
    drain: (socket) => socket.data.drained(),
    error: (socket) => {
      socket.terminate();
    },
    close: (socket) => socket.data?.closed(),
    end: (socket) => {
      socket.end();
    },
  };
}
