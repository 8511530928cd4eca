/** One pass over a text for all wanted kinds of content: each byte is looked up in a table that says who wants to see it. */
import { CLASSIFIERS, type Classifier, isClassifier } from "../core/classifiers.ts";
import { findAtI, findAtK, findPrefixed } from "./cloud-key.ts";
import { findEmail } from "./email.ts";
import { NumberFinder } from "./numbers.ts";
import { findInternational } from "./phone.ts";
import { Scan } from "./scan.ts";
import { findJwt, findPrivateKey } from "./tokens.ts";

/** What the table says of a byte; nobody wants to see a zero. */
const TRIGGER = { number: 1, at: 2, percent: 3, plus: 4, dash: 5, underscore: 6, i: 7, j: 8, k: 9 } as const;

const DASH = 0x2d;
const NUMBERS: ReadonlySet<Classifier> = new Set<Classifier>(["card-number", "iban", "phone"]);

/** All classifiers, each for itself: without those that stand for several. */
export const KINDS: readonly Classifier[] = Object.keys(CLASSIFIERS)
  .filter(isClassifier)
  .filter((name) => name !== "national-id");

/** The kinds that a classifier stands for. */
export function kindsOf(classifier: Classifier): readonly Classifier[] {
  return classifier === "national-id" ? KINDS.filter((kind) => kind.startsWith("national-id-")) : [classifier];
}

/** Finds what is wanted. Time grows with the length of the text, whatever is in it. */
export class Scanner {
  /** What the last `find` has found, in order of their beginnings; they may overlap. Kinds are indexes of `kinds`. */
  readonly scan = new Scan();
  readonly kinds: readonly Classifier[];
  readonly #triggers = new Uint8Array(256);
  readonly #numbers: NumberFinder;
  readonly #email: number;
  readonly #phone: number;
  readonly #jwt: number;
  readonly #privateKey: number;
  readonly #cloudKey: number;

  constructor(wanted: Iterable<Classifier>) {
    const asked = new Set(Array.from(wanted, kindsOf).flat());
    this.kinds = KINDS.filter((kind) => asked.has(kind));
    const numbers = new Map(this.kinds.map((kind, index) => [kind, index]));
    this.#numbers = new NumberFinder(numbers);
    this.#email = this.kinds.indexOf("email");
    this.#phone = this.kinds.indexOf("phone");
    this.#jwt = this.kinds.indexOf("jwt");
    this.#privateKey = this.kinds.indexOf("private-key");
    this.#cloudKey = this.kinds.indexOf("cloud-key");
    if (this.kinds.some((kind) => NUMBERS.has(kind) || kind.startsWith("national-id-"))) {
      this.#trigger("0123456789", TRIGGER.number);
    }
    if (this.#email !== -1) {
      this.#trigger("@", TRIGGER.at);
      this.#trigger("%", TRIGGER.percent);
    }
    if (this.#phone !== -1) this.#trigger("+", TRIGGER.plus);
    if (this.#jwt !== -1) this.#trigger("J", TRIGGER.j);
    if (this.#privateKey !== -1 || this.#cloudKey !== -1) this.#trigger("-", TRIGGER.dash);
    if (this.#cloudKey !== -1) {
      this.#trigger("_", TRIGGER.underscore);
      this.#trigger("I", TRIGGER.i);
      this.#trigger("K", TRIGGER.k);
    }
  }

  /** How many spans are found in what lies between the two places, which is taken for the whole of a text. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const { scan } = this;
    const triggers = this.#triggers;
    scan.begin(bytes, start, end);
    let at = start;
    while (at < end) {
      const trigger = triggers[bytes[at] ?? 0] ?? 0;
      at = trigger === 0 ? at + 1 : this.#look(trigger, at);
    }
    return scan.count;
  }

  /** Answers where to go on. */
  #look(trigger: number, at: number): number {
    const { scan } = this;
    switch (trigger) {
      case TRIGGER.number:
        return this.#numbers.find(scan, at);
      case TRIGGER.at:
        findEmail(scan, at, at + 1, this.#email);
        return at + 1;
      case TRIGGER.percent:
        if (scan.has("40", at + 1)) findEmail(scan, at, at + 3, this.#email);
        return at + 1;
      case TRIGGER.plus:
        // The digits behind it are looked at once more, for what else they may be.
        findInternational(scan, at, this.#phone);
        return at + 1;
      case TRIGGER.dash:
        return this.#dash(at);
      case TRIGGER.underscore:
        return findPrefixed(scan, at, this.#cloudKey);
      case TRIGGER.i:
        findAtI(scan, at, this.#cloudKey);
        return at + 1;
      case TRIGGER.j:
        return findJwt(scan, at, this.#jwt);
      default:
        findAtK(scan, at, this.#cloudKey);
        return at + 1;
    }
  }

  #dash(at: number): number {
    const { scan } = this;
    if (scan.at(at + 1) === DASH) {
      return this.#privateKey === -1 ? scan.runEndOf(DASH, at) : findPrivateKey(scan, at, this.#privateKey);
    }
    return this.#cloudKey === -1 ? at + 1 : findPrefixed(scan, at, this.#cloudKey);
  }

  #trigger(characters: string, trigger: number): void {
    for (let index = 0; index < characters.length; index++) this.#triggers[characters.charCodeAt(index)] = trigger;
  }
}
