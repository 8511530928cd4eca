/** A client's connection as the listener accepted it: plain bytes, or TLS that began by SSLRequest or at once. */
import type { Socket, SocketHandler } from "bun";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Outbox, type Sink } from "../../src/wire/outbox.ts";

export type ServerTls = { readonly cert: string; readonly key: string; readonly clientCa?: string };

/** How long end() waits for a client that does not take the last bytes. */
const LAST_BYTES_TIME_MS = 5_000;
/** How long a silent peer is left alone before the kernel asks whether it is still there. */
const KEEP_ALIVE_MS = 60_000;
/** https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL : direct TLS must name the protocol. */
const ALPN = "postgresql";

/** The socket that bytes go out on now: Bun's own, or node's TLS on top of it. */
type Transport = Sink & { pause(): void; resume(): void; end(): void; terminate(): void };

export class ClientStream {
  #transport: Transport;
  readonly #socket: Socket<ClientStream>;
  readonly #outbox: Outbox;
  /** The peer's address without its port. */
  readonly source: string;
  isEncrypted = false;
  /** TLS began by SSLRequest: what the raw socket still reports is ciphertext and none of our business. */
  #isUpgraded = false;
  #isClosed = false;
  #isEnding = false;
  #lastBytesTimer: ReturnType<typeof setTimeout> | null = null;
  #unread: Uint8Array[] = [];
  #onData: ((bytes: Uint8Array) => void) | null = null;
  #onDrain: (() => void) | null = null;
  #onClose: (() => void) | null = null;
  /** Ciphertext of TLS that began at once goes through here. */
  #duplex: Duplex | null = null;

  constructor(socket: Socket<ClientStream>) {
    this.#socket = socket;
    this.#transport = socket;
    this.#outbox = new Outbox(socket);
    this.source = socket.remoteAddress;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get isLoopback(): boolean {
    return this.source === "::1" || this.source.startsWith("127.") || this.source.startsWith("::ffff:127.");
  }

  /** False: the client does not take more now; wait for onDrain. Bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean {
    return this.#isClosed || this.#isEnding ? true : this.#outbox.write(bytes);
  }

  /** What was unread comes first. */
  onData(callback: (bytes: Uint8Array) => void): void {
    this.#onData = callback;
    const unread = this.#unread;
    this.#unread = [];
    for (const bytes of unread) callback(bytes);
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  /** Called once when the connection is gone, whoever ended it; at once when it is already. */
  onClose(callback: () => void): void {
    this.#onClose = callback;
    if (this.#isClosed) queueMicrotask(callback);
  }

  pause(): void {
    if (!this.#isClosed) this.#transport.pause();
  }

  resume(): void {
    if (!this.#isClosed) this.#transport.resume();
  }

  /** Hands bytes back, for the next reader; nobody reads until then. */
  handBack(bytes: Uint8Array): void {
    this.#onData = null;
    if (bytes.length > 0) this.#unread.unshift(bytes);
  }

  /** Sends what was written, then closes. */
  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#outbox.flush();
    if (this.#outbox.isEmpty) this.#transport.end();
    this.#lastBytesTimer = setTimeout(() => this.#transport.terminate(), LAST_BYTES_TIME_MS);
  }

  /** Closes at once. */
  terminate(): void {
    if (!this.#isClosed) this.#transport.terminate();
  }

  /** Goes on in TLS after the answer to an SSLRequest; plaintext that is there already must have been refused. */
  startTls(tls: ServerTls): void {
    this.#outbox.flush();
    const options: ServerUpgrade = {
      isServer: true,
      data: this,
      tls: { cert: tls.cert, key: tls.key, ...clientAuthority(tls) },
      socket: SECURE_HANDLERS,
    };
    const [, secure] = this.#socket.upgradeTLS<ClientStream>(options);
    // The raw socket's handlers stay: they are the listener's, and shared with every other connection.
    this.#isUpgraded = true;
    this.#transport = secure;
    this.#outbox.redirect(secure);
    this.isEncrypted = true;
  }

  /** The client began with a TLS handshake; `hello` is what was received of it. */
  startDirectTls(tls: ServerTls, hello: Uint8Array): void {
    this.#onData = null;
    const socket = this.#socket;
    const raw = new Outbox(socket);
    const duplex = new Duplex({
      read() {},
      write(chunk: Uint8Array, _encoding, done) {
        raw.write(chunk);
        done();
      },
      final(done) {
        raw.flush();
        socket.end();
        done();
      },
    });
    this.#duplex = duplex;
    const secure = new TLSSocket(duplex, {
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
    this.#directRaw = raw;
    this.#transport = {
      write: (bytes, offset, length) => {
        // node's stream keeps what it cannot send; it is told to stop by the raw socket's own outbox.
        secure.write(bytes.slice(offset, offset + length));
        return length;
      },
      pause: () => secure.pause(),
      resume: () => secure.resume(),
      end: () => secure.end(),
      terminate: () => socket.terminate(),
    };
    this.#outbox.redirect(this.#transport);
    this.isEncrypted = true;
    duplex.push(hello);
  }

  #directRaw: Outbox | null = null;

  /** From the raw socket: plaintext, or the ciphertext of direct TLS. */
  receivedRaw(bytes: Uint8Array): void {
    if (this.#isUpgraded) return;
    if (this.#duplex !== null) this.#duplex.push(bytes);
    else this.received(bytes);
  }

  received(bytes: Uint8Array): void {
    if (this.#isEnding) return;
    if (this.#onData === null) this.#unread.push(bytes);
    else this.#onData(bytes);
  }

  /** As receivedRaw(). */
  drainedRaw(): void {
    if (!this.#isUpgraded) this.drained();
  }

  drained(): void {
    if (this.#directRaw !== null && !this.#directRaw.drain()) return;
    if (!this.#outbox.drain()) return;
    if (this.#isEnding) this.#transport.end();
    else this.#onDrain?.();
  }

  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#lastBytesTimer ?? undefined);
    this.#outbox.clear();
    this.#duplex?.destroy();
    this.#onClose?.();
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

const SECURE_HANDLERS: SocketHandler<ClientStream> = {
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
