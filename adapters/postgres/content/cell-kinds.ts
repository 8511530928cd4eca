/** How the cells of a column are looked at for content, by the column's type and format. */

/**
 * text, json, parts: the cell is a text of this form (core/content.ts). jsonb: JSON behind a byte that is the format's
 * version. list: an array in binary, of texts. whole: masks would not fit the type, so a cell that holds something
 * becomes NULL; int4, int8: the same, of binary integers. never: it can hold none of what detectors know.
 */
export type CellKind = "text" | "json" | "parts" | "jsonb" | "list" | "whole" | "int4" | "int8" | "never";

/** pg_type.dat. */
const OID = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  jsonArray: 199,
  xmlArray: 143,
  float4: 700,
  float8: 701,
  unknown: 705,
  nameArray: 1003,
  textArray: 1009,
  bpcharArray: 1014,
  varcharArray: 1015,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  cstring: 2275,
  uuid: 2950,
  jsonb: 3802,
  jsonbArray: 3807,
  record: 2249,
} as const;

/** The first number that is given to types which are not built in. */
const FIRST_OWN_OID = 16_384;

const TEXTS: ReadonlySet<number> = new Set([OID.text, OID.varchar, OID.bpchar, OID.name, OID.unknown, OID.cstring]);
const TEXT_ARRAYS: ReadonlySet<number> = new Set([OID.textArray, OID.varcharArray, OID.bpcharArray, OID.nameArray]);
const JSON_ARRAYS: ReadonlySet<number> = new Set([OID.jsonArray, OID.jsonbArray, OID.xmlArray]);
const NEVER: ReadonlySet<number> = new Set([
  OID.bool,
  OID.bytea,
  OID.char,
  OID.int2,
  OID.oid,
  OID.float4,
  OID.float8,
  OID.date,
  OID.time,
  OID.timestamp,
  OID.timestamptz,
  OID.interval,
  OID.timetz,
  OID.uuid,
]);

/** `typeOid` 0: the type is not known. `format` as in RowDescription: 0 is text, 1 binary. */
export function cellKind(typeOid: number, format: number): CellKind {
  if (NEVER.has(typeOid)) return "never";
  if (TEXTS.has(typeOid)) return "text";
  if (typeOid === OID.json) return "json";
  if (typeOid === OID.xml) return "parts";
  const isOwn = typeOid >= FIRST_OWN_OID;
  if (format === 0) {
    if (typeOid === OID.jsonb) return "json";
    if (TEXT_ARRAYS.has(typeOid) || isOwn || typeOid === OID.record) return "parts";
    // In an array of JSON the strings' quotes are escaped once more: what is in them is not taken apart.
    return "whole";
  }
  if (typeOid === OID.jsonb) return "jsonb";
  if (TEXT_ARRAYS.has(typeOid)) return "list";
  if (typeOid === OID.int4) return "int4";
  if (typeOid === OID.int8) return "int8";
  // Whatever else is built in holds no text in binary; types of others may, and a type that is not known.
  const mayHoldText = isOwn || typeOid === OID.record || typeOid === 0 || JSON_ARRAYS.has(typeOid);
  return mayHoldText ? "whole" : "never";
}
