/** The two ends of an SSH channel as the adapter uses them, with permits where bytes go to the target (RFC 4254). */
import type { Permit } from "../../src/core/ports.ts";
import type { OpenFailure } from "./protocol/messages.ts";

/** The size of a terminal (RFC 4254, section 6.2). */
export type TerminalSize = {
  readonly columns: number;
  readonly rows: number;
  readonly widthPx: number;
  readonly heightPx: number;
};

/** A `pty-req`: the terminal's type, size and modes, the latter as they came. */
export type PtyRequest = TerminalSize & {
  readonly type: string;
  readonly modes: Readonly<Record<string, number>>;
};

/** What ended a command: an exit status, or the signal that killed it (RFC 4254, section 6.10). */
export type Exit =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "signal"; readonly signal: string; readonly isCoreDumped: boolean; readonly message: string };

/** What both ends have in common. Each callback has one listener; nothing is read before the first onData. */
interface ChannelEnd {
  /** `isStderr`: extended data of type 1 (only ever from a target). */
  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void;
  /** The other side sends no more. */
  onEof(callback: () => void): void;
  /** After write() has answered false, when there is room again. */
  onDrain(callback: () => void): void;
  /** Called once: the channel is closed, by whomever, also when its connection is lost. */
  onClose(callback: () => void): void;
  /** Stops and resumes reading: what is not read is not acknowledged, so that the sender waits. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** The client's end. */
export interface ClientChannel extends ChannelEnd {
  /** False: stop until onDrain. */
  write(bytes: Uint8Array, isStderr: boolean): boolean;
  /** No more output; the client may go on sending. */
  eof(): void;
  exit(exit: Exit): void;
}

/** The target's end. Whatever is sent throws PermitRequired when the permit is not this session's, or dead. */
export interface TargetChannel extends ChannelEnd {
  /** False: stop until onDrain. */
  write(permit: Permit, bytes: Uint8Array): boolean;
  eof(permit: Permit): void;
  signal(permit: Permit, name: string): void;
  resize(permit: Permit, size: TerminalSize): void;
  /** The client will show no more output (`eow@openssh.com`): whatever goes on writing is to find that out. */
  unwanted(permit: Permit): void;
  /** Called at most once, before onClose. */
  onExit(callback: (exit: Exit) => void): void;
}

/** An `x11-req` (RFC 4254, section 6.3.1); the cookie is in hexadecimal. */
export type X11Request = {
  /** For one connection only. */
  readonly isSingle: boolean;
  readonly protocol: string;
  readonly cookie: string;
  readonly screen: number;
};

/** Something of the client's that programs on a target may reach through the connection. */
export interface TargetService {
  readonly kind: "agent-forward" | "x11";
  /** Of its own operation; null: it is over, and nothing is asked of the target for it. */
  readonly permit: Permit | null;
  /** Null: it is the agent. */
  readonly x11: X11Request | null;
  readonly takesConnections: boolean;
  /** The target does it from now on. */
  made(): void;
  /** The target does not. */
  unavailable(): void;
  /** A program has connected; exactly one of accept and reject is called. */
  connected(
    asked: { readonly accept: () => TargetChannel; readonly reject: (reason: OpenFailure, text: string) => void },
    originator: Originator,
  ): void;
}

/** What goes with a command or a shell. */
export type RunOptions = {
  readonly pty: PtyRequest | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly services: readonly TargetService[];
};

/** Where a forwarded connection came from (RFC 4254, section 7.2). */
export type Originator = { readonly address: string; readonly port: number };

/** A logged-in connection to a target. Each method rejects with TargetRefused when the target says no. */
export interface TargetConnection {
  exec(permit: Permit, command: string, options: RunOptions): Promise<TargetChannel>;
  shell(permit: Permit, options: RunOptions): Promise<TargetChannel>;
  subsystem(permit: Permit, name: string): Promise<TargetChannel>;
  directTcpip(permit: Permit, host: string, port: number, originator: Originator): Promise<TargetChannel>;
  directStreamlocal(permit: Permit, path: string): Promise<TargetChannel>;
  /** Lets the target listen; resolves with the port it listens on. Each connection comes to `onConnection`. */
  listenTcp(
    permit: Permit,
    host: string,
    port: number,
    onConnection: (channel: TargetChannel, originator: Originator) => void,
  ): Promise<number>;
  unlistenTcp(permit: Permit, host: string, port: number): Promise<void>;
  listenStreamlocal(permit: Permit, path: string, onConnection: (channel: TargetChannel) => void): Promise<void>;
  unlistenStreamlocal(permit: Permit, path: string): Promise<void>;
  /** The login's home folder on the target, absolute and resolved; null: it cannot be known. Asked for once. */
  home(): Promise<string | null>;
  /** Called once; null: an orderly end. */
  onClose(callback: (error: Error | null) => void): void;
  close(): void;
}

/** The target did not do what it was asked; the message is a sentence for people without the target's own words. */
export class TargetRefused extends Error {
  readonly code = "TARGET_REFUSED";
  /** The target's own words, for the operator. */
  readonly detail: string;

  constructor(message: string, detail = "") {
    super(message);
    this.detail = detail;
  }
}
