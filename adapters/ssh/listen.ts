/** The SSH listener: accepts sockets, and clients whose bytes another protocol carries. */
import type { Arrival, ByteStream, Clock, Door, Listen, Served } from "../../src/core/ports.ts";
import { handedLink } from "./client-link.ts";
import { acceptHandlers, type ClientSocket } from "./client-socket.ts";
import { Clients } from "./clients.ts";
import { readHostKeys } from "./host-keys.ts";

/** The clients of each house's listener: those that come through a forward are served beside them. */
const clientsOf = new WeakMap<Door, Clients>();

/** A forward of one connection leads to another target: ProxyJump. */
export function accept(door: Door, stream: ByteStream, arrival: Arrival): void {
  const clients = clientsOf.get(door);
  // Without a listener there is no host key to show.
  if (clients === undefined) stream.end();
  else clients.arrived(handedLink(stream, arrival.source), arrival);
}

export async function serve(door: Door, listen: Listen, clock: Clock): Promise<Served> {
  const clients = new Clients({
    door,
    clock,
    hostKeys: readHostKeys(listen.hostKeys, listen.keyExchange ?? null),
    limits: listen.limits,
  });
  clientsOf.set(door, clients);
  const listener = Bun.listen<ClientSocket>({
    hostname: listen.host,
    port: listen.port,
    socket: acceptHandlers((client) => clients.accepted(client)),
  });
  return {
    port: listener.port,
    async drain() {
      listener.stop();
      await clients.drain();
    },
  };
}
