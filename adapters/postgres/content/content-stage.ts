/** Masks the rows and the COPY data of one operation by what is in them, on their way to the client. */
import type { ContentMask } from "../../../src/core/content.ts";
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { Permit } from "../../../src/core/ports.ts";
import type { Analysis } from "../analysis.ts";
import { decodeRowDescription } from "../protocol/backend.ts";
// These look the same in both directions.
import { encodeCopyData, encodeCopyDone } from "../protocol/frontend.ts";
import { BACKEND } from "../protocol/types.ts";
import { CopyMask } from "./copy-mask.ts";
import { copySyntax, type CopySyntax } from "./copy-syntax.ts";
import { RowMask } from "./row-mask.ts";

/** Messages that are looked at whole. */
const LOOKED_AT = new Set<number>([
  BACKEND.copyData,
  BACKEND.copyDone,
  BACKEND.dataRow,
  BACKEND.functionCallResponse,
  BACKEND.rowDescription,
]);
const NOTHING = new Uint8Array(0);

/** What masks the rows of an operation; a refusal where they come in a form that cannot be looked at. */
export function contentStage(
  mask: ContentMask,
  analysis: Analysis | null,
  clientEncodingIsUtf8: boolean,
  permit: Permit,
): ContentStage | Refusal {
  const syntaxes: CopySyntax[] = [];
  let isReadable = clientEncodingIsUtf8;
  for (const { copyOptions } of analysis?.statements ?? []) {
    if (copyOptions === null) continue;
    const syntax = copySyntax(copyOptions);
    if (syntax === null) isReadable = false;
    else syntaxes.push(syntax);
  }
  if (isReadable) return new ContentStage(mask, syntaxes);
  return refusal("denied", "policy masks what is in the rows, which cannot be done in this format or encoding", {
    rules: permit.rules,
    event: permit.operation,
    hint: "Use client_encoding UTF8, and COPY in the formats text or csv.",
  });
}

export class ContentStage {
  readonly #mask: ContentMask;
  readonly #rows: RowMask;
  /** One for each COPY of the operation, in order. */
  readonly #syntaxes: readonly CopySyntax[];
  #copies = 0;
  #copy: CopyMask | null = null;

  constructor(mask: ContentMask, syntaxes: readonly CopySyntax[]) {
    this.#mask = mask;
    this.#rows = new RowMask(mask);
    this.#syntaxes = syntaxes;
  }

  /** Must messages of this type be handed to replace() as a whole? */
  looksAt(type: number): boolean {
    return LOOKED_AT.has(type);
  }

  /**
   * What the client gets instead of a server's message with this body; null: the message as it is; empty: nothing yet,
   * since cells of COPY data are held back until their end has come. Throws WireError.
   */
  replace(type: number, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    switch (type) {
      case BACKEND.rowDescription:
        this.#rows.begin(decodeRowDescription(bytes.subarray(start, end)));
        return null;
      case BACKEND.dataRow:
        return this.#rows.row(bytes, start, end);
      case BACKEND.copyData: {
        const data = this.#copy === null ? NOTHING : this.#copy.push(bytes, start, end);
        if (data === null) return null;
        return data.length === 0 ? NOTHING : encodeCopyData(data);
      }
      case BACKEND.copyDone: {
        const rest = this.#copy?.finish() ?? null;
        this.#copy = null;
        return rest === null || rest.length === 0 ? null : Buffer.concat([encodeCopyData(rest), encodeCopyDone()]);
      }
      default:
        return null;
    }
  }

  /** A COPY TO STDOUT begins. False: nobody has said how its rows are written. */
  beginCopy(): boolean {
    const syntax = this.#syntaxes[this.#copies++];
    this.#copy = syntax === undefined ? null : new CopyMask(this.#mask, syntax);
    return this.#copy !== null;
  }
}
