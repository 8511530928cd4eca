/** A witness (C2SP tlog-witness): cosigns checkpoints of logs it knows, each only when it begins with the one before. */
import type { Clock } from "../core/ports.ts";
import {
  addSignatures,
  NoteError,
  openNote,
  readCheckpoint,
  readVerifier,
  signatureLine,
  unverifiedText,
} from "./note.ts";
import type { Checkpoint, NoteSigner, NoteVerifier } from "./note.ts";
import { ProofError, verifyConsistency } from "./proofs.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { messageOf } from "../core/message-of.ts";
import { readRequest, SIZE_TYPE } from "./witness-request.ts";
import type { AddCheckpoint } from "./witness-request.ts";
import type { Cosigned, WitnessStore } from "./witness-store.ts";

/** What a witness answers over HTTP: the statuses are those of tlog-witness, and 500 when its own file fails. */
export type WitnessAnswer = {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 500;
  readonly type: string;
  readonly body: string;
};

export type WitnessParts = {
  /** Its key, for cosignatures. */
  readonly signer: NoteSigner;
  /** Verifier keys of the logs; a key's name is the log's origin. Several of one origin: a log that changes its key. */
  readonly logs: readonly string[];
  readonly store: Pick<WitnessStore, "cosigned" | "replace" | "keepConflict">;
  readonly clock: Clock;
  /** Told what people should know: a log that does not go with itself, a file that cannot be written. */
  say(line: string): void;
};

export class Witness {
  readonly #parts: WitnessParts;
  readonly #logs = new Map<string, NoteVerifier[]>();

  /** Throws NoteError when a key is none, or is not that of a log. */
  constructor(parts: WitnessParts) {
    this.#parts = parts;
    if (parts.signer.verifier.kind !== "cosignature") throw new NoteError("a witness needs a key for cosignatures");
    for (const vkey of parts.logs) {
      const verifier = readVerifier(vkey);
      if (verifier.kind !== "ed25519") throw new NoteError(`${vkey} is a witness's key, not a log's`);
      this.#logs.set(verifier.name, [...(this.#logs.get(verifier.name) ?? []), verifier]);
    }
  }

  /**
   * Answers one request. Synchronous from the look at what was cosigned to the new row on the disk, so that no two
   * requests succeed from the same old size.
   */
  addCheckpoint(body: Uint8Array): WitnessAnswer {
    let request: AddCheckpoint;
    let checkpoint: Checkpoint;
    try {
      request = readRequest(body);
      checkpoint = readCheckpoint(unverifiedText(request.note));
    } catch (error) {
      return said(400, error);
    }
    const { origin, size } = checkpoint;
    const verifiers = this.#logs.get(origin);
    if (verifiers === undefined) return said(404, "this witness does not know the log");
    try {
      openNote(request.note, verifiers);
    } catch (error) {
      return said(403, error);
    }
    if (request.oldSize > size) return said(400, "the old size is larger than the checkpoint's");
    try {
      return this.#judge(request, checkpoint, this.#parts.store.cosigned(origin));
    } catch (error) {
      if (error instanceof NoteError) return said(400, error);
      this.#parts.say(`the witness's file cannot be used, and nothing is cosigned: ${messageOf(error)}`);
      return said(500, "the witness cannot keep what it sees, so it cosigns nothing");
    }
  }

  /** What the log's own signature has verified. */
  #judge(request: AddCheckpoint, checkpoint: Checkpoint, cosigned: Cosigned | null): WitnessAnswer {
    const { size, root } = checkpoint;
    const old = cosigned ?? { size: 0, root: EMPTY_ROOT };
    if (request.oldSize !== old.size) return sizeOf(old.size);
    if (size === old.size && Buffer.compare(root, old.root) !== 0) {
      // Two trees of one size, both signed by the log: this alone proves that it showed different people different logs.
      this.#keepConflict(checkpoint, request.note, cosigned, `there is another root for ${size} entries`);
      return sizeOf(old.size);
    }
    try {
      verifyConsistency(old.size, size, old.root, root, request.proof);
    } catch (error) {
      if (!(error instanceof ProofError)) throw error;
      // Anybody can send what the log has signed with a proof that is none: with one root there is nothing to hold against it.
      if (old.size === 0 || size === old.size) return said(422, error);
      this.#keepConflict(
        checkpoint,
        request.note,
        cosigned,
        `${size} entries do not follow ${old.size}: ${error.message}`,
      );
      return said(422, error);
    }
    return this.#cosign(request.note, checkpoint, cosigned);
  }

  #cosign(note: string, { origin, size, root }: Checkpoint, cosigned: Cosigned | null): WitnessAnswer {
    const { signer, store, clock } = this.#parts;
    const timeMs = clock.now();
    const line = signatureLine(unverifiedText(note), signer, Math.floor(timeMs / 1000));
    if (!store.replace(origin, cosigned, { size, root, timeMs, note: addSignatures(note, [line]) })) {
      return sizeOf(store.cosigned(origin)?.size ?? 0);
    }
    return { status: 200, type: "text/plain; charset=utf-8", body: line };
  }

  #keepConflict({ origin }: Checkpoint, note: string, cosigned: Cosigned | null, reason: string): void {
    this.#parts.say(`ALARM: the log ${origin} does not go with what was cosigned of it: ${reason}`);
    this.#parts.store.keepConflict(origin, this.#parts.clock.now(), reason, note, cosigned?.note ?? "");
  }
}

function sizeOf(size: number): WitnessAnswer {
  return { status: 409, type: SIZE_TYPE, body: `${size}\n` };
}

function said(status: 400 | 403 | 404 | 422 | 500, why: unknown): WitnessAnswer {
  const message = typeof why === "string" ? why : messageOf(why);
  return { status, type: "text/plain; charset=utf-8", body: `${message}\n` };
}
