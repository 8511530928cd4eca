/** Both directions of one operation's channel under its permit: held, counted, masked, recorded, and never ahead of the reader. */
import { refusal, type Refusal } from "../../src/core/decision.ts";
import type { Door, Outcome, Permit } from "../../src/core/ports.ts";
import type { OutputMask } from "./mask/output-mask.ts";
import { RecordingFailed } from "../../src/core/recording.ts";
import type { RelayStages } from "./channel-parts.ts";
import type { ClientChannel, Exit, TargetChannel, TerminalSize } from "./channels.ts";
import { REFUSED_STATUS, refusalText } from "./refuse.ts";
import { ChannelFull } from "./ssh-channel.ts";

/** What a change of size counts against limits: its four numbers. */
const SIZE_BYTES = 16;

export type RelayParts = {
  readonly door: Pick<Door, "spend" | "finish" | "explain">;
  readonly permit: Permit;
  readonly client: ClientChannel;
  readonly target: TargetChannel;
  readonly stages: RelayStages;
  /** The client sees a terminal. */
  readonly hasPty: boolean;
  /** Called once, when the outcome is recorded. False: it could not be, and the session must end. */
  onEnd(isRecorded: boolean): void;
};

export class Relay {
  readonly #parts: RelayParts;
  #isOver = false;
  #bytesToClient = 0;
  #exit: Exit | null = null;
  /** The target sends no more. */
  #targetEnded = false;
  #clientHasLeft = false;
  /** The last that the target was not told yet. */
  #size: TerminalSize | null = null;
  readonly #inputWaits = new Set<"target" | "record">();
  readonly #outputWaits = new Set<"client" | "record">();
  readonly #flushTimers: [Timer | null, Timer | null] = [null, null];

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  /** The operation has started: what the client sends goes on. */
  begin(): void {
    const { client, target, permit, stages } = this.#parts;
    client.onClose(() => this.#guarded(() => this.#clientLeft()));
    client.onEof(() => this.#guarded(() => target.eof(permit)));
    target.onDrain(() => this.#guarded(() => this.#targetTakesMore()));
    client.onDrain(() => this.#outputMayFlow("client"));
    stages.record?.onDrain(() => {
      this.#inputMayFlow("record");
      this.#outputMayFlow("record");
    });
    stages.record?.onStall(() => {
      this.#inputWaits.add("record");
      client.pause();
      this.#outputWaits.add("record");
      target.pause();
    });
    target.onExit((exit) => {
      this.#exit = exit;
      if (this.#clientHasLeft) this.#guarded(() => this.#leave());
    });
    client.onData((bytes) => this.#guarded(() => this.#input(bytes)));
  }

  /** The intent is durable: what the target sends goes on. */
  release(): void {
    const { client, target } = this.#parts;
    if (this.#isOver) return;
    target.onEof(() =>
      this.#guarded(() => {
        this.#targetEnded = true;
        this.#flushMask();
        client.eof();
      }),
    );
    target.onClose(() => this.#guarded(() => this.#targetClosed()));
    target.onData((bytes, isStderr) => this.#guarded(() => this.#output(bytes, isStderr)));
  }

  resize(size: TerminalSize): void {
    this.#guarded(() => {
      const { door, permit, stages, target } = this.#parts;
      const no = door.spend(permit, 0, SIZE_BYTES);
      if (no !== null) return this.cancel(no);
      stages.record?.resize(size);
      if (this.#inputWaits.has("target")) this.#size = size;
      else target.resize(permit, size);
    });
  }

  signal(name: string): void {
    this.#guarded(() => this.#parts.target.signal(this.#parts.permit, name));
  }

  /** The client reads no more; without this a command that writes for ever would go on for as long. */
  unwanted(): void {
    this.#guarded(() => this.#parts.target.unwanted(this.#parts.permit));
  }

  /** Ends it; the client is told why. */
  cancel(reason: Refusal): void {
    if (this.#isOver) return;
    const { client, target, permit, door, hasPty } = this.#parts;
    door.explain(reason);
    try {
      // Without a terminal a program would otherwise go on until it writes.
      target.signal(permit, "TERM");
    } catch {
      // The permit is dead: the target hears of the end by the channel's.
    }
    const isRecorded = this.#finish({ status: "cancelled", code: reason.code });
    client.write(refusalText(reason, hasPty), true);
    client.exit({ kind: "status", status: REFUSED_STATUS });
    client.close();
    target.close();
    this.#parts.onEnd(isRecorded);
  }

  #input(bytes: Uint8Array): void {
    const { client, target, permit, door, stages } = this.#parts;
    const no = door.spend(permit, 0, bytes.length);
    if (no !== null) return this.cancel(no);
    if (stages.record?.input(bytes) === false) this.#inputWaits.add("record");
    if (!target.write(permit, bytes)) this.#inputWaits.add("target");
    if (this.#inputWaits.size > 0) client.pause();
  }

  #output(bytes: Uint8Array, isStderr: boolean): void {
    const { mask, record } = this.#parts.stages;
    if (record?.unmasked(bytes, isStderr) === false) this.#outputWaits.add("record");
    if (mask === null) this.#show(bytes, isStderr);
    else {
      this.#show(mask.take(bytes, isStderr), isStderr);
      this.#flushLater(mask, isStderr);
    }
    if (this.#outputWaits.size > 0 && !this.#isOver) this.#parts.target.pause();
  }

  /** A prompt has no end of a line. */
  #flushLater(mask: OutputMask, isStderr: boolean): void {
    const { flushAfterMs } = mask;
    if (flushAfterMs === null || this.#isOver) return;
    const stream = isStderr ? 1 : 0;
    clearTimeout(this.#flushTimers[stream] ?? undefined);
    this.#flushTimers[stream] = setTimeout(
      () => this.#guarded(() => this.#show(mask.flush(isStderr), isStderr)),
      flushAfterMs,
    );
  }

  /** To the record and to the client, within the limits. */
  #show(bytes: Uint8Array, isStderr: boolean): void {
    if (bytes.length === 0 || this.#isOver) return;
    const { client, target, permit, door, stages } = this.#parts;
    const no = door.spend(permit, 0, bytes.length);
    if (no !== null) return this.cancel(no);
    if (stages.record?.output(bytes, isStderr) === false) this.#outputWaits.add("record");
    this.#bytesToClient += bytes.length;
    if (!client.write(bytes, isStderr)) this.#outputWaits.add("client");
    if (this.#outputWaits.size > 0) target.pause();
  }

  #flushMask(): void {
    const { mask } = this.#parts.stages;
    if (mask === null) return;
    this.#show(mask.flush(false), false);
    this.#show(mask.flush(true), true);
  }

  #targetTakesMore(): void {
    const { target, permit } = this.#parts;
    if (this.#size !== null) target.resize(permit, this.#size);
    this.#size = null;
    this.#inputMayFlow("target");
  }

  #inputMayFlow(who: "target" | "record"): void {
    if (this.#inputWaits.delete(who) && this.#inputWaits.size === 0) this.#parts.client.resume();
  }

  #outputMayFlow(who: "client" | "record"): void {
    if (this.#outputWaits.delete(who) && this.#outputWaits.size === 0) this.#parts.target.resume();
  }

  #targetClosed(): void {
    this.#flushMask();
    if (this.#isOver) return;
    const { client, hasPty } = this.#parts;
    const exit = this.#exit;
    const isRecorded = this.#finish(outcomeOf(exit));
    // The log has failed: the session ends, and nobody is told that all went well.
    if (!isRecorded) return this.#parts.onEnd(false);
    if (exit !== null) client.exit(exit);
    else
      client.write(
        refusalText(refusal("target_unavailable", "the target ended this without an exit status"), hasPty),
        true,
      );
    client.eof();
    client.close();
    this.#parts.onEnd(true);
  }

  /**
   * Some clients close as soon as there is no more output: how it ended is then still to come. As with sshd that takes as
   * long as the command does. It is one more channel of the connection meanwhile, and what ends commands ends it: limits,
   * policy, and the connection's own end.
   */
  #clientLeft(): void {
    this.#clientHasLeft = true;
    if (!this.#targetEnded || this.#exit !== null) this.#leave();
  }

  #leave(): void {
    const { client, target } = this.#parts;
    target.close();
    const exit = this.#exit;
    const isRecorded = this.#finish(exit === null ? { status: "cancelled" } : outcomeOf(exit));
    if (isRecorded && exit !== null) client.exit(exit);
    client.close();
    this.#parts.onEnd(isRecorded);
  }

  /** Once. Records the outcome; false: it could not be. */
  #finish(outcome: Outcome): boolean {
    this.#isOver = true;
    for (const timer of this.#flushTimers) clearTimeout(timer ?? undefined);
    const { door, permit, stages } = this.#parts;
    const whole = { ...outcome, bytes: this.#bytesToClient };
    try {
      stages.record?.end(whole);
    } catch (error) {
      if (!(error instanceof RecordingFailed)) throw error;
      // The gate ends the session for it.
    }
    return door.finish(permit, whole);
  }

  /** Whatever goes wrong ends this operation, and nothing more of it goes either way. */
  #guarded(work: () => void): void {
    if (this.#isOver) return;
    try {
      work();
    } catch (error) {
      const { permit } = this.#parts;
      if (error instanceof ChannelFull)
        return this.cancel(refusal("limit", "the target does not take what it is sent", { event: permit.operation }));
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const no =
        error instanceof RecordingFailed
          ? refusal("recording_unavailable", error.message, { event: permit.operation, detail: error.detail })
          : refusal("internal", "the gateway could not go on with this", { event: permit.operation, detail });
      this.cancel(no);
    }
  }
}

function outcomeOf(exit: Exit | null): Outcome {
  if (exit === null) return { status: "unknown" };
  if (exit.kind === "signal") return { status: "failed", code: `SIG${exit.signal}` };
  return { status: exit.status === 0 ? "done" : "failed", code: String(exit.status) };
}
