/** A channel to a client, with the ends that only commands have (RFC 4254, section 6.10). */
import type { ClientChannel, Exit } from "./channels.ts";
import type { SshChannel } from "./ssh-channel.ts";

export class ServedChannel implements ClientChannel {
  readonly #channel: SshChannel;

  constructor(channel: SshChannel) {
    this.#channel = channel;
  }

  write(bytes: Uint8Array, isStderr: boolean): boolean {
    return this.#channel.write(bytes, isStderr);
  }

  eof(): void {
    this.#channel.eof();
  }

  exit(exit: Exit): void {
    const channel = this.#channel;
    if (exit.kind === "status") {
      channel.message(channel.request("exit-status", false).u32(exit.status).take());
      return;
    }
    const request = channel.request("exit-signal", false).string(exit.signal).bool(exit.isCoreDumped);
    channel.message(request.string(exit.message).string("").take());
  }

  /** A client that closes is answered by close() alone, so that it can still be told how its command ended. */
  holdClose(): void {
    this.#channel.holdClose();
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

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  close(): void {
    this.#channel.close();
  }
}
