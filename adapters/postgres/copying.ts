/** COPY in either direction as the replies show it, and what its failure leaves in doubt. */
import { FramingError } from "../../src/wire/framer.ts";
import { CopyIn, NO_PLACE_IN_COPY } from "./copy-in.ts";
import { DoubtfulSyncs } from "./doubtful-syncs.ts";
import type { Entry, ExpectedReplies } from "./expected.ts";
import type { ReplyHandler } from "./reply-handler.ts";
import type { Run } from "./run.ts";

/** Answers to Syncs that are expected one by one; as many as replies that one session waits for. */
const UNREAD_SYNCS_MAX = 4096;

export class Copying {
  readonly doubt = new DoubtfulSyncs();
  readonly #handler: ReplyHandler;
  readonly #expected: ExpectedReplies;
  #in: CopyIn | null = null;
  #isOut = false;

  constructor(handler: ReplyHandler, expected: ExpectedReplies) {
    this.#handler = handler;
    this.#expected = expected;
  }

  /** The COPY FROM STDIN that has begun and has not ended, whether or not it still takes data. */
  get in(): CopyIn | null {
    return this.#in;
  }

  /** It may be sent data. */
  get isIn(): boolean {
    return this.#in !== null && this.#in.isOpen;
  }

  get isOut(): boolean {
    return this.#isOut;
  }

  beginOut(run: Run | null): void {
    this.#isOut = true;
    if (run?.content?.beginCopy() === false) {
      this.#handler.stop(run, "rows are copied in a form that cannot be masked");
    }
  }

  endOut(): void {
    this.#isOut = false;
  }

  /** `head` is the Query or Execute that has begun it. */
  beginIn({ kind, run }: Entry): void {
    // With anything else behind it, it fails before it reads that, or the session ends: it will not take data.
    if (run === null || this.#expected.hasMoreThanSyncsBehind) return;
    const copy = new CopyIn(run, this.#expected.dropBehind());
    this.#in = copy;
    this.#handler.copyInBegun(run);
    if (copy.isOpen && copy.unreadSyncs > 0 && kind === "execute") this.#handler.syncsIgnored();
  }

  /** The statement at work is complete, or the connection gone: it is no COPY any more. */
  end(): void {
    this.#in = null;
    this.#isOut = false;
  }

  /** An error with these words came. Throws FramingError when it says that the gateway's own CopyFail was read. */
  failed(words: string): void {
    const copy = this.#in;
    if (copy === null) return;
    this.#in = null;
    if (copy.isGivenUp && words.includes(NO_PLACE_IN_COPY)) throw new FramingError(NO_PLACE_IN_COPY);
    if (copy.unreadSyncs === 0) return this.doubt.begin(copy.doubtfulSyncs);
    // A client may send millions between its data: those that are only counted are waited for like doubtful ones.
    const count = Math.min(copy.unreadSyncs, UNREAD_SYNCS_MAX);
    this.doubt.begin(copy.doubtfulSyncs + copy.unreadSyncs - count);
    this.#expected.putSyncsBehind(count);
    this.#handler.syncsTaken();
  }
}
