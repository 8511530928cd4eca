/** Opens connections to targets straight from here, over TCP and Unix sockets, with TLS when asked for in mid-connection. */
import type { Socket, SocketHandler, TCPSocketConnectOptions, UnixSocketOptions } from "bun";
import type { X509Certificate } from "node:crypto";
import type { Connection, Dialer, Endpoint, TlsOptions, TlsPeer } from "../core/ports.ts";
import { causeOf, DialError, TlsError } from "./dial-error.ts";
import { Outbox } from "../wire/outbox.ts";
import { problemOf, tlsSettings } from "./verify.ts";

/** How long a silent peer is left alone before the kernel asks whether it is still there (ten times, a second apart). */
const KEEP_ALIVE_MS = 60_000;

type Connect = (
  options: TCPSocketConnectOptions<DirectConnection> | UnixSocketOptions<DirectConnection>,
) => Promise<unknown>;

const connectByBun: Connect = async (options) => ("unix" in options ? Bun.connect(options) : Bun.connect(options));

/** The Dialer for targets that can be reached from here. */
export class DirectDialer implements Dialer {
  readonly #connect: Connect;

  /** `connect` is another one only where a test must decide when it succeeds. */
  constructor(connect: Connect = connectByBun) {
    this.#connect = connect;
  }

