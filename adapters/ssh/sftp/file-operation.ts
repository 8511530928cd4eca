/** One request that policy judges by itself, from its paths to its reply. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import { type Accesses, type Operation, UNKNOWN } from "../../../src/core/operation.ts";
import type { Exchange, Outcome, PendingApproval, Permit } from "../../../src/core/ports.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import { describeFile, describeSubsystem } from "../describe.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import { pendingText } from "../refuse.ts";
import type { Desk } from "./desk.ts";
import { OpenHandle } from "./open-handles.ts";
import { OperationLines } from "./operation-lines.ts";
import { PathRefused } from "./paths.ts";
import { changesNames, type JudgedRequest, type Plan, planOf } from "./plan.ts";
import { OPEN_HANDLES_MAX } from "./protocol/limits.ts";
import type { Packet } from "./protocol/packet-stream.ts";
import { decodeHandle, decodeStatus, encodeHandle, encodeOneName, type Status } from "./protocol/replies.ts";
import { FX, FXP, statusName } from "./protocol/types.ts";
import { targetBroken } from "./refuse.ts";
import { Transfer } from "./transfer.ts";
import type { Turn } from "./turns.ts";

const DENIED_CODE = statusName(FX.permissionDenied);

export class FileOperation implements Turn, Exchange {
  step: Turn["step"] = "new";
  readonly changesNames: boolean;
  readonly heldBytes = 0;
  readonly #desk: Desk;
  readonly #id: number;
  readonly #request: JudgedRequest;
  #plan: Plan | null = null;
  /** What the client is told without anything being sent; null: it is sent. */
  #answer: Status | Refusal | null = null;
  #permit: Permit | null = null;
  #lines: OperationLines | null = null;
  #isReleased = false;
  #isSent = false;
  /** What the target has answered, until it may be passed on. */
  #reply: Packet | null = null;
  /** The client has its answer. */
  #isAnswered = false;
  #handle: OpenHandle | null = null;

  constructor(desk: Desk, id: number, request: JudgedRequest) {
    this.#desk = desk;
    this.#id = id;
    this.#request = request;
    this.changesNames = changesNames(request);
  }

  /* ---- its turns ---- */

  prepare(): void {
    const { resolver, handles } = this.#desk;
    this.step = "preparing";
    void planOf(this.#request, resolver, (token) => handles.find(token)).then(
      (plan) => this.#prepared(() => (isStatus(plan) ? (this.#answer = plan) : (this.#plan = plan))),
      (error: unknown) =>
        this.#prepared(() => {
          if (error instanceof WireError || error instanceof RangeError)
            return this.#desk.cancel(targetBroken(error.message));
          if (!(error instanceof PathRefused)) throw error;
          this.#answer = refusal("not_understood", `this cannot be judged: ${error.message}`);
        }),
    );
  }

  #prepared(work: () => void): void {
    this.#desk.proceed(() => {
      this.step = "prepared";
      work();
    });
  }

  submit(): void {
    const desk = this.#desk;
    const answer = this.#answer;
    this.step = "submitted";
    if (answer !== null && isStatus(answer)) this.step = "ready";
    else if (answer !== null) desk.door.refuse(desk.session, this.#unreadable(), answer, this);
    else if (this.#plan !== null) desk.door.submit(desk.session, this.#operation(this.#plan), this);
  }

  go(): void {
    const desk = this.#desk;
    const plan = this.#plan;
    const permit = this.#permit;
    if (this.#answer === null && plan !== null) this.#answer = this.#stillWrong(plan);
    if (this.#answer !== null || plan === null || permit === null) {
      desk.settle(this);
      this.#end(this.#answer ?? { code: FX.failure, message: "" });
      return;
    }
    this.#isSent = true;
    switch (plan.action.kind) {
      case "send":
        return desk.link.send(permit, plan.action.type, plan.action.encode, (reply) => this.#replied(reply));
      case "open":
        desk.handles.opening++;
        return desk.link.send(permit, FXP.handle, plan.action.encode, (reply) => {
          desk.handles.opening--;
          this.#replied(reply);
        });
      case "answer":
      case "name":
        desk.settle(this);
        return this.#deliver();
    }
  }

  /* ---- the gate's calls ---- */

  start(permit: Permit): void {
    this.#desk.proceed(() => {
      this.#permit = permit;
      if (this.#desk.hasEnded) return this.abandon();
      this.#answer ??= this.#unkept(permit) ?? this.#begin(permit);
      this.step = "ready";
    });
  }

  release(): void {
    this.#desk.proceed(() => {
      this.#isReleased = true;
      this.#deliver();
    });
  }

  pending(approval: PendingApproval): void {
    this.#desk.tell(pendingText(approval, false));
  }

  refuse(no: Refusal, permit: Permit | null): void {
    this.#desk.proceed(() => {
      if (permit !== null) this.#desk.finish(permit, { status: "refused", code: DENIED_CODE });
      this.#answer = no;
      this.step = "ready";
    });
  }

  cancel(reason: Refusal): void {
    this.#desk.proceed(() => {
      if (this.#handle !== null) return this.#desk.revoke(this.#handle, reason);
      this.#answer = reason;
      // What was sent is through when the target says so, but the client waits no longer.
      if (this.#isSent) this.#tellClient(reason);
    });
  }

  /** The channel has ended. */
  abandon(): void {
    if (this.#handle === null) this.#finish({ status: this.#isSent ? "unknown" : "skipped" });
  }

  /* ---- what becomes of it ---- */

  #begin(permit: Permit): Refusal | null {
    const { door, clock } = this.#desk;
    try {
      this.#lines = OperationLines.begin(door, permit, clock, this.#plan?.text ?? "", (recording) =>
        this.#desk.waitFor(recording),
      );
      return null;
    } catch (error) {
      if (!(error instanceof RecordingFailed)) throw error;
      const { message, detail } = error;
      return refusal("recording_unavailable", message, { detail, event: permit.operation, rules: permit.rules });
    }
  }

  /** Content cannot be masked on its way: who may read it reads all of it. */
  #unkept({ obligations, operation, rules }: Permit): Refusal | null {
    if (obligations.mask === undefined || this.#plan?.shows !== true) return null;
    const message = "policy masks what this shows, and files and their names cannot be masked over SFTP";
    return refusal("denied", message, { event: operation, rules });
  }

  /** What has changed while it waited. */
  #stillWrong({ action, needs }: Plan): Status | Refusal | null {
    for (const handle of needs) {
      if (handle.cut !== null) return handle.cut;
      if (handle.isClosing) return { code: FX.failure, message: "there is no such handle" };
    }
    if (action.kind !== "open" || !this.#desk.handles.isFull) return null;
    return { code: FX.failure, message: `a channel holds at most ${OPEN_HANDLES_MAX} files and folders open` };
  }

  #replied(reply: Packet): void {
    this.#desk.settle(this);
    this.#reply = reply;
    this.#deliver();
  }

  /** Once the reply is there and may flow. */
  #deliver(): void {
    const desk = this.#desk;
    const action = this.#plan?.action;
    const reply = this.#reply;
    if (!this.#isReleased || !this.#isSent || action === undefined || desk.hasEnded || this.#permit === null) return;
    if (action.kind === "answer") return this.#end(action.status);
    if (action.kind === "name") {
      this.#finish({ status: "done" });
      return desk.toClient(encodeOneName(this.#id, action.name));
    }
    if (reply === null) return;
    this.#reply = null;
    if (reply.type === FXP.status) {
      const { code } = decodeStatus(reply);
      this.#finish(outcomeOf(code));
      if (!this.#isAnswered) desk.pass(this.#id, reply);
    } else if (action.kind === "open") this.#opened(reply, action);
    else this.#passReply(reply, this.#permit);
  }

  #passReply(reply: Packet, permit: Permit): void {
    const bytes = reply.raw.length;
    const no = this.#desk.door.spend(permit, 0, bytes);
    if (no !== null) return this.#end(no);
    this.#finish({ status: "done", bytes });
    if (!this.#isAnswered) this.#desk.pass(this.#id, reply);
  }

  #opened(reply: Packet, action: Extract<Plan["action"], { kind: "open" }>): void {
    const desk = this.#desk;
    if (this.#permit === null) return;
    const { paths, read, write, appends, isFolder } = action;
    const transfer = isFolder ? null : new Transfer(appends);
    const handle = new OpenHandle(this.#permit, decodeHandle(reply), paths, { read, write }, transfer, this.#lines);
    this.#handle = handle;
    desk.opened(handle);
    desk.over(this);
    const no = this.#answer;
    if (no !== null && !isStatus(no)) return desk.revoke(handle, no);
    desk.toClient(encodeHandle(this.#id, desk.handles.add(handle)));
  }

  /** Nothing is sent, or nothing of what came is passed on. */
  #end(answer: Status | Refusal): void {
    if (isStatus(answer))
      this.#finish(this.#isSent ? outcomeOf(answer.code) : { status: "failed", code: statusName(answer.code) });
    else this.#finish({ status: this.#isSent ? "failed" : "refused", code: DENIED_CODE });
    this.#tellClient(answer);
  }

  #tellClient(answer: Status | Refusal): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (isStatus(answer)) this.#desk.answer(this.#id, answer);
    else this.#desk.deny(this.#id, answer);
  }

  #finish(outcome: Outcome): void {
    const permit = this.#permit;
    this.#desk.over(this);
    if (permit === null) return;
    this.#permit = null;
    this.#lines?.end(outcome);
    this.#desk.finish(permit, outcome);
  }

  /* ---- as the gate sees it ---- */

  #operation({ kind, judged, text, action }: Plan): Operation {
    const { login } = this.#desk;
    const described = judged.map((each) => describeFile(login, each));
    const [first, ...others] = described.length === 0 ? [describeSubsystem(login, "sftp")] : described;
    const accesses: Accesses =
      first === undefined ? unreadable(login) : [...first.accesses, ...others.flatMap((each) => each.accesses)];
    const operation = this.#bare(
      kind,
      accesses,
      described.every((each) => each.understood),
      text,
    );
    return action.kind === "open" ? { ...operation, lasts: true } : operation;
  }

  #unreadable(): Operation {
    return this.#bare(`sftp.${this.#request.kind}`, unreadable(this.#desk.login), false, this.#request.kind);
  }

  #bare(kind: string, accesses: Accesses, understood: boolean, text: string): Operation {
    const { door, session, lane } = this.#desk;
    return {
      id: door.operationId(),
      session,
      kind,
      accesses,
      understood,
      text,
      textSha256: null,
      catalogDigest: null,
      lane,
    };
  }
}

function unreadable(login: string): Accesses {
  return [{ class: "write", facts: { channels: ["sftp"], logins: [login], paths: UNKNOWN }, opaque: true }];
}

function isStatus(answer: Status | Refusal | Plan): answer is Status {
  return typeof answer === "object" && "code" in answer && typeof answer.code === "number";
}

function outcomeOf(code: number): Outcome {
  return code === FX.ok || code === FX.eof ? { status: "done" } : { status: "failed", code: statusName(code) };
}
