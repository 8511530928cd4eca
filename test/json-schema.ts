/** A validator of JSON Schema as editors have one, for the words that weir's schemas use; any other word is an error. */

type Schema = { readonly [word: string]: unknown };

/** The paths at which a value does not hold to a schema; none when it does. */
export function schemaFaults(schema: unknown, value: unknown, path = "", root: unknown = schema): readonly string[] {
  if (schema === true) return [];
  if (!isRecord(schema)) throw new Error(`${path}: this is no schema`);
  return Object.entries(schema).flatMap(([word, given]) => wordFaults(word, given, { schema, value, path, root }));
}

type At = { readonly schema: Schema; readonly value: unknown; readonly path: string; readonly root: unknown };

function wordFaults(word: string, given: unknown, at: At): readonly string[] {
  const { schema, value, path, root } = at;
  const fault = (isFault: boolean): readonly string[] => (isFault ? [`${path} ${word}`] : []);
  switch (word) {
    case "$schema":
    case "title":
    case "description":
    case "definitions":
    case "default":
      return [];
    case "$ref":
      return schemaFaults(resolve(root, String(given)), value, path, root);
    case "type":
      return fault(!isOfType(String(given), value));
    case "const":
      return fault(value !== given);
    case "enum":
      return fault(!listOf(given).includes(value));
    case "minimum":
      return fault(typeof value === "number" && value < Number(given));
    case "maximum":
      return fault(typeof value === "number" && value > Number(given));
    case "minLength":
      return fault(typeof value === "string" && value.length < Number(given));
    case "maxLength":
      return fault(typeof value === "string" && value.length > Number(given));
    case "minItems":
      return fault(Array.isArray(value) && value.length < Number(given));
    case "maxItems":
      return fault(Array.isArray(value) && value.length > Number(given));
    case "items":
      return !Array.isArray(value)
        ? []
        : value.flatMap((item, index) => schemaFaults(given, item, `${path}/${index}`, root));
    case "anyOf":
      return fault(!listOf(given).some((each) => schemaFaults(each, value, path, root).length === 0));
    case "oneOf":
      return fault(listOf(given).filter((each) => schemaFaults(each, value, path, root).length === 0).length !== 1);
    case "required":
      return fault(isRecord(value) && listOf(given).some((key) => !Object.hasOwn(value, String(key))));
    case "properties":
      return propertyFaults(given, at);
    case "additionalProperties":
      return additionalFaults(given, schema, at);
    case "propertyNames":
      return !isRecord(value)
        ? []
        : Object.keys(value).flatMap((key) => schemaFaults(given, key, `${path}/${key}`, root));
    default:
      throw new Error(`${path}: an editor may not know the word ${word}`);
  }
}

function propertyFaults(given: unknown, { value, path, root }: At): readonly string[] {
  if (!isRecord(value) || !isRecord(given)) return [];
  return Object.entries(given).flatMap(([key, schema]) =>
    Object.hasOwn(value, key) ? schemaFaults(schema, value[key], `${path}/${key}`, root) : [],
  );
}

function additionalFaults(given: unknown, schema: Schema, { value, path, root }: At): readonly string[] {
  if (!isRecord(value)) return [];
  const known = isRecord(schema["properties"]) ? schema["properties"] : {};
  const others = Object.keys(value).filter((key) => !Object.hasOwn(known, key));
  if (given === false) return others.map((key) => `${path}/${key} additionalProperties`);
  return others.flatMap((key) => schemaFaults(given, value[key], `${path}/${key}`, root));
}

function isOfType(type: string, value: unknown): boolean {
  if (type === "object") return isRecord(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

function resolve(root: unknown, reference: string): unknown {
  const [, ...steps] = reference.split("/");
  return steps.reduce((at: unknown, step) => (isRecord(at) ? at[step] : undefined), root);
}

function isRecord(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
