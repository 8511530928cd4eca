/** TCP ports of this machine that nobody listens on, and that stay free until whoever asked listens there, also between two runs of a server. */
import { createSocket, type Socket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";

/** Below it are the ports of services that are known by them. */
const FIRST = 10_000;
/** Where the system's own choice begins when it does not say so: IANA's dynamic ports. */
const DYNAMIC_FIRST = 49_152;
const DYNAMIC_FILE = "/proc/sys/net/ipv4/ip_local_port_range";
const ATTEMPTS_MAX = 1_000;

/**
 * A UDP socket on the same number says that a port is ours, to the other processes that run tests. It ends with this
 * process, however that ends, and disturbs no TCP.
 */
const held = new Map<number, Socket>();

/**
 * A port on 127.0.0.1 that is this process's until its end: the system gives it to nobody, and no other test takes it.
 * The first of `count` in a row that are.
 */
export async function freePort(count = 1): Promise<number> {
  const end = dynamicFirst() - count;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const first = FIRST + Math.floor(Math.random() * (end - FIRST));
    let taken = 0;
    while (taken < count && (await take(first + taken))) taken++;
    if (taken === count) return first;
    for (let port = first; port < first + taken; port++) giveBack(port);
  }
  throw new Error(`of ${ATTEMPTS_MAX} ports none was free`);
}

/** Makes a port ours; false: it is somebody's. */
async function take(port: number): Promise<boolean> {
  const claim = held.has(port) ? null : await claimed(port);
  if (claim === null) return false;
  held.set(port, claim);
  if (await isFree(port)) return true;
  giveBack(port);
  return false;
}

function giveBack(port: number): void {
  held.get(port)?.close();
  held.delete(port);
}

/** Of the ports that the system gives to whoever asks for any: connections have them too, so none stays free for long. */
function dynamicFirst(): number {
  const text = existsSync(DYNAMIC_FILE) ? readFileSync(DYNAMIC_FILE, "utf8") : "";
  const first = Number.parseInt(text, 10);
  // A system that gives out nearly all leaves none to choose from; then the usual ones are as good.
  return first > FIRST + ATTEMPTS_MAX ? first : DYNAMIC_FIRST;
}

async function claimed(port: number): Promise<Socket | null> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("error", () => resolve(false));
  socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => resolve(true));
  const isOurs = await promise;
  if (isOurs) return socket.unref();
  try {
    socket.close();
  } catch {
    // One that could not be bound is closed already.
  }
  return null;
}

/** Nobody listens there, on any address of this machine. */
async function isFree(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "0.0.0.0"]) {
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
    if (!(await promise)) return false;
  }
  return true;
}
