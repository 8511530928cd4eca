/** A session channel (RFC 4254, section 6): its requests become one operation, whose two ends a relay then joins. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Operation } from "../../src/core/operation.ts";
import type { Exchange, PendingApproval, Permit } from "../../src/core/ports.ts";
import { RecordingFailed } from "../../src/core/recording.ts";
import { messageOf } from "../../src/core/message-of.ts";
import { decodeUtf8 } from "../../src/wire/reader.ts";
import type { ChannelParts, RelayStages } from "./channel-parts.ts";
import type { PtyRequest, TargetChannel, TargetService, X11Request } from "./channels.ts";
import { TargetRefused } from "./channels.ts";
import { ClientService, readX11, type ServiceOpener } from "./forward/client-service.ts";
import { describeCommand, describeShell, describeSubsystem, type DescribedCommand } from "./describe.ts";
import { outputMask } from "./mask/output-mask.ts";
import type { FieldReader } from "./protocol/fields.ts";
import { recordTerminal } from "./record/terminal.ts";
import { recordTranscript } from "./record/transcript.ts";
import { noteText, pendingText, sayNo } from "./refuse.ts";
import { Relay } from "./replies.ts";
import { SftpConversation } from "./sftp/conversation.ts";
import { OperationLines } from "./sftp/operation-lines.ts";
import { ServedChannel } from "./served-channel.ts";
import { Environment, readPty, readSize } from "./session-requests.ts";
import type { ChannelRequest, SshChannel } from "./ssh-channel.ts";

/** Before the command: a client sends one for each variable. */
const REQUESTS_MAX = 128;
const SIGNAL_BYTES_MAX = 32;
const SUBSYSTEM_BYTES_MAX = 256;

/** What is run on a channel. */
type Run = {
  readonly kind: "exec" | "shell" | "subsystem";
  /** For the record and for people. */
  readonly text: string;
  readonly described: Pick<DescribedCommand, "accesses" | "understood">;
  start(permit: Permit): Promise<TargetChannel>;
};

type Asked =
  | { readonly kind: "exec"; readonly command: string }
  | { readonly kind: "shell" }
  | { readonly kind: "subsystem"; readonly name: string };

export type ConversationParts = {
  readonly channel: SshChannel;
  /** What the channel gets when its session is open and its target is there; a refusal: neither will be. */
  readonly ready: Promise<ChannelParts | Refusal>;
  /** Bytes of a command, at most. */
  readonly commandBytesMax: number;
  /** Towards the client's agent and X server. */
  readonly services: ServiceOpener;
  /** A lane that nothing else of the connection uses. */
  nextLane(): number;
  onEnd(): void;
};

