/** One SFTP channel between a client and a target: every request is read, judged, and sent under a permit of its own. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { Clock, Outcome, Permit } from "../../../src/core/ports.ts";
import type { Recording } from "../../../src/core/recording.ts";
import type { Session } from "../../../src/core/session.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import type { ChannelParts } from "../channel-parts.ts";
import type { ClientChannel, Exit, TargetChannel } from "../channels.ts";
import { refusalText, sayNo } from "../refuse.ts";
import type { Desk } from "./desk.ts";
import { FileOperation } from "./file-operation.ts";
import { HandleRequest, isOnHandle } from "./handle-request.ts";
import type { OperationLines } from "./operation-lines.ts";
import { type OpenHandle, OpenHandles } from "./open-handles.ts";
import { isNormal } from "./paths.ts";
import { HELD_BYTES_MAX, STDERR_BYTES_MAX, UNANSWERED_MAX } from "./protocol/limits.ts";
import { type Packet, PacketStream } from "./protocol/packet-stream.ts";
import {
  decodeStatus,
  decodeVersion,
  encodeLimits,
  encodeStatus,
  encodeVersion,
  type Limits,
  type Status,
  withId,
} from "./protocol/replies.ts";
import {
  decodeInit,
  decodeRequest,
  encodeHandleRequest,
  encodeInit,
  type Request,
  requestId,
} from "./protocol/requests.ts";
import { EXTENSIONS, FX, FXP, VERSION } from "./protocol/types.ts";
import { TargetQuestions } from "./questions.ts";
import { protocolBroken, statusOf, targetBroken } from "./refuse.ts";
import { Resolver } from "./resolver.ts";
import { TargetLink } from "./target-link.ts";
import { type Turn, Turns } from "./turns.ts";

export type SftpParts = Pick<ChannelParts, "door" | "opened" | "clock" | "login" | "lane"> & {
  readonly client: ClientChannel;
  /** The target's SFTP subsystem. */
  readonly channel: TargetChannel;
  /** That of the subsystem, which lasts: the gateway's own questions run under it. */
  readonly permit: Permit;
  /** What is written down of the subsystem itself; null: nothing is. */
  readonly lines: OperationLines | null;
  /** Called once, when everything has its outcome. False: one could not be recorded, and the session must end. */
  onEnd(isRecorded: boolean): void;
};

/** hello: the client has not said its version. asking: the target is asked for its own. open: requests are served. */
type State = "hello" | "asking" | "open" | "ended";

export class SftpConversation implements Desk {
  readonly door: ChannelParts["door"];
  readonly session: Session;
  readonly clock: Clock;
  readonly login: string;
  readonly lane: number;
  readonly link: TargetLink;
  readonly handles = new OpenHandles();
  readonly #parts: SftpParts;
  readonly #requests = new PacketStream();
  readonly #turns: Turns;
  readonly #questions: TargetQuestions;
  #resolver: Resolver | null = null;
  #state: State = "hello";
  /** What the client was told that is understood; the rest is not, whatever the target could do. */
  #extensions: ReadonlyMap<string, string> = new Map();
  #limits: Limits | null = null;
  /** Operations of which the permit may be alive. */
  readonly #operations = new Set<FileOperation>();
  /** Handles of which the permit is alive. */
  readonly #openHandles = new Set<OpenHandle>();
  readonly #afterReplies = new Map<OpenHandle, () => void>();
  #hasTargetVersion = false;
  #clientIsFull = false;
  #clientIsPaused = false;
  #clientHasEnded = false;
  #eofWasSent = false;
  #stderrBytes = 0;
  #isProceeding = false;
  #mustProceed = false;
  #recordingIsFull = false;
  #isRecorded = true;

  constructor(parts: SftpParts) {
    this.#parts = parts;
    this.door = parts.door;
    this.session = parts.opened.session;
    this.clock = parts.clock;
    this.login = parts.login;
    this.lane = parts.lane;
    this.link = new TargetLink(parts.channel);
    this.#questions = new TargetQuestions(this.link, parts.permit);
    this.#turns = new Turns(() => !this.link.isFull);
  }

