/** Parses texts that masks have rewritten, and asks for the long ones to be parsed elsewhere first. */
import { parse, SYNCHRONOUS_BYTES_MAX } from "./parser.ts";
import type { ParseResult } from "./parser.ts";

const reparsers = new Map<number, Reparser>();

export class Reparser {
  readonly #serverMajor: number;
  #wanted: string | null = null;
  #known: { readonly text: string; readonly result: ParseResult } | null = null;

  private constructor(serverMajor: number) {
    this.#serverMajor = serverMajor;
  }

  /** Always the same for one major: what is remembered by its `parse` is then shared by all sessions. */
  static of(serverMajor: number): Reparser {
    let reparser = reparsers.get(serverMajor);
    if (reparser === undefined) {
      reparser = new Reparser(serverMajor);
      reparsers.set(serverMajor, reparser);
    }
    return reparser;
  }

  readonly parse = (text: string): ParseResult => {
    if (this.#known?.text === text) return this.#known.result;
    if (Buffer.byteLength(text) <= SYNCHRONOUS_BYTES_MAX) return parse(text, this.#serverMajor);
    this.#wanted = text;
    return { kind: "refused", reason: "it is too long to be parsed at once" };
  };

  /** Calls `read`, which uses `parse`; the text that it could not parse because of its length, if there was one. */
  attempt<T>(
    read: () => T,
    known: { text: string; result: ParseResult } | null = null,
  ): { value: T; wanted: string | null } {
    this.#known = known;
    this.#wanted = null;
    const value = read();
    this.#known = null;
    return { value, wanted: this.#wanted };
  }
}
