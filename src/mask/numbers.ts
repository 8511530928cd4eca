/** Finds what is made of digits: cards, national ids, phone and account numbers, each looked at from its first group of digits. */
import type { Classifier } from "../core/classifiers.ts";
import { CARD_DIGITS_MAX, CARD_DIGITS_MIN, isCardNumber } from "./card.ts";
import { findIban } from "./iban.ts";
import { DIGIT_IDS, type DigitId } from "./national/digit-ids.ts";
import { AFTER_BLANKS, AFTER_LETTERS, BEFORE_LETTERS, type LetteredId, standsAlone } from "./national/lettered-ids.ts";
import { findInParentheses, isGroupedPhone } from "./phone.ts";
import { CHARACTERS, DIGIT, isDigit, LETTER, type Scan, WORD } from "./scan.ts";

const SPACE = 0x20;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
/** Of one group that can be told from others by its length; a group of more is a number of its own. */
const GROUP_DIGITS_MAX = 9;
const GROUPS_MAX = 7;
/** Of digits together, in one piece or in groups. */
const DIGITS_MAX = 19;
const CARD_GROUP_MIN = 4;

/** Of what is written in groups. */
const GROUPED_DIGITS_MIN = 9;
const NO_SEPARATORS = 1;
/** Not the same one everywhere. */
const MIXED = -1;

/** A way to write an id. */
type Layout = {
  readonly kind: number;
  readonly digits: number;
  /** What stands between the groups, as `packed` has it. */
  readonly separators: number;
  readonly isValid: DigitId["isValid"];
};
type Lettered = LetteredId & { readonly kind: number };

/** What is wanted; the kinds are numbers that spans will carry, undefined: not wanted. */
export class NumberFinder {
  readonly #card: number | undefined;
  readonly #iban: number | undefined;
  readonly #phone: number | undefined;
  /** Ids in one piece by their number of digits. */
  readonly #plain: (readonly Layout[])[] = [];
  /** Ids in groups by the lengths of the groups, one decimal digit each. */
  readonly #grouped = new Map<number, readonly Layout[]>();
  readonly #afterLetters: readonly Lettered[];
  readonly #afterBlanks: readonly Lettered[];
  readonly #beforeLetters: readonly Lettered[];
  readonly #wantsGroups: boolean;
  readonly #plainMin: number;
  readonly #digits = new Uint8Array(DIGITS_MAX + 1);

