/** A real SFTP server (OpenSSH's) without SSH around it: a child process that speaks on its standard streams. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Exit, TargetChannel } from "../../adapters/ssh/channels.ts";
import type { Permit } from "../../src/core/ports.ts";

const PROGRAM = "/usr/lib/openssh/sftp-server";

/** `require`: throws unless the permit is good; left out: anything may be written (a client without a gateway). */
export class SftpServer implements TargetChannel {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #require: (permit: Permit) => void;
  /** What was written to it, packet by packet as it was sent. */
  onWritten: (bytes: Uint8Array) => void = () => {};
  bytesWritten = 0;

  /** Sessions begin in `folder`. */
  constructor(folder: string, require: (permit: Permit) => void = () => {}, options: readonly string[] = []) {
    this.#require = require;
    this.#child = spawn(PROGRAM, [...options], { cwd: folder, stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdin.on("error", () => {}); // It has ended: onClose says so.
  }

  write(permit: Permit, bytes: Uint8Array): boolean {
    this.#require(permit);
    return this.send(bytes);
  }

  send(bytes: Uint8Array): boolean {
    this.bytesWritten += bytes.length;
    this.onWritten(bytes);
    return this.#child.stdin.write(bytes);
  }

  eof(permit: Permit): void {
    this.#require(permit);
    this.#child.stdin.end();
  }

  signal(): void {}

  resize(): void {}
  unwanted(): void {}

  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.#child.stdout.on("data", (bytes: Uint8Array) => callback(bytes, false));
  }

  onEof(callback: () => void): void {
    this.#child.stdout.on("end", callback);
  }

  onDrain(callback: () => void): void {
    this.#child.stdin.on("drain", callback);
  }

  onExit(callback: (exit: Exit) => void): void {
    this.#child.on("exit", (status) => callback({ kind: "status", status: status ?? 255 }));
  }

  onClose(callback: () => void): void {
    this.#child.on("close", callback);
  }

  pause(): void {
    this.#child.stdout.pause();
  }

  resume(): void {
    this.#child.stdout.resume();
  }

  close(): void {
    this.#child.kill();
  }
}