  get resolver(): Resolver {
    if (this.#resolver === null) throw new Error("nothing is resolved before the target has said where it begins");
    return this.#resolver;
  }

  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  /** The subsystem has started: either side may leave. */
  begin(): void {
    const { client, channel } = this.#parts;
    client.onClose(() => this.#end(null, { status: "cancelled" }));
    channel.onClose(() => this.#end(null, { status: "done" }));
  }

  /** Its intent is durable: both sides are heard. */
  release(): void {
    const { client, channel } = this.#parts;
    if (this.hasEnded) return;
    channel.onData((bytes, isStderr) => this.#guarded(() => this.#fromTarget(bytes, isStderr)));
    channel.onDrain(() =>
      this.proceed(() => {
        this.link.isFull = false;
      }),
    );
    channel.onExit((exit) => this.#targetExited(exit));
    client.onDrain(() =>
      this.proceed(() => {
        this.#clientIsFull = false;
        channel.resume();
      }),
    );
    client.onEof(() =>
      this.proceed(() => {
        this.#clientHasEnded = true;
      }),
    );
    client.onData((bytes) => this.proceed(() => this.#requests.push(bytes)));
  }

  /** Ends the channel and tells the client why. */
  cancel(reason: Refusal): void {
    this.#end(reason, { status: "cancelled", code: reason.code });
  }

  /* ---- from the client ---- */

  #readClient(): void {
    while (this.#state === "hello" || this.#state === "open") {
      if (this.#mustHold()) return;
      const packet = this.#requests.next();
      if (packet === null) return;
      if (this.#state === "hello") this.#hello(packet);
      else this.#request(packet);
      this.#turns.advance();
    }
  }

  #hello(packet: Packet): void {
    if (packet.type !== FXP.init) throw new WireError("PROTOCOL_HELLO", "the first packet is not SSH_FXP_INIT");
    const version = decodeInit(packet);
    if (version < VERSION) throw new WireError("PROTOCOL_VERSION", `SFTP version ${version} is not spoken here`);
    this.#state = "asking";
    this.link.sendRaw(this.#parts.permit, encodeInit(VERSION));
  }

  #request(packet: Packet): void {
    const id = requestId(packet);
    if (id === null || packet.type === FXP.init) {
      throw new WireError("PROTOCOL_REQUEST", "an SFTP packet is no request");
    }
    let request: Request;
    try {
      request = decodeRequest(packet);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.answer(id, { code: FX.badMessage, message: `weir: ${error.message}` });
    }
    if (request.kind === "limits" && this.#limits !== null) return this.toClient(encodeLimits(id, this.#limits));
    if (request.kind === "limits" || request.kind === "unsupported" || !this.#isOffered(request.kind)) {
      return this.answer(id, { code: FX.opUnsupported, message: "weir: this is not supported here" });
    }
    if (isOnHandle(request)) return this.#turns.add(new HandleRequest(this, id, request, packet));
    const operation = new FileOperation(this, id, request);
    this.#operations.add(operation);
    this.#turns.add(operation);
  }

  /** What the target does not offer is not asked of it. */
  #isOffered(kind: Request["kind"]): boolean {
    const extension = EXTENSION_OF[kind];
    if (extension !== undefined) return this.#extensions.has(extension);
    // Only OpenSSH's own order of its arguments is known.
    return kind !== "symlink" || this.#questions.isOpenSsh;
  }

  /** So much waits that the client must. */
  #mustHold(): boolean {
    return (
      this.#state === "asking" ||
      this.#clientIsFull ||
      this.#recordingIsFull ||
      this.link.isFull ||
      this.#turns.length + this.link.unanswered >= UNANSWERED_MAX ||
      this.#turns.heldBytes >= HELD_BYTES_MAX
    );
  }

  /* ---- from the target ---- */

  #fromTarget(bytes: Uint8Array, isStderr: boolean): void {
    if (this.hasEnded) return;
    if (isStderr) return this.tell(bytes);
    this.link.push(bytes);
    this.proceed(() => {
      try {
        for (let packet = this.link.next(); packet !== null && !this.hasEnded; packet = this.link.next()) {
          if (this.#state === "asking" && !this.#hasTargetVersion) this.#begun(packet);
          else this.link.answer(packet);
        }
      } catch (error) {
        if (!(error instanceof WireError) && !(error instanceof RangeError)) throw error;
        this.cancel(targetBroken(error.message));
      }
    });
  }

  #begun(packet: Packet): void {
    if (packet.type !== FXP.version) throw new WireError("PROTOCOL_VERSION", "the target does not say its version");
    const { version, extensions } = decodeVersion(packet);
    if (version !== VERSION) throw new WireError("PROTOCOL_VERSION", `the target speaks SFTP version ${version}`);
    this.#hasTargetVersion = true;
    this.#extensions = new Map(Object.entries(EXTENSIONS).filter(([name, each]) => extensions.get(name) === each));
    this.#questions.isOpenSsh = [...extensions.keys()].some((name) => name.endsWith("@openssh.com"));
    void Promise.all([
      this.#questions.realpath("."),
      this.#extensions.has("limits@openssh.com") ? this.#questions.limits() : null,
    ]).then(
      ([home, limits]) => this.proceed(() => this.#greet(home, limits)),
      (error: unknown) => this.proceed(() => this.cancel(targetBroken(String(error)))),
    );
  }

  #greet(home: string | Status, limits: Limits | null): void {
    if (this.hasEnded) return;
    if (typeof home !== "string" || !isNormal(home))
      return this.cancel(targetBroken("it does not say where it begins"));
    this.#resolver = new Resolver(this.#questions, home);
    this.#limits = limits;
    this.#state = "open";
    this.toClient(encodeVersion(this.#extensions));
  }

  #targetExited(exit: Exit): void {
    if (!this.hasEnded) this.#parts.client.exit(exit);
  }

  /* ---- what requests need ---- */

  proceed(work: () => void): void {
    this.#guarded(() => {
      work();
      // What happens meanwhile (a client that is resumed speaks at once) is seen to as well.
      this.#mustProceed = true;
      if (this.#isProceeding) return;
      this.#isProceeding = true;
      try {
        while (this.#mustProceed) {
          this.#mustProceed = false;
          this.#advance();
        }
      } finally {
        this.#isProceeding = false;
      }
    });
  }

  #advance(): void {
    if (this.hasEnded) return;
    try {
      this.#turns.advance();
      this.#readClient();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.cancel(protocolBroken(error.message));
    }
    this.#settleFlow();
  }

  #settleFlow(): void {
    const { client, channel, permit } = this.#parts;
    if (this.hasEnded) return;
    const mustHold = this.#mustHold();
    if (mustHold !== this.#clientIsPaused) {
      this.#clientIsPaused = mustHold;
      if (mustHold) client.pause();
      else client.resume();
    }
    const isThrough = this.#operations.size === 0 && this.link.unanswered === 0 && !mustHold;
    if (!this.#clientHasEnded || this.#eofWasSent || !isThrough) return;
    this.#eofWasSent = true;
    channel.eof(permit);
  }

  toClient(bytes: Uint8Array): void {
    if (this.hasEnded || this.#parts.client.write(bytes, false) || this.#clientIsFull) return;
    this.#clientIsFull = true;
    this.#parts.channel.pause();
  }

  answer(id: number, status: Status): void {
    this.toClient(encodeStatus(id, status));
  }

  deny(id: number, no: Refusal): void {
    this.door.explain(no);
    this.tell(refusalText(no, false));
    this.answer(id, statusOf(no));
  }

  pass(id: number, reply: Packet): void {
    this.toClient(withId(reply, id));
  }

  tell(bytes: Uint8Array): void {
    if (this.hasEnded || this.#stderrBytes + bytes.length > STDERR_BYTES_MAX) return;
    this.#stderrBytes += bytes.length;
    this.#parts.client.write(bytes, true);
  }

  finish(permit: Permit, outcome: Outcome): void {
    if (this.door.finish(permit, outcome)) return;
    this.#isRecorded = false;
    if (this.hasEnded) return;
    const message = "the record of what was done cannot be written, so the session ends";
    this.cancel(refusal("audit_unavailable", message));
  }

  waitFor(recording: Recording): void {
    if (this.#recordingIsFull) return;
    this.#recordingIsFull = true;
    const forget = recording.onDrain(() =>
      this.proceed(() => {
        forget();
        this.#recordingIsFull = false;
      }),
    );
  }

  settle(turn: Turn): void {
    this.#turns.settle(turn);
  }

  /** An operation is over, or is a handle from now on. */
  over(operation: FileOperation): void {
    this.#operations.delete(operation);
  }

  opened(handle: OpenHandle): void {
    this.#openHandles.add(handle);
  }

  close(handle: OpenHandle, then: (status: Status) => void): void {
    handle.isClosing = true;
    this.link.send(handle.permit, FXP.status, encodeHandleRequest(FXP.close, handle.target), (reply) => {
      const status = decodeStatus(reply);
      const closed = (): void => {
        this.#openHandles.delete(handle);
        this.finish(handle.permit, handle.end("done"));
        then(status);
      };
      if (handle.inFlight === 0) closed();
      else this.#afterReplies.set(handle, closed);
    });
  }

  answered(handle: OpenHandle): void {
    if (handle.inFlight > 0) return;
    const closed = this.#afterReplies.get(handle);
    this.#afterReplies.delete(handle);
    closed?.();
  }

  revoke(handle: OpenHandle, reason: Refusal): void {
    if (handle.cut !== null || this.hasEnded) return;
    handle.cut = reason;
    this.door.explain(reason);
    this.tell(refusalText(reason, false));
    if (!handle.isClosing) this.close(handle, () => {});
  }

  /* ---- the end ---- */

  /** What has no other name is a fault of the gateway's own: it ends the channel. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (this.hasEnded) return;
      const event = this.#parts.permit.operation;
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const no = refusal("internal", "the gateway has failed in this SFTP channel", { event, detail });
      this.#end(no, { status: "failed" });
    }
  }

  #end(reason: Refusal | null, outcome: Outcome): void {
    if (this.hasEnded) return;
    const { client, channel } = this.#parts;
    if (reason !== null) this.door.explain(reason);
    this.#state = "ended";
    this.#turns.clear();
    for (const operation of this.#operations) operation.abandon();
    for (const handle of this.#openHandles) {
      this.finish(handle.permit, handle.end(handle.inFlight === 0 ? "cancelled" : "unknown"));
    }
    this.#operations.clear();
    this.#openHandles.clear();
    this.#parts.lines?.end(outcome);
    this.finish(this.#parts.permit, outcome);
    channel.close();
    if (reason !== null) sayNo(client, reason, false);
    else client.close();
    this.#parts.onEnd(this.#isRecorded);
  }
}

/** Requests that are an extension's. */
const EXTENSION_OF: Readonly<Partial<Record<Request["kind"], string>>> = {
  "posix-rename": "posix-rename@openssh.com",
  statvfs: "statvfs@openssh.com",
  fstatvfs: "fstatvfs@openssh.com",
  hardlink: "hardlink@openssh.com",
  fsync: "fsync@openssh.com",
  lsetstat: "lsetstat@openssh.com",
  "expand-path": "expand-path@openssh.com",
  "copy-data": "copy-data",
  "home-directory": "home-directory",
  "users-groups": "users-groups-by-id@openssh.com",
};