  constructor(kinds: ReadonlyMap<Classifier, number>) {
    this.#card = kinds.get("card-number");
    this.#iban = kinds.get("iban");
    this.#phone = kinds.get("phone");
    for (const { classifier, layouts, isValid } of DIGIT_IDS) {
      const kind = kinds.get(classifier);
      if (kind !== undefined) for (const layout of layouts) this.#addLayout(layout, kind, isValid);
    }
    const wanted = (ids: readonly LetteredId[]): readonly Lettered[] =>
      ids.flatMap((id) => {
        const kind = kinds.get(id.classifier);
        return kind === undefined ? [] : [{ ...id, kind }];
      });
    this.#afterLetters = wanted(AFTER_LETTERS);
    this.#afterBlanks = wanted(AFTER_BLANKS);
    this.#beforeLetters = wanted(BEFORE_LETTERS);
    this.#wantsGroups = this.#card !== undefined || this.#phone !== undefined || this.#grouped.size > 0;
    const plainMin = this.#plain.findIndex((layouts) => layouts !== undefined);
    this.#plainMin = Math.min(
      plainMin === -1 ? DIGITS_MAX + 1 : plainMin,
      this.#card === undefined ? DIGITS_MAX + 1 : CARD_DIGITS_MIN,
    );
  }

  #addLayout(layout: string, kind: number, isValid: DigitId["isValid"]): void {
    let separators = NO_SEPARATORS;
    let shape = 0;
    let digits = 0;
    let length = 0;
    for (const character of layout) {
      if (character === "0") {
        length++;
        digits++;
        continue;
      }
      separators = packed(separators, character.charCodeAt(0));
      shape = shape * 10 + length;
      length = 0;
    }
    shape = shape * 10 + length;
    const added = { kind, digits, separators, isValid };
    if (separators === NO_SEPARATORS) {
      this.#plain[added.digits] = [...(this.#plain[added.digits] ?? []), added];
    } else {
      this.#grouped.set(shape, [...(this.#grouped.get(shape) ?? []), added]);
    }
  }

  /** `at` is a digit with no digit before it. Answers where its run of digits ends. */
  find(scan: Scan, at: number): number {
    const { bytes, end } = scan;
    let runEnd = at + 1;
    while (runEnd < end && isDigit(bytes[runEnd] ?? 0)) runEnd++;
    const length = runEnd - at;
    const before = at > scan.start ? (bytes[at - 1] ?? 0) : SPACE;
    const beforeKinds = CHARACTERS[before] ?? 0;
    if ((beforeKinds & LETTER) !== 0) {
      if (this.#iban !== undefined && length >= 2 && (scan.kindsAt(at - 2) & LETTER) !== 0)
        findIban(scan, at, this.#iban);
      if (this.#afterLetters.length > 0) this.#findLettered(this.#afterLetters, scan, at, runEnd);
      return runEnd;
    }
    if ((beforeKinds & WORD) !== 0) return runEnd;
    // Part of a longer number: 0.4111, 12-4111.
    if ((before === DOT || before === DASH) && isDigit(scan.at(at - 2))) return runEnd;
    const after = runEnd < end ? (bytes[runEnd] ?? 0) : SPACE;
    if (this.#beforeLetters.length > 0 && after !== SPACE) this.#findLettered(this.#beforeLetters, scan, at, runEnd);
    if (before === SPACE && length === 2 && this.#afterBlanks.length > 0) {
      this.#findLettered(this.#afterBlanks, scan, at, runEnd);
    }
    if (((CHARACTERS[after] ?? 0) & WORD) !== 0) return runEnd;
    const isGlued = (after === DOT || after === DASH) && isDigit(scan.at(runEnd + 1));
    if (length >= this.#plainMin && length <= DIGITS_MAX && !isGlued) this.#findPlain(scan, at, runEnd);
    else if (length === 3 && before === 0x28 && after === 0x29 && this.#phone !== undefined) {
      findInParentheses(scan, at, this.#phone);
    }
    if (this.#wantsGroups && length <= GROUP_DIGITS_MAX && isSeparator(after)) this.#findGrouped(scan, at, runEnd);
    return runEnd;
  }

  #findPlain(scan: Scan, at: number, runEnd: number): void {
    const length = runEnd - at;
    const layouts = this.#plain[length];
    const mayBeCard = this.#card !== undefined && length >= CARD_DIGITS_MIN && length <= CARD_DIGITS_MAX;
    if (layouts === undefined && !mayBeCard) return;
    for (let index = 0; index < length; index++) this.#digits[index] = (scan.bytes[at + index] ?? 0) - 0x30;
    if (this.#card !== undefined && mayBeCard && isCardNumber(this.#digits, length)) scan.add(at, runEnd, this.#card);
    for (const { kind, isValid } of layouts ?? []) if (isValid(this.#digits, length)) scan.add(at, runEnd, kind);
  }

  /** Groups are added one by one, and after each it is asked whether what there is so far is something. */
  #findGrouped(scan: Scan, at: number, firstEnd: number): void {
    const { bytes, end } = scan;
    const digits = this.#digits;
    let separators = NO_SEPARATORS;
    let separator = 0;
    let shape = 0;
    let count = 0;
    let mayBeCard = true;
    let runEnd = firstEnd;
    let place = at;
    for (let groups = 1; groups <= GROUPS_MAX; groups++) {
      const length = runEnd - place;
      if (count + length > DIGITS_MAX) return;
      for (let index = place; index < runEnd; index++) digits[count++] = (bytes[index] ?? 0) - 0x30;
      shape = length > GROUP_DIGITS_MAX ? Number.NaN : shape * 10 + length;
      const after = runEnd < end ? (bytes[runEnd] ?? 0) : SPACE;
      if (((CHARACTERS[after] ?? 0) & WORD) !== 0) return;
      const goesOn = isSeparator(after) && isDigit(scan.at(runEnd + 1));
      if (groups > 1 && count >= GROUPED_DIGITS_MIN && (!goesOn || after === SPACE || after === SLASH)) {
        if (mayBeCard && (separator === SPACE || separator === DASH)) this.#judgeCard(scan, at, runEnd, count);
        if (this.#phone !== undefined && separator !== MIXED && isGroupedPhone(digits, shape)) {
          scan.add(at, runEnd, this.#phone);
        }
        this.#judgeLayouts(scan, at, runEnd, shape, separators);
      }
      if (!goesOn) return;
      mayBeCard &&= length >= CARD_GROUP_MIN;
      if (groups === 1) separator = after;
      else if (separator !== after) separator = MIXED;
      separators = packed(separators, after);
      place = runEnd + 1;
      runEnd = scan.runEnd(place, DIGIT);
    }
  }

  #judgeCard(scan: Scan, at: number, end: number, count: number): void {
    if (this.#card !== undefined && isCardNumber(this.#digits, count)) scan.add(at, end, this.#card);
  }

  #judgeLayouts(scan: Scan, at: number, end: number, shape: number, separators: number): void {
    const layouts = this.#grouped.get(shape);
    if (layouts === undefined) return;
    for (const layout of layouts) {
      if (layout.separators === separators && layout.isValid(this.#digits, layout.digits))
        scan.add(at, end, layout.kind);
    }
  }

  #findLettered(ids: readonly Lettered[], scan: Scan, at: number, runEnd: number): void {
    for (const { length, before, end: endOf, kind } of ids) {
      if (length !== runEnd - at) continue;
      const end = endOf(scan, at, runEnd);
      if (end !== -1 && standsAlone(scan, at - before, end)) scan.add(at - before, end, kind);
    }
  }
}

function isSeparator(byte: number): boolean {
  return byte === SPACE || byte === DASH || byte === DOT || byte === SLASH;
}

/** What stands between groups as one number: four bits for each. */
function packed(separators: number, next: number): number {
  return separators * 16 + (next & 15);
}
