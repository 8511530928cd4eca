/** One lasting operation of a forward (a connection, a listener), from its submission to its outcome. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { OperationId } from "../../../src/core/operation.ts";
import type { Exchange, Outcome, PendingApproval, Permit } from "../../../src/core/ports.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import type { ChannelParts } from "../channel-parts.ts";
import { TargetRefused } from "../channels.ts";
import { describeForward } from "../describe.ts";
import type { ChannelRecord } from "../record/channel-record.ts";
import { recordTranscript } from "../record/transcript.ts";

export type ForwardParts = Omit<ChannelParts, "lane"> & {
  /** A lane that nothing else of the connection uses. */
  nextLane(): number;
};

/** What is asked for. `where` is what policy judges; `text` goes into the record. */
export type ForwardAsked = {
  readonly channel: Parameters<typeof describeForward>[1];
  readonly where: string | null;
  readonly text: string;
};

/** What becomes of it. */
export type ForwardWork = {
  /** It was let through. A refusal, or what it rejects with, ends it. */
  begin(run: ForwardRun, permit: Permit): Promise<Refusal | null>;
  /** It was not, or the target would not: tell who asked. Called at most once, and not after run.running(). */
  refuse(no: Refusal): void;
  /** People are asked. Left out: a channel that is not open has no place for words, see docs/ssh.md, "Forwards". */
  pending?(approval: PendingApproval): void;
};

export class ForwardRun {
  readonly #parts: ForwardParts;
  readonly #asked: ForwardAsked;
  /** Of the operation, once it is submitted. */
  #id: OperationId | null = null;
  readonly #work: ForwardWork;
  #permit: Permit | null = null;
  #record: ChannelRecord | null = null;
  #hasEnded = false;
  #stop: ((reason: Refusal | null) => void) | null = null;
  readonly #onEnd: () => void;

  /** `onEnd` is called once, whatever became of it. */
  constructor(parts: ForwardParts, asked: ForwardAsked, work: ForwardWork, onEnd: () => void) {
    this.#parts = parts;
    this.#asked = asked;
    this.#work = work;
    this.#onEnd = onEnd;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Null: policy does not oblige to record it. */
  get record(): ChannelRecord | null {
    return this.#record;
  }

  /** With a refusal it is only recorded, and refused: it may not be made, whatever policy says. */
  submit(no: Refusal | null): void {
    const { door, opened, login } = this.#parts;
    const { channel, where, text } = this.#asked;
    const { accesses, understood } = describeForward(login, channel, where);
    const operation = {
      id: door.operationId(),
      session: opened.session,
      kind: channel,
      accesses,
      understood,
      text,
      textSha256: null,
      catalogDigest: null,
      lane: this.#parts.nextLane(),
      lasts: true,
    } as const;
    this.#id = operation.id;
    const exchange: Exchange = {
      start: (permit) => {
        this.#permit = permit;
        // It was given up while its record was on the way to the disk.
        if (this.#hasEnded) door.finish(permit, { status: "skipped" });
      },
      release: () => this.#begin(),
      pending: (approval) => {
        if (!this.#hasEnded) this.#work.pending?.(approval);
      },
      refuse: (reason, permit) => {
        this.#permit = permit;
        // It was given up before people had answered, and is recorded as refused.
        if (this.#hasEnded && permit !== null) door.finish(permit, { status: "refused", code: reason.code });
        this.#refuse(reason, { status: "refused", code: reason.code });
      },
      cancel: (reason) => this.stop(reason),
    };
    if (no === null) door.submit(opened.session, operation, exchange);
    else door.refuse(opened.session, operation, no, exchange);
  }

  /** From now on it is ended by `stop`, which in turn calls finish(); null for the reason: its connection is closed. */
  running(stop: (reason: Refusal | null) => void): void {
    this.#stop = stop;
  }

  /** Ends it, in whatever state it is. */
  stop(reason: Refusal | null): void {
    if (this.#hasEnded) return;
    if (this.#stop !== null) return this.#stop(reason);
    const why = reason ?? refusal("cancelled", "the connection was closed");
    this.#refuse(why, { status: "cancelled", code: why.code });
    const { door, opened } = this.#parts;
    if (this.#permit === null && this.#id !== null) door.withdraw(opened.session, this.#id);
  }

  finish(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { door, endSession } = this.#parts;
    try {
      this.#record?.end(outcome);
    } catch {
      // The recording has failed, and the session is being ended over it.
    }
    const isLogged = this.#permit === null || door.finish(this.#permit, outcome);
    this.#onEnd();
    if (isLogged) return;
    endSession(
      refusal("audit_unavailable", "the record of this session can no longer be written, so it was ended", {
        hint: "The gateway's log has failed; its operator sees why in `weir status`.",
      }),
    );
  }

  #begin(): void {
    const permit = this.#permit;
    if (permit === null || this.#hasEnded) return;
    if (permit.obligations.mask !== undefined) {
      // Nobody knows what a forward's bytes are, so nothing of them could be masked for certain.
      const no = refusal("denied", "policy obliges to mask this, and what a forward carries cannot be masked", {
        rules: permit.rules,
        event: permit.operation,
      });
      return this.#refuse(no, { status: "refused", code: no.code });
    }
    try {
      const { door, clock } = this.#parts;
      this.#record = recordTranscript(door, permit, clock, `${this.#asked.channel} ${this.#asked.text}`);
    } catch (error) {
      return this.#failed(error, permit);
    }
    this.#work.begin(this, permit).then(
      (no) => {
        if (no !== null) this.#refuse({ ...no, event: permit.operation }, { status: "refused", code: no.code });
      },
      (error: unknown) => this.#failed(error, permit),
    );
  }

  #failed(error: unknown, permit: Permit): void {
    const no = refusalOf(error, permit.operation);
    this.#refuse(no, { status: "failed", code: no.code });
  }

  #refuse(no: Refusal, outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#parts.door.explain(no);
    if (this.#stop === null) this.#work.refuse(no);
    else this.#stop(no);
    this.finish(outcome);
  }
}

function refusalOf(error: unknown, event: string): Refusal {
  if (error instanceof TargetRefused) {
    return refusal("target_unavailable", error.message, { event, detail: error.detail });
  }
  if (error instanceof RecordingFailed) {
    return refusal("recording_unavailable", error.message, { event, detail: error.detail });
  }
  return refusal("internal", "the forward could not be made", { event, detail: String(error) });
}
