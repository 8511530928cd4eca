/** The Postgres listener: accepts sockets, and clients whose bytes another protocol carries. */
import type { Arrival, ByteStream, Clock, Door, Listen, Served } from "../../src/core/ports.ts";
import { acceptHandlers, type ClientStream } from "./client-stream.ts";
import { Clients } from "./clients.ts";
import { HandedStream } from "./handed-stream.ts";

/** The clients of each house: those of its listener and those that are handed over share databases and cancel keys. */
const clientsOf = new WeakMap<Door, Clients>();

function clientsAt(door: Door, clock: Clock, limits: Listen["limits"]): Clients {
  let clients = clientsOf.get(door);
  if (clients === undefined) clientsOf.set(door, (clients = new Clients(door, clock, limits)));
  return clients;
}

export async function serve(door: Door, listen: Listen, clock: Clock): Promise<Served> {
  const clients = clientsAt(door, clock, listen.limits);
  let { tls } = listen;
  const listener = Bun.listen<ClientStream>({
    hostname: listen.host,
    port: listen.port,
    socket: acceptHandlers((client) => clients.accepted(client, tls)),
  });
  return {
    port: listener.port,
    renewTls(renewed) {
      tls = renewed;
    },
    async drain() {
      listener.stop();
      await clients.drain();
    },
  };
}

export function accept(door: Door, stream: ByteStream, arrival: Arrival, clock: Clock): void {
  clientsAt(door, clock, arrival.limits).arrived(new HandedStream(stream, arrival.source), arrival);
}
