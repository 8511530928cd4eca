/** The masking corpus' relations as the fuzzer's grammar knows them. */

/** What an expression is made for; a column's exact type is the server's business. */
export type Kind = "int" | "text" | "numeric" | "bool" | "jsonb" | "time" | "texts";

export type Column = { readonly name: string; readonly kind: Kind; readonly isCompared?: boolean };

export type Relation = {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Holds or derives from what is masked. */
  readonly isMasked: boolean;
  readonly isTable: boolean;
  /** It has a column that is filled with the time: no stars and no whole rows of it, and not that column. */
  readonly hasTime: boolean;
};

/** Columns that a policy of `predicates: equality` lets be compared, as `relation.column`. */
export const COMPARED_COLUMNS: readonly string[] = ["customers.ssn", "customers_vip.ssn", "events.email"];

function relation(
  name: string,
  columns: string,
  more: { readonly isMasked?: boolean; readonly isTable?: boolean; readonly hasTime?: boolean } = {},
): Relation {
  const parsed = columns.split(" ").map((column) => {
    const [title = "", kind = ""] = column.split(":");
    return { name: title, kind: kindOf(kind), isCompared: COMPARED_COLUMNS.includes(`${name}.${title}`) };
  });
  return { name, columns: parsed, isMasked: false, isTable: true, hasTime: false, ...more };
}

const KINDS: readonly Kind[] = ["int", "text", "numeric", "bool", "jsonb", "time", "texts"];

function kindOf(word: string): Kind {
  const kind = KINDS.find((each) => each === word);
  if (kind === undefined) throw new Error(`${word} is no kind`);
  return kind;
}

const CUSTOMER =
  "id:int full_name:text email:text ssn:text card_number:text balance:numeric notes:jsonb created_at:time";
const EVENT = "id:int customer_id:int email:text kind:text payload:jsonb occurred_at:time";
const MASKED = { isMasked: true };
const MASKED_VIEW = { isMasked: true, isTable: false };

export const MASKED_RELATIONS: readonly Relation[] = [
  relation("customers", CUSTOMER, MASKED),
  relation("customers", CUSTOMER, MASKED),
  relation("customers", CUSTOMER, MASKED),
  relation("customers_vip", `${CUSTOMER} vip_level:int`, MASKED),
  relation("contacts", "id:int customer_id:int alt_email:text alt_local:text", MASKED),
  relation("events", EVENT, MASKED),
  relation("events_2024", EVENT, MASKED),
  relation("customer_audit", "id:int old_row:jsonb", { isMasked: true, hasTime: true }),
  relation("customer_directory", "id:int full_name:text contact:text", MASKED_VIEW),
  relation("customer_doc", "id:int doc:jsonb", MASKED_VIEW),
  relation("customer_nested", "id:int handle:text", MASKED_VIEW),
  relation("customer_mv", "id:int contact_email:text balance:numeric", MASKED_VIEW),
];

export const OPEN_RELATIONS: readonly Relation[] = [
  relation("orders", "id:int customer_id:int product_id:int amount:numeric note:text placed_at:time"),
  relation("products", "id:int name:text price:numeric tags:texts attrs:jsonb"),
  relation("categories", "id:int parent_id:int name:text"),
  relation("customer_public", "id:int full_name:text created_at:time", { isTable: false }),
  relation("order_summary", "customer_id:int n:int total:numeric", { isTable: false }),
];

/** Secrets of both databases and what is in neither, for guesses: a condition that saw raw values would tell them apart. */
export const GUESSES = [
  "canary-0001@secret.example",
  "canary-0007@secret.example",
  "twin-09998@b.example",
  "612-77-0003",
  "4000007712000105",
  "canary-note-0001",
  "canary-evt-0002@secret.example",
  "CANARY-0001@SECRET.EXAMPLE",
  "***",
  "x",
] as const;

/** What they are compared with: values that stand in both databases in the same rows, and one that stands in none. */
export const COMMON_VALUES = ["common-2", "common-3", "common-event-4", "nobody"] as const;
/** Makes them stand there. */
export const COMMON_ROWS = `SET session_replication_role = replica;
UPDATE app.customers SET ssn = 'common-' || id WHERE id IN (2, 3);
UPDATE app.events SET email = 'common-event-' || id WHERE id IN (2, 4);
VACUUM FULL app.customers; VACUUM FULL app.events; ANALYZE`;

export const PATTERNS = ["canary-%", "twin-%", "%@secret%", "612%", "%1%", "_%", "c%", "%"] as const;
