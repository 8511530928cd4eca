/** The parts into which a verification is split, so that several threads can work on it. */
import { checkRange, type RangeOrder, type RangeReport } from "./range.ts";
import { checkSignatures, type SignatureOrder, type SignatureReport } from "./signatures.ts";
import type { LogSource, SourcePlace } from "./source.ts";

export type WorkOrder =
  | { readonly kind: "range"; readonly order: RangeOrder }
  | { readonly kind: "signatures"; readonly order: SignatureOrder };

export type WorkResult =
  | { readonly kind: "range"; readonly report: RangeReport }
  | { readonly kind: "signatures"; readonly report: SignatureReport }
  | { readonly kind: "failed"; readonly reason: string };

/** What a Worker is sent. */
export type WorkMessage = { readonly place: SourcePlace; readonly order: WorkOrder };

export function work(source: LogSource, { kind, order }: WorkOrder): WorkResult {
  return kind === "range"
    ? { kind, report: checkRange(source, order) }
    : { kind, report: checkSignatures(source, order) };
}
