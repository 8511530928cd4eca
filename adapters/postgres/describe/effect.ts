/** What a statement changes in the session that ran it, beside what it accesses. */
import type { StatementEffect } from "../analysis.ts";

/** A statement that nobody has to follow. */
export const NO_EFFECT: StatementEffect = Object.freeze({
  copiesIn: false,
  copiesOut: false,
  copyOptions: null,
  changesReading: false,
  changesCatalog: false,
  redefines: null,
  prepares: null,
  deallocates: null,
  declaresCursor: null,
  closesCursor: null,
  createsTemporary: null,
  transaction: null,
  undoesReadOnly: false,
  callsProcedure: false,
});

/** A statement that could not be read may have done anything. */
export const ANY_EFFECT: StatementEffect = Object.freeze({
  ...NO_EFFECT,
  changesReading: true,
  changesCatalog: true,
  redefines: "all",
  createsTemporary: "unknown",
});
