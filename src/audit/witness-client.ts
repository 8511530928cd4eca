/** Asks one witness for a cosignature (C2SP tlog-witness), and believes nothing of its answer that its key has not signed. */
import { boundedBody } from "./bounded-body.ts";
import { addSignatures, NoteError, openNote, readSize, readVerifier } from "./note.ts";
import type { NoteVerifier } from "./note.ts";
import { formatRequest, SIZE_TYPE } from "./witness-request.ts";
import type { AddCheckpoint } from "./witness-request.ts";

const ANSWER_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 16_384;
/** Of what a witness says in words. */
const WORDS_MAX = 200;

export type WitnessAddress = {
  /** The submission prefix: requests go to `<url>/add-checkpoint`. */
  readonly url: string;
  /** Its verifier key, for cosignatures. */
  readonly key: string;
  /** Whose certificates it is believed with, as PEM; absent or null: those of the system's authorities. */
  readonly ca?: string | null;
};

/**
 * cosigned: `note` is the checkpoint with the witness's line added. size: it has cosigned so many entries, not the old
 * size it was told. conflict: what it has cosigned of the log does not go with the checkpoint, or the proof is wrong.
 */
export type WitnessReply =
  | { readonly kind: "cosigned"; readonly note: string; readonly timeSeconds: number }
  | { readonly kind: "size"; readonly size: number }
  | { readonly kind: "conflict"; readonly message: string };

export class WitnessClient {
  readonly url: string;
  readonly verifier: NoteVerifier;
  readonly #ca: string | null;

  /** Throws NoteError when the key is not a witness's. */
  constructor({ url, key, ca = null }: WitnessAddress) {
    this.#ca = ca;
    this.url = url.endsWith("/") ? url.slice(0, -1) : url;
    this.verifier = readVerifier(key);
    if (this.verifier.kind !== "cosignature") throw new NoteError(`${key} is a log's key, not a witness's`);
  }

  /** The name of its key. */
  get name(): string {
    return this.verifier.name;
  }

  /** Rejects with a sentence for people when the witness cannot be reached, or answers something else. */
  async ask(request: AddCheckpoint, signal: AbortSignal): Promise<WitnessReply> {
    const response = await fetch(`${this.url}/add-checkpoint`, {
      method: "POST",
      body: formatRequest(request),
      redirect: "error",
      ...(this.#ca === null ? {} : { tls: { ca: this.#ca } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
    });
    const text = new TextDecoder().decode(await boundedBody(response, ANSWER_BYTES_MAX));
    const words = text.trim().slice(0, WORDS_MAX);
    switch (response.status) {
      case 200:
        return this.#cosigned(request.note, text);
      case 409:
        return sizeReply(response.headers.get("Content-Type"), text);
      case 422:
        return { kind: "conflict", message: words };
      case 403:
        throw new Error(`the witness does not know this log's key: it needs the line of log.vkey (${words})`);
      case 404:
        throw new Error(`the witness does not know this log: it needs the line of log.vkey (${words})`);
      default:
        throw new Error(`the witness answered with status ${response.status} (${words})`);
    }
  }

  #cosigned(note: string, lines: string): WitnessReply {
    // What is left of the answer when its lines from keys that are not the witness's are taken away (tlog-witness).
    const { text } = openNote(addSignatures(note, linesOf(lines)), [this.verifier]);
    for (const line of linesOf(lines)) {
      const timeSeconds = this.#timeOf(`${text}\n${line}`);
      if (timeSeconds !== null) return { kind: "cosigned", note: addSignatures(note, [line]), timeSeconds };
    }
    throw new Error("the witness answered without its cosignature");
  }

  /** Null when the one signature of the note is not the witness's. */
  #timeOf(note: string): number | null {
    try {
      return openNote(note, [this.verifier]).verified[0]?.timeSeconds ?? null;
    } catch {
      return null;
    }
  }
}

function linesOf(text: string): string[] {
  if (!text.endsWith("\n")) throw new NoteError("the witness's answer does not end with a newline");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => `${line}\n`);
}

function sizeReply(type: string | null, text: string): WitnessReply {
  const size = type === SIZE_TYPE && text.endsWith("\n") ? readSize(text.slice(0, -1)) : null;
  if (size === null) return { kind: "conflict", message: "another root for the same number of entries" };
  return { kind: "size", size };
}
