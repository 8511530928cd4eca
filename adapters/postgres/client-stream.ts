/** A client's connection as the listener accepted it: plain bytes, or TLS that began by SSLRequest or at once. */
import type { Socket, SocketHandler } from "bun";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { AcceptedSocket } from "../../src/wire/accepted-socket.ts";
import { Outbox } from "../../src/wire/outbox.ts";
import type { ClientLink } from "./client-link.ts";

export type ServerTls = { readonly cert: string; readonly key: string; readonly clientCa?: string };

/** How long a silent peer is left alone before the kernel asks whether it is still there. */
const KEEP_ALIVE_MS = 60_000;
/** https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL : direct TLS must name the protocol. */
const ALPN = "postgresql";

type Flow = { pause(): void; resume(): void };

export class ClientStream extends AcceptedSocket implements ClientLink {
  readonly source: string;
  isEncrypted = false;
  readonly #socket: Socket<ClientStream>;
  /** Stops and starts what comes in: the socket, or the TLS on top of it. */
  #flow: Flow;
  /** TLS began by SSLRequest: what the raw socket still reports is ciphertext and none of our business. */
  #isUpgraded = false;
  /** TLS that began at once: its ciphertext, as it comes in and as it waits for room in the socket. */
  #direct: { readonly incoming: Duplex; readonly outgoing: Outbox } | null = null;

  constructor(socket: Socket<ClientStream>) {
    super(socket);
    this.#socket = socket;
    this.#flow = socket;
    this.source = socket.remoteAddress;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get isLoopback(): boolean {
    return this.source === "::1" || this.source.startsWith("127.") || this.source.startsWith("::ffff:127.");
  }

  pause(): void {
    if (!this.isClosed) this.#flow.pause();
  }

  resume(): void {
    if (!this.isClosed) this.#flow.resume();
  }

  /** Goes on in TLS after the answer to an SSLRequest; plaintext that is there already must have been refused. */
  startTls(tls: ServerTls): void {
    this.flush();
    const options: ServerUpgrade = {
      isServer: true,
      data: this,
      tls: { cert: tls.cert, key: tls.key, ...clientAuthority(tls) },
      socket: SECURE_HANDLERS,
    };
    const [, secure] = this.#socket.upgradeTLS<ClientStream>(options);
    // The raw socket's handlers stay: they are the listener's, and shared with every other connection.
    this.#isUpgraded = true;
    this.#flow = secure;
    this.redirect(secure);
    this.isEncrypted = true;
  }

  /** The client began with a TLS handshake; `hello` is what was received of it. */
  startDirectTls(tls: ServerTls, hello: Uint8Array): void {
    // The reader of plaintext has taken the handshake's first bytes; what is decrypted is for the next one.
    this.stopReading();
    const socket = this.#socket;
    const outgoing = new Outbox(socket);
    const incoming = new Duplex({
      read() {},
      write(chunk: Uint8Array, _encoding, done) {
        outgoing.write(chunk);
        done();
      },
      final(done) {
        outgoing.flush();
        socket.end();
        done();
      },
    });
    const secure = new TLSSocket(incoming, {
      isServer: true,
      cert: tls.cert,
      key: tls.key,
      ALPNProtocols: [ALPN],
      ...clientAuthority(tls),
    });
    secure.on("data", (bytes: Uint8Array) => this.received(bytes));
    secure.on("error", () => socket.terminate());
    secure.on("secure", () => {
      if (secure.alpnProtocol !== ALPN) socket.terminate();
    });
    this.#direct = { incoming, outgoing };
    this.#flow = { pause: () => secure.pause(), resume: () => secure.resume() };
    this.redirect({
      write: (bytes, offset, length) => {
        // node's stream keeps what it cannot send; it is told to stop by the raw socket's own outbox.
        secure.write(bytes.slice(offset, offset + length));
        return length;
      },
      end: () => secure.end(),
      terminate: () => socket.terminate(),
    });
    this.isEncrypted = true;
    incoming.push(hello);
  }

  /** From the raw socket: plaintext, or the ciphertext of direct TLS. */
  receivedRaw(bytes: Uint8Array): void {
    if (this.#isUpgraded) return;
    if (this.#direct === null) this.received(bytes);
    else this.#direct.incoming.push(bytes);
  }

  /** As receivedRaw(). */
  drainedRaw(): void {
    if (!this.#isUpgraded) this.drained();
  }

  override drained(): void {
    if (this.#direct === null || this.#direct.outgoing.drain()) super.drained();
  }

  override closed(): void {
    this.#direct?.incoming.destroy();
    super.closed();
  }
}

/** The runtime's types leave out `isServer`. */
type ServerUpgrade = Parameters<Socket<ClientStream>["upgradeTLS"]>[0] & {
  isServer: true;
  data: ClientStream;
  socket: SocketHandler<ClientStream>;
};

function clientAuthority(tls: ServerTls): { ca?: string; requestCert?: true; rejectUnauthorized?: true } {
  return tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true };
}

/** A part that is kept is then a copy, which costs a quarter of the view that a Buffer's slice() makes. */
const BINARY_TYPE = "uint8array";

const SECURE_HANDLERS: SocketHandler<ClientStream> = {
  binaryType: BINARY_TYPE,
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drained(),
  error: (socket) => {
    socket.terminate();
  },
  close: (socket) => socket.data.closed(),
  end: (socket) => {
    socket.end();
  },
};

/** For the listener: `accepted` gets each new connection. */
export function acceptHandlers(accepted: (client: ClientStream) => void): SocketHandler<ClientStream> {
  return {
    binaryType: BINARY_TYPE,
    open(socket) {
      socket.data = new ClientStream(socket);
      accepted(socket.data);
    },
    data: (socket, bytes) => socket.data.receivedRaw(bytes),
    drain: (socket) => socket.data.drainedRaw(),
    error: (socket) => {
      socket.terminate();
    },
    close: (socket) => socket.data?.closed(),
    end: (socket) => {
      socket.end();
    },
  };
}
