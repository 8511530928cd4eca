/** Ids of operations: short, unique for the life of a log, and easy to read out. */
import { randomBytes } from "node:crypto";
import type { OperationId } from "../core/operation.ts";

/** No two of them look alike. */
const ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const PREFIX_CHARS = 6;

/** A random part and a dash, so that ids of different runs do not collide by accident, and a count. */
export class OperationIds {
  readonly #prefix = `${[...randomBytes(PREFIX_CHARS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("")}-`;
  #count = 0;

  next(): OperationId {
    return this.#prefix + (++this.#count).toString(36).toUpperCase();
  }
}
