/** What is written down of what the client gets: in the clear as it gets it, sealed as the target sent it. */
import type { OutputLines, Told } from "./output-lines.ts";

export class Output {
  /** Null: not recorded there. */
  readonly #clear: OutputLines | null;
  readonly #sealed: OutputLines | null;
  readonly #all: readonly OutputLines[];

  constructor(clear: OutputLines | null, sealed: OutputLines | null) {
    this.#clear = clear;
    this.#sealed = sealed;
    this.#all = [clear, sealed].filter((each) => each !== null);
  }

  /** Of a FunctionCall: 1 when the result is binary. */
  set resultFormat(format: number) {
    for (const each of this.#all) each.resultFormat = format;
  }

  get toldInClear(): Told | null {
    return this.#clear?.told ?? null;
  }

  get toldSealed(): Told | null {
    return this.#sealed?.told ?? null;
  }

  looksAt(type: number): boolean {
    return this.#all.some((each) => each.looksAt(type));
  }

  /** Must messages of this type come as a whole? */
  collects(type: number): boolean {
    return this.#all.some((each) => each.collects(type));
  }

  /** The body of a whole message, and what the client gets in its place; null: it; empty: nothing. */
  message(type: number, bytes: Uint8Array, start: number, end: number, replacement: Uint8Array | null): void {
    this.#sealed?.message(type, bytes, start, end);
    if (replacement === null) this.#clear?.message(type, bytes, start, end);
    else if (replacement.length > 0) this.#clear?.messages(replacement);
  }

  /** A message that passes in parts, whose body has so many bytes; part() follows. */
  begin(type: number, bodyBytes: number): void {
    for (const each of this.#all) each.begin(type, bodyBytes);
  }

  part(bytes: Uint8Array, start: number, end: number): void {
    for (const each of this.#all) each.part(bytes, start, end);
  }

  /** COPY TO STDOUT begins. */
  copyBegan(isBinary: boolean): void {
    for (const each of this.#all) each.copyBegan(isBinary);
  }

  /** A statement is through. */
  completed(): void {
    for (const each of this.#all) each.completed();
  }

  /** The body of an error that the client gets; null: it is too long to be looked at. */
  failed(body: Uint8Array | null): void {
    for (const each of this.#all) each.failed(body);
  }

  /** Writes down what was gathered: nothing goes to the client before it. Throws RecordingFailed. */
  flush(): void {
    for (const each of this.#all) each.flush();
  }

  end(): void {
    for (const each of this.#all) each.end();
  }
}
