/** What recordings are told of the replies: what the client gets, and always before the client gets it. */
import type { Entry } from "./expected.ts";
import type { GuardedReplies } from "./guarded-replies.ts";
import { BACKEND, HEADER_BYTES } from "./protocol/types.ts";
import type { Output } from "./record/output.ts";
import type { Run } from "./run.ts";

export class ReplyRecord {
  /** Has taken what is to be forwarded, and must write it down before that. */
  #unwritten: Output | null = null;
  /** Takes the rest of a message that passes in parts. */
  #passing: Output | null = null;

  /** To be called before anything goes to the client. Throws RecordingFailed. */
  flush(): void {
    const output = this.#unwritten;
    if (output === null) return;
    this.#unwritten = null;
    output.flush();
  }

  /** A message that was looked at whole: it, nothing, or what stands in its place. Its body lies between the places. */
  whole(
    output: Output,
    type: number,
    chunk: Uint8Array,
    start: number,
    end: number,
    replacement: Uint8Array | null,
    head: Entry | undefined,
  ): void {
    if (!output.looksAt(type)) return;
    // What a row's cells are is asked for on behalf of the recording too; of what else is the gateway's own, nothing is told.
    const isOwn = head?.isHidden === true;
    if (isOwn && type !== BACKEND.rowDescription && type !== BACKEND.noData) return;
    this.#unwritten = output;
    output.message(type, chunk, start, end, isOwn ? null : replacement);
  }

  /** The same of a message that passes by its header, perhaps in parts: the first lies between the places. */
  begin(output: Output, type: number, chunk: Uint8Array, start: number, end: number, bodyBytes: number): void {
    this.#unwritten = output;
    if (end - start === bodyBytes) return output.message(type, chunk, start, end, null);
    output.begin(type, bodyBytes);
    output.part(chunk, start, end);
    output.flush();
    this.#passing = output;
  }

  /** The next part of it: the first `end` bytes of a chunk. */
  go(chunk: Uint8Array, end: number, isLast: boolean): void {
    const output = this.#passing;
    if (output === null || end === 0) return;
    output.part(chunk, 0, end);
    output.flush();
    if (isLast) this.#passing = null;
  }

  /** The session is over: what was not written belongs to nobody. */
  drop(): void {
    this.#unwritten = null;
    this.#passing = null;
  }
}

/** Tells an operation's recording the error that the client gets: `replacement`, or (null) the server's own `body`. */
export function recordError(
  run: Run | null,
  body: Uint8Array | null,
  replacement: Uint8Array | null,
  guarded: GuardedReplies,
): void {
  const output = run?.output ?? null;
  if (output === null) return;
  if (replacement === null) output.failed(body === null ? null : (guarded.errorBody(body, run) ?? body));
  else if (replacement.length > 0) output.failed(replacement.subarray(HEADER_BYTES));
}
