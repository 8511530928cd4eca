/** What a governed session's client gets instead of messages that could show what is masked. */
import { UNKNOWN_STATEMENT, type AnsweredStatement, type ReplyGuard } from "./mask/reply-guard.ts";
import { isSessionWork } from "./obliged.ts";
import { decodeParameterStatus } from "./protocol/backend.ts";
import { BACKEND, HEADER_BYTES } from "./protocol/types.ts";
import type { ReplyHandler } from "./reply-handler.ts";
import type { Run } from "./run.ts";

const NOTHING = new Uint8Array(0);

export class GuardedReplies {
  readonly #guard: ReplyGuard | null;
  readonly #stop: ReplyHandler["stop"];

  /** `guard` null: the session is not governed, and everything passes. `stop` as ReplyHandler.stop(). */
  constructor(guard: ReplyGuard | null, stop: ReplyHandler["stop"]) {
    this.#guard = guard;
    this.#stop = stop;
  }

  get isGoverned(): boolean {
    return this.#guard !== null;
  }

  /** The body of a message lies between the two places. Null: the client may have it as it is; empty: it gets nothing. */
  replace(type: number, chunk: Uint8Array, start: number, end: number, run: Run | null): Uint8Array | null {
    const guard = this.#guard;
    if (guard === null) return null;
    switch (type) {
      case BACKEND.error:
        return guard.error(chunk.subarray(start, end), answered(run));
      case BACKEND.notice:
        return guard.notice(chunk.subarray(start, end), answered(run)) ?? NOTHING;
      case BACKEND.notification:
        return guard.mayNotify(chunk.subarray(start, end)) ? null : NOTHING;
      case BACKEND.parameterStatus: {
        const isOwn = run !== null && run.analysis !== null && isSessionWork(run.analysis);
        const { name } = decodeParameterStatus(chunk.subarray(start, end));
        return guard.mayReport(name, isOwn) ? null : NOTHING;
      }
      case BACKEND.rowDescription:
        if (!guard.mayDescribe(chunk.subarray(start, end))) {
          this.#stop(run, "a masked column would have been shown as it is");
        }
        return null;
      default:
        return null;
    }
  }

  /** The error that the client gets for `body`, without its header; null: `body` itself. */
  errorBody(body: Uint8Array, run: Run | null): Uint8Array | null {
    return this.#guard?.error(body, answered(run)).subarray(HEADER_BYTES) ?? null;
  }
}

/** What is known of the statement that the server answers. */
function answered(run: Run | null): AnsweredStatement {
  const masking = run?.analysis?.masking ?? null;
  if (masking === null) return UNKNOWN_STATEMENT;
  return { hidesDetail: masking.hidesDetail, positions: masking.rewritten?.positions ?? null };
}
