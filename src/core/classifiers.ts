/** Kinds of content that the detectors of masks know, by the names that policies write under `classifiers`. */

/** What each of them finds, for people. `national-id` is all of those that begin with it together. */
export const CLASSIFIERS = {
  email: "e-mail addresses",
  "card-number": "payment card numbers (Luhn, known prefixes)",
  iban: "international bank account numbers (mod 97, length of the country)",
  phone: "phone numbers with + and country code, and in common national groupings",
  jwt: "JSON web tokens",
  "private-key": "private keys as PEM blocks",
  "cloud-key": "access keys and tokens of cloud services, by their known forms",
  "national-id": "national ids of all countries below",
  "national-id-au": "Australian tax file numbers",
  "national-id-be": "Belgian national numbers",
  "national-id-bg": "Bulgarian EGN",
  "national-id-br": "Brazilian CPF",
  "national-id-ca": "Canadian social insurance numbers",
  "national-id-ch": "Swiss AHV numbers",
  "national-id-cn": "Chinese resident identity numbers",
  "national-id-cz": "Czech and Slovak birth numbers",
  "national-id-de": "German tax ids",
  "national-id-es": "Spanish DNI and NIE",
  "national-id-fi": "Finnish personal identity codes",
  "national-id-fr": "French NIR",
  "national-id-gb": "UK NHS numbers and national insurance numbers",
  "national-id-in": "Indian Aadhaar numbers",
  "national-id-it": "Italian codice fiscale",
  "national-id-kr": "South Korean resident registration numbers",
  "national-id-nl": "Dutch BSN",
  "national-id-no": "Norwegian birth numbers",
  "national-id-pl": "Polish PESEL",
  "national-id-ro": "Romanian CNP",
  "national-id-se": "Swedish personal identity numbers",
  "national-id-tr": "Turkish identity numbers",
  "national-id-us": "US social security numbers",
  "national-id-za": "South African identity numbers",
} as const satisfies Readonly<Record<string, string>>;

export type Classifier = keyof typeof CLASSIFIERS;

export function isClassifier(name: string): name is Classifier {
  return Object.hasOwn(CLASSIFIERS, name);
}
