/** What the names of columns tell of what is in them. */
import type { Classifier } from "../core/classifiers.ts";
import { CHARACTERS, DIGIT, LOWER, UPPER } from "./scan.ts";

/** For people: what there may be, and the detector for it where there is one. */
export type NameHint = { readonly about: string; readonly classifier: Classifier | null };

function hint(about: string, classifier: Classifier | null = null): NameHint {
  return { about, classifier };
}

const EMAIL = hint("e-mail address", "email");
const PHONE = hint("phone number", "phone");
const CARD = hint("card number", "card-number");
const IBAN = hint("account number", "iban");
const NATIONAL = hint("national id", "national-id");
const BIRTH = hint("date of birth");
const PASSPORT = hint("passport");
const SECRET = hint("secret");
const SALARY = hint("salary");
const HEALTH = hint("health");

/** Words of names, several joined by blanks; the first that a name holds counts. */
const HINTS: readonly (readonly [words: string, hint: NameHint])[] = [
  ["email", EMAIL],
  ["e mail", EMAIL],
  ["mail", EMAIL],
  ["emailaddress", EMAIL],
  ["phone", PHONE],
  ["telephone", PHONE],
  ["mobile", PHONE],
  ["cell", PHONE],
  ["fax", PHONE],
  ["msisdn", PHONE],
  ["iban", IBAN],
  ["bank account", IBAN],
  ["account number", IBAN],
  ["card number", CARD],
  ["card no", CARD],
  ["cardnumber", CARD],
  ["credit card", CARD],
  ["creditcard", CARD],
  ["cc number", CARD],
  ["cvv", CARD],
  ["cvc", CARD],
  ["ssn", hint("social security number", "national-id-us")],
  ["social security", hint("social security number", "national-id-us")],
  ["national id", NATIONAL],
  ["personal id", NATIONAL],
  ["tax id", NATIONAL],
  ["taxid", NATIONAL],
  ["bsn", hint("Dutch BSN", "national-id-nl")],
  ["dni", hint("Spanish DNI", "national-id-es")],
  ["nie", hint("Spanish NIE", "national-id-es")],
  ["pesel", hint("Polish PESEL", "national-id-pl")],
  ["nir", hint("French NIR", "national-id-fr")],
  ["codice fiscale", hint("Italian codice fiscale", "national-id-it")],
  ["nhs", hint("UK NHS number", "national-id-gb")],
  ["nino", hint("UK national insurance number", "national-id-gb")],
  ["cpf", hint("Brazilian CPF", "national-id-br")],
  ["aadhaar", hint("Indian Aadhaar", "national-id-in")],
  ["passport", PASSPORT],
  ["driving licence", PASSPORT],
  ["driver license", PASSPORT],
  ["drivers license", PASSPORT],
  ["birth", BIRTH],
  ["birthdate", BIRTH],
  ["birthday", BIRTH],
  ["dob", BIRTH],
  ["password", SECRET],
  ["passwd", SECRET],
  ["secret", SECRET],
  ["api key", SECRET],
  ["apikey", SECRET],
  ["private key", SECRET],
  ["access token", SECRET],
  ["refresh token", SECRET],
  ["salary", SALARY],
  ["wage", SALARY],
  ["diagnosis", HEALTH],
  ["medical", HEALTH],
];

/** Null: the name tells nothing. */
export function nameHint(column: string): NameHint | null {
  const words = ` ${wordsOf(column)} `;
  return HINTS.find(([each]) => words.includes(` ${each} `))?.[1] ?? null;
}

/** `customerEmail`, `customer_email` and `CUSTOMER-EMAIL2` alike, in lower case with blanks between. */
function wordsOf(name: string): string {
  let words = "";
  let last = 0;
  for (const character of name) {
    const code = character.charCodeAt(0);
    const kinds = code < 0x80 ? (CHARACTERS[code] ?? 0) & (UPPER | LOWER | DIGIT) : LOWER;
    const isNew = (kinds & UPPER) !== 0 && (last & UPPER) === 0;
    if (kinds === 0 || kinds === DIGIT || isNew) words += " ";
    if ((kinds & (UPPER | LOWER)) !== 0) words += character.toLowerCase();
    last = kinds;
  }
  return words.split(" ").filter(Boolean).join(" ");
}