export class Conversation {
  readonly #parts: ConversationParts;
  readonly #client: ServedChannel;
  readonly #environment = new Environment();
  #pty: PtyRequest | null = null;
  #requests = 0;
  readonly #services: ClientService[] = [];
  /** Requests that came while it is decided whether the agent or X11 is forwarded; null: nothing is. */
  #held: ChannelRequest[] | null = null;
  /** What was refused without ending anything, until there is something to say it to. */
  readonly #notes: Refusal[] = [];
  #hasBegun = false;
  #isOver = false;
  #relay: Relay | null = null;
  /** Ends what was submitted and has not got as far as a relay. */
  #abandon: ((reason: Refusal) => void) | null = null;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    const { channel } = parts;
    this.#client = new ServedChannel(channel);
    channel.onRequest((request) => this.#request(request));
    channel.onClose(() => this.#clientLeft());
  }

  /** The session ends: whatever runs is stopped, and the client is told why. */
  end(reason: Refusal): void {
    for (const service of this.#services) service.stop(reason);
    if (this.#relay !== null) this.#relay.cancel(reason);
    else if (this.#abandon !== null) this.#abandon(reason);
    else this.#refuse(reason);
  }

  /** Something has begun here and has not ended. */
  get isBusy(): boolean {
    return this.#hasBegun && !this.#isOver;
  }

  /** Requests are answered in their order, and nothing overtakes what is being decided. */
  #request(request: ChannelRequest): void {
    if (this.#held === null) return this.#take(request);
    if (this.#held.length < REQUESTS_MAX) this.#held.push(request);
    else this.#refuse(refusal("limit", `a channel has at most ${REQUESTS_MAX} requests that wait`));
  }

  #take({ type, fields, reply }: ChannelRequest): void {
    if (this.#hasBegun) return this.#laterRequest(type, fields, reply);
    if (++this.#requests > REQUESTS_MAX) return reply(false);
    switch (type) {
      case "env":
        return reply(this.#environment.take(fields));
      case "pty-req": {
        const pty = this.#pty === null ? readPty(fields) : null;
        this.#pty ??= pty;
        return reply(pty !== null);
      }
      case "auth-agent-req@openssh.com":
        return this.#serve("agent-forward", null, reply);
      case "x11-req":
        return this.#serve("x11", readX11(fields), reply);
      case "exec":
        return this.#asked(reply, () => ({ kind: "exec", command: decodeUtf8(fields.string()) }));
      case "shell":
        return this.#asked(reply, () => ({ kind: "shell" }));
      case "subsystem":
        return this.#asked(reply, () => ({ kind: "subsystem", name: fields.utf8(SUBSYSTEM_BYTES_MAX) }));
      default:
        reply(false);
    }
  }

  #laterRequest(type: string, fields: FieldReader, reply: (isGood: boolean) => void): void {
    if (type === "window-change") {
      const size = readSize(fields);
      if (this.#pty === null) return reply(false);
      this.#pty = { ...this.#pty, ...size };
      this.#relay?.resize(size);
      return reply(true);
    }
    if (type === "signal" && this.#relay !== null) {
      this.#relay.signal(fields.utf8(SIGNAL_BYTES_MAX));
      return reply(true);
    }
    if (type === "eow@openssh.com" && this.#relay !== null) {
      this.#relay.unwanted();
      return reply(true);
    }
    reply(false);
  }

  #serve(kind: TargetService["kind"], x11: X11Request | Refusal | null, reply: (isGood: boolean) => void): void {
    if (this.#services.some((each) => each.kind === kind)) return reply(false);
    this.#held = [];
    void this.#decide(kind, x11).then((isGranted) => {
      if (this.#isOver) return;
      reply(isGranted);
      this.#proceed();
    });
  }

  async #decide(kind: TargetService["kind"], x11: X11Request | Refusal | null): Promise<boolean> {
    const parts = await this.#parts.ready;
    // Whatever is run is told that there is no session.
    if (isRefusal(parts) || this.#isOver) return false;
    const nextLane = (): number => this.#parts.nextLane();
    const client = this.#parts.services;
    const onUnavailable = (no: Refusal): void => void this.#client.write(noteText(no, this.#pty !== null), true);
    const service = new ClientService({ ...parts, kind, x11, nextLane, client, onUnavailable });
    this.#services.push(service);
    const no = await service.ask((approval) => {
      if (!this.#isOver) this.#client.write(pendingText(approval, this.#pty !== null), true);
    });
    if (no !== null) {
      const what = kind === "x11" ? "X11" : "the agent";
      this.#notes.push({ ...no, message: `${what} is not forwarded: ${no.message}` });
    }
    return no === null;
  }

  /** What was held goes on, until something else has to be decided. */
  #proceed(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      try {
        this.#request(next);
      } catch {
        // Its fields are not what they should be.
        next.reply(false);
      }
    }
  }

  /** Answered with success at once, so that a refusal can be said on stderr and by the exit status. */
  #asked(reply: (isGood: boolean) => void, read: () => Asked): void {
    this.#hasBegun = true;
    reply(true);
    for (const no of this.#notes.splice(0)) this.#client.write(noteText(no, this.#pty !== null), true);
    let asked: Asked;
    try {
      asked = read();
    } catch {
      return this.#refuse(refusal("not_understood", "what is asked for is not UTF-8, or too long"));
    }
    const text = asked.kind === "exec" ? asked.command : asked.kind === "shell" ? "" : asked.name;
    const { commandBytesMax } = this.#parts;
    if (text.includes("\0")) return this.#refuse(refusal("not_understood", "what is asked for holds a NUL"));
    if (Buffer.byteLength(text) > commandBytesMax) {
      return this.#refuse(refusal("limit", `a command has at most ${commandBytesMax} bytes`));
    }
    void this.#begin(asked);
  }

  async #begin(asked: Asked): Promise<void> {
    const parts = await this.#parts.ready;
    if (isRefusal(parts)) return this.#refuse(parts);
    try {
      await this.#beginWith(asked, parts);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const event = parts.opened.session.id;
      const no = refusal("internal", "the gateway could not begin this", { event, detail });
      parts.door.explain(no);
      this.#refuse(no);
    }
  }

  async #beginWith(asked: Asked, parts: ChannelParts): Promise<void> {
    const run = await this.#runOf(asked, parts);
    if (this.#isOver) return;
    if (isRefusal(run)) return this.#refuse(run);
    this.#submit(run, parts);
  }

  async #runOf(asked: Asked, parts: ChannelParts): Promise<Run | Refusal> {
    const { login, target, settings } = parts;
    const options = { pty: this.#pty, environment: this.#environment.variables, services: this.#services };
    const hasPty = this.#pty !== null;
    switch (asked.kind) {
      case "shell":
        return {
          kind: "shell",
          text: "a shell",
          described: describeShell(login, hasPty),
          start: async (permit) => target.shell(permit, options),
        };
      case "subsystem":
        return {
          kind: "subsystem",
          text: asked.name,
          described: describeSubsystem(login, asked.name),
          start: async (permit) => target.subsystem(permit, asked.name),
        };
      case "exec": {
        const context = { login, home: null, shell: settings.shell, hasPty };
        let described = describeCommand(asked.command, context);
        if (described.needsHome) {
          described = describeCommand(asked.command, { ...context, home: await target.home() });
        }
        return {
          kind: "exec",
          text: asked.command,
          described,
          start: async (permit) => target.exec(permit, described.command, options),
        };
      }
    }
  }

  #submit(run: Run, parts: ChannelParts): void {
    const { door, opened, lane } = parts;
    const { session } = opened;
    const operation: Operation = {
      id: door.operationId(),
      session,
      kind: run.kind,
      accesses: run.described.accesses,
      understood: run.described.understood,
      text: run.text,
      textSha256: null,
      catalogDigest: null,
      lane,
      lasts: true,
      ...(this.#pty === null || isSftp(run) ? {} : { recordedAs: "asciicast" }),
    };
    const over = (isRecorded: boolean): void => {
      this.#over();
      if (!isRecorded) parts.endSession(refusal("audit_unavailable", "the record of what ran cannot be written"));
    };
    const running = new Running(run, parts, this.#client, this.#pty, (relay) => (this.#relay = relay), over);
    this.#abandon = (reason) => {
      running.cancel(reason);
      door.withdraw(session, operation.id);
    };
    door.submit(session, operation, running);
  }

  #refuse(no: Refusal): void {
    if (this.#isOver) return;
    sayNo(this.#client, no, this.#pty !== null);
    this.#over();
  }

  #clientLeft(): void {
    for (const service of this.#services) service.stop(null);
    // What is submitted ends when it is started, or by its relay.
    if (this.#abandon === null) this.#over();
    else this.#abandon(refusal("cancelled", "the client has left"));
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = null;
    for (const service of this.#services) service.stop(null);
    this.#parts.onEnd();
  }
}

/** A protocol of files, whose lengths a mask would change under it. */
function movesFiles({ described }: Run): boolean {
  return described.accesses.some((access) => access.class === "transfer");
}

function isSftp({ kind, text }: Run): boolean {
  return kind === "subsystem" && text === "sftp";
}

/** One operation of a channel, as the gate drives it. */
class Running implements Exchange {
  readonly #run: Run;
  readonly #parts: ChannelParts;
  readonly #client: ServedChannel;
  readonly #pty: PtyRequest | null;
  readonly #onEnd: (isRecorded: boolean) => void;
  readonly #onRelay: (relay: Relay) => void;
  #permit: Permit | null = null;
  /** Null: not begun, or each file operation has its own. */
  #stages: RelayStages | null = null;
  /** What joins the two ends, when both are there. */
  #joined: { release(): void; cancel(reason: Refusal): void } | null = null;
  #isReleased = false;
  #isOver = false;

  constructor(
    run: Run,
    parts: ChannelParts,
    client: ServedChannel,
    pty: PtyRequest | null,
    onRelay: (relay: Relay) => void,
    onEnd: (isRecorded: boolean) => void,
  ) {
    this.#run = run;
    this.#parts = parts;
    this.#client = client;
    this.#pty = pty;
    this.#onRelay = onRelay;
    this.#onEnd = onEnd;
  }

  start(permit: Permit): void {
    this.#permit = permit;
    if (this.#isOver) {
      this.#parts.door.finish(permit, { status: "skipped" });
      return;
    }
    try {
      // What is sent to the target is written down before.
      if (!isSftp(this.#run)) this.#stages = this.#stagesOf(permit);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#stages !== null && this.#stages.mask !== null && movesFiles(this.#run)) {
      const message = "policy masks what this shows, and files cannot be masked on their way";
      return this.#stop(refusal("denied", message, { event: permit.operation, rules: permit.rules }), "failed");
    }
    this.#run.start(permit).then(
      (target) => this.#join(target, permit),
      (error: unknown) => this.#fail(error),
    );
  }

  release(): void {
    this.#isReleased = true;
    this.#joined?.release();
  }

  pending(approval: PendingApproval): void {
    if (!this.#isOver) this.#client.write(pendingText(approval, this.#pty !== null), true);
  }

  refuse(no: Refusal, permit: Permit | null): void {
    const isRecorded = permit === null || this.#parts.door.finish(permit, { status: "refused" });
    this.#end(no, isRecorded);
  }

  cancel(reason: Refusal): void {
    if (this.#joined !== null) return this.#joined.cancel(reason);
    this.#stop(reason, "cancelled");
  }

  /** Ends what no relay has taken over yet. */
  #stop(reason: Refusal, status: "cancelled" | "failed"): void {
    const outcome = { status, code: reason.code };
    try {
      this.#stages?.record?.end(outcome);
    } catch (error) {
      if (!(error instanceof RecordingFailed)) throw error; // The gate ends the session for it.
    }
    const isRecorded = this.#permit === null || this.#parts.door.finish(this.#permit, outcome);
    this.#end(reason, isRecorded);
  }

  #stagesOf(permit: Permit): RelayStages {
    const { door, clock } = this.#parts;
    const { kind, text } = this.#run;
    const record =
      this.#pty === null
        ? recordTranscript(door, permit, clock, text)
        : recordTerminal(door, permit, clock, this.#pty, kind === "shell" ? null : text);
    return { mask: outputMask(door, permit, this.#pty !== null), record };
  }

  /** Each file operation is judged, masked and recorded by itself. */
  #files(channel: TargetChannel, permit: Permit): void {
    const { door, clock } = this.#parts;
    const lines = OperationLines.begin(door, permit, clock, this.#run.text);
    const onEnd = (isRecorded: boolean): void => this.#ended(isRecorded);
    const files = new SftpConversation({ ...this.#parts, client: this.#client, channel, permit, lines, onEnd });
    this.#joined = files;
    files.begin();
  }

  #relay(target: TargetChannel, permit: Permit, stages: RelayStages): void {
    const relay = new Relay({
      door: this.#parts.door,
      permit,
      client: this.#client,
      target,
      stages,
      hasPty: this.#pty !== null,
      onEnd: (isRecorded) => this.#ended(isRecorded),
    });
    this.#joined = relay;
    this.#onRelay(relay);
    this.#client.holdClose();
    relay.begin();
  }

  #join(target: TargetChannel, permit: Permit): void {
    if (this.#isOver) return target.close();
    try {
      if (this.#stages === null) this.#files(target, permit);
      else this.#relay(target, permit, this.#stages);
    } catch (error) {
      target.close();
      return this.#fail(error);
    }
    if (this.#isReleased) this.#joined?.release();
  }

  #ended(isRecorded: boolean): void {
    this.#isOver = true;
    this.#onEnd(isRecorded);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    const { opened } = this.#parts;
    const isWords = error instanceof TargetRefused;
    const detail = isWords ? error.detail : messageOf(error);
    const event = this.#permit?.operation ?? opened.session.id;
    const no =
      error instanceof RecordingFailed
        ? refusal("recording_unavailable", error.message, { event, detail: error.detail })
        : refusal("target_unavailable", isWords ? error.message : "the target could not begin this", { event, detail });
    this.#stop(no, "failed");
  }

  #end(no: Refusal, isRecorded: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.door.explain(no);
    sayNo(this.#client, no, this.#pty !== null);
    this.#onEnd(isRecorded);
  }
}