  /**
   * Connects; rejects with DialError when nobody answers within `timeoutMs`. The same limit holds later for the
   * handshake of startTls(), and for a peer that does not take the last bytes before close().
   */
  async dial(endpoint: Endpoint, timeoutMs: number): Promise<Connection> {
    const address = addressOf(endpoint);
    const connection = new DirectConnection(address, "path" in endpoint, timeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => {
      connection.close();
      resolve("late");
    }, timeoutMs);
    const place = "path" in endpoint ? { unix: endpoint.path } : { hostname: endpoint.host, port: endpoint.port };
    const opened = this.#connect({ ...place, data: connection, socket: HANDLERS });
    opened.catch(reject);
    try {
      // Not awaited through `opened`: a connection that comes too late closes itself.
      if ((await Promise.race([opened, promise])) === "late") {
        throw new DialError(`${address}: no answer within ${timeoutMs} ms`);
      }
      return connection;
    } catch (error) {
      throw error instanceof DialError ? error : new DialError(`${address}: ${causeOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

function addressOf(endpoint: Endpoint): string {
  if ("path" in endpoint) return endpoint.path;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

type Phase =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** close() was called; the last bytes are on their way out. */
  | { readonly kind: "closing" }
  | { readonly kind: "closed"; readonly error: Error | null };

/**
 * One connection. Bytes that arrive before onData() or after pause() wait. Bytes given to write() must not be changed
 * afterwards; after the end they are dropped, and onClose has told.
 */
class DirectConnection implements Connection {
  readonly address: string;
  readonly #timeoutMs: number;
  #isLoopback: boolean;
  #phase: Phase = { kind: "connecting" };
  #socket: Socket<DirectConnection> | null = null;
  #outbox: Outbox | null = null;
  #isTls = false;
  #handshake: Handshake | null = null;
  #failure: Error | null = null;
  /** Came before anybody listened, or after pause(). */
  readonly #waiting: Uint8Array[] = [];
  /** The socket is closed, but nobody has taken its last bytes. */
  #endBehindData: { readonly error: Error | null } | null = null;
  #isPaused = false;
  #lastBytesTimer: Timer | null = null;
  #onData: ((bytes: Uint8Array) => void) | null = null;
  #onDrain: (() => void) | null = null;
  #onClose: ((error: Error | null) => void) | null = null;

  constructor(address: string, isLoopback: boolean, timeoutMs: number) {
    this.address = address;
    this.#isLoopback = isLoopback;
    this.#timeoutMs = timeoutMs;
  }

  get isLoopback(): boolean {
    return this.#isLoopback;
  }

  write(bytes: Uint8Array): boolean {
    return this.writePart(bytes, 0, bytes.length);
  }

  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#phase.kind !== "open" || this.#outbox === null) return false;
    return this.#outbox.writePart(bytes, start, end);
  }

  onData(callback: (bytes: Uint8Array) => void): void {
    this.#onData = callback;
    if (!this.#isPaused) this.#deliverWaiting();
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  onClose(callback: (error: Error | null) => void): void {
    this.#onClose = callback;
    const phase = this.#phase;
    if (phase.kind === "closed") queueMicrotask(() => callback(phase.error));
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#onData !== null) this.#deliverWaiting();
  }

  /** Rejects with TlsError, and closes the connection, when the peer is not who it should be or spoke before its turn. */
  async startTls(options: TlsOptions): Promise<TlsPeer> {
    const socket = this.#socket;
    if (this.#phase.kind !== "open" || socket === null) throw new TlsError(`${this.address}: the connection is closed`);
    if (this.#isTls) throw new TlsError(`${this.address}: the connection is encrypted already`);
    this.#outbox?.flush();
    if (this.#waiting.length > 0 || this.#outbox?.isEmpty !== true) {
      this.#end(null);
      throw new TlsError(`${this.address}: bytes in plain text were on their way when TLS was to begin`);
    }
    this.#isTls = true;
    const { promise, resolve, reject } = Promise.withResolvers<TlsPeer>();
    const timer = setTimeout(() => this.#failTls(`no TLS handshake within ${this.#timeoutMs} ms`), this.#timeoutMs);
    this.#handshake = { options, resolve, reject, timer };
    try {
      const [raw, tls] = socket.upgradeTLS<DirectConnection>({
        data: this,
        tls: tlsSettings(options),
        socket: HANDLERS,
      });
      // The first socket would go on handing out the ciphertext.
      raw.reload({ socket: { drain() {} } });
      this.#socket = tls;
      this.#outbox.redirect(tls);
    } catch (error) {
      // A certificate or key that cannot be read.
      this.#failTls(causeOf(error));
    }
    return promise;
  }

  /** Sends what was written, then closes; nothing more is delivered but the close. */
  close(): void {
    if (this.#phase.kind === "connecting") {
      this.#phase = { kind: "closing" };
      return;
    }
    if (this.#phase.kind !== "open") return;
    if (this.#endBehindData !== null) {
      this.#end(this.#endBehindData.error);
      return;
    }
    this.#phase = { kind: "closing" };
    this.#outbox?.flush();
    if (this.#outbox?.isEmpty === true) this.#socket?.end();
    else this.#lastBytesTimer = setTimeout(() => this.#socket?.terminate(), this.#timeoutMs);
  }

  opened(socket: Socket<DirectConnection>): void {
    // The event of the TLS socket: the connection is open already.
    if (this.#socket !== null) return;
    if (this.#phase.kind !== "connecting") {
      socket.terminate();
      return;
    }
    this.#phase = { kind: "open" };
    this.#socket = socket;
    this.#outbox = new Outbox(socket);
    if (this.#isLoopback) return;
    this.#isLoopback = isLoopbackAddress(socket.remoteAddress);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  received(bytes: Uint8Array): void {
    if (this.#phase.kind !== "open") return;
    if (this.#onData === null || this.#isPaused) {
      this.#waiting.push(bytes);
      this.#socket?.pause();
    } else {
      this.#onData(bytes);
    }
  }

  drained(): void {
    if (this.#outbox?.drain() !== true) return;
    if (this.#phase.kind === "closing") this.#socket?.end();
    else if (this.#phase.kind === "open") this.#onDrain?.();
  }

  /** The handshake is over: `error` is what the library found wrong with the peer's certificate. */
  shookHands(socket: Socket<DirectConnection>, error: Error | null): void {
    const handshake = this.#handshake;
    if (handshake === null) return;
    // Undefined, whatever its type says, when the peer showed none.
    const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
    const problem = problemOf(handshake.options, error, certificate);
    if (problem !== null) {
      this.#failTls(problem);
      return;
    }
    this.#handshake = null;
    clearTimeout(handshake.timer);
    handshake.resolve({ certificateDer: certificate?.raw ?? null });
  }

  /** TLS failed, or a callback threw: either way nothing that follows can be trusted. */
  failed(error: Error): void {
    this.#failure ??= error;
    this.#socket?.terminate();
  }

  closed(error: Error | null): void {
    if (this.#handshake !== null) this.#failTls("the server ended the connection during the TLS handshake");
    const cause = this.#failure ?? error;
    if (this.#waiting.length > 0 && this.#phase.kind === "open") this.#endBehindData = { error: cause };
    else this.#end(cause);
  }

  /** The callback may pause again. */
  #deliverWaiting(): void {
    for (let bytes = this.#waiting.shift(); bytes !== undefined; bytes = this.#waiting.shift()) {
      this.#onData?.(bytes);
      if (this.#isPaused || this.#phase.kind !== "open") return;
    }
    if (this.#endBehindData !== null) this.#end(this.#endBehindData.error);
    this.#socket?.resume();
  }

  #failTls(problem: string): void {
    const handshake = this.#handshake;
    this.#handshake = null;
    clearTimeout(handshake?.timer);
    const error = new TlsError(`${this.address}: ${problem}`);
    handshake?.reject(error);
    this.#end(error);
  }

  #end(error: Error | null): void {
    if (this.#phase.kind === "closed") return;
    this.#phase = { kind: "closed", error };
    clearTimeout(this.#lastBytesTimer ?? undefined);
    this.#outbox?.clear();
    this.#socket?.terminate();
    const callback = this.#onClose;
    if (callback !== null) callback(error);
  }
}

type Handshake = {
  readonly options: TlsOptions;
  readonly resolve: (peer: TlsPeer) => void;
  readonly reject: (error: TlsError) => void;
  readonly timer: Timer;
};

type Timer = ReturnType<typeof setTimeout>;

/** Shared by all connections; each is its socket's data. */
const HANDLERS: SocketHandler<DirectConnection> = {
  // A part that is kept is then a copy, which costs a quarter of the view that a Buffer's slice() makes.
  binaryType: "uint8array",
  open: (socket) => socket.data.opened(socket),
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drained(),
  handshake: (socket, _ok, error) => socket.data.shookHands(socket, error),
  error: (socket, error) => socket.data.failed(error),
  close: (socket, error) => socket.data.closed(error ?? null),
};

/** A connection that was reset at once has no address any more, whatever the type says. */
function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}
