/** A channel to a target: whatever is sent on it carries a living permit. */
import type { Permit, Upstream } from "../../src/core/ports.ts";
import type { Exit, PtyRequest, TargetChannel, TargetService, TerminalSize } from "./channels.ts";
import { FieldWriter } from "./protocol/fields.ts";
import type { ChannelRequest, SshChannel } from "./ssh-channel.ts";
import { ProtocolError } from "./transport.ts";

const SIGNAL_BYTES_MAX = 64;
const MESSAGE_BYTES_MAX = 4_096;
const TTY_OP_END = 0;
/** RFC 4254, section 6.10: names as in signal.h without their SIG, or `name@domain`. */
const OF_SIGNALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.@";

export class PermittedChannel implements TargetChannel {
  readonly #channel: SshChannel;
  readonly #upstream: Pick<Upstream, "require">;
  #onExit: ((exit: Exit) => void) | null = null;

  constructor(channel: SshChannel, upstream: Pick<Upstream, "require">) {
    this.#channel = channel;
    this.#upstream = upstream;
    channel.onRequest((request) => this.#request(request));
  }

  write(permit: Permit, bytes: Uint8Array): boolean {
    this.#upstream.require(permit);
    return this.#channel.write(bytes, false);
  }

  eof(permit: Permit): void {
    this.#upstream.require(permit);
    this.#channel.eof();
  }

  signal(permit: Permit, name: string): void {
    this.#upstream.require(permit);
    this.#channel.message(this.#channel.request("signal", false).string(name).take());
  }

  resize(permit: Permit, size: TerminalSize): void {
    this.#upstream.require(permit);
    const request = this.#channel.request("window-change", false);
    this.#channel.message(writeSize(request, size).take());
  }

  unwanted(permit: Permit): void {
    this.#upstream.require(permit);
    this.#channel.message(this.#channel.request("eow@openssh.com", false).take());
  }

  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.#channel.onData(callback);
  }

  onEof(callback: () => void): void {
    this.#channel.onEof(callback);
  }

  onDrain(callback: () => void): void {
    this.#channel.onDrain(callback);
  }

  onClose(callback: () => void): void {
    this.#channel.onClose(callback);
  }

  onExit(callback: (exit: Exit) => void): void {
    this.#onExit = callback;
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  close(): void {
    this.#channel.close();
  }

  #request({ type, fields, reply }: ChannelRequest): void {
    const tell = this.#onExit;
    if (type === "exit-status") {
      this.#onExit = null;
      tell?.({ kind: "status", status: fields.u32() });
      return reply(true);
    }
    if (type === "exit-signal") {
      this.#onExit = null;
      const signal = fields.utf8(SIGNAL_BYTES_MAX);
      // It stands in the log, and before people.
      if (!Array.from(signal).every((each) => OF_SIGNALS.includes(each)))
        throw new ProtocolError("a signal has a name that none can have");
      const isCoreDumped = fields.bool();
      tell?.({ kind: "signal", signal, isCoreDumped, message: fields.utf8(MESSAGE_BYTES_MAX) });
      return reply(true);
    }
    // Servers ask in this way whether the client is still there.
    reply(false);
  }
}

/** A `pty-req` that wants an answer. */
export function encodePty(channel: SshChannel, pty: PtyRequest): FieldWriter {
  const modes = new FieldWriter();
  for (const [code, value] of Object.entries(pty.modes)) modes.u8(Number(code)).u32(value);
  return writeSize(channel.request("pty-req", true).string(pty.type), pty).string(modes.u8(TTY_OP_END).take());
}

/** An `auth-agent-req@openssh.com` or `x11-req` that wants an answer. */
export function encodeService(channel: SshChannel, { x11 }: TargetService): FieldWriter {
  if (x11 === null) return channel.request("auth-agent-req@openssh.com", true);
  const { isSingle, protocol, cookie, screen } = x11;
  return channel.request("x11-req", true).bool(isSingle).string(protocol).string(cookie).u32(screen);
}

function writeSize(request: FieldWriter, { columns, rows, widthPx, heightPx }: TerminalSize): FieldWriter {
  return request.u32(columns).u32(rows).u32(widthPx).u32(heightPx);
}
