/** A rule as its author wrote it, with the defaults of its file put in. */
import { Document, isCollection, isPair, isScalar, visit } from "yaml";
import type { Folder } from "../set/folder.ts";
import type { Rule } from "../engine/rule.ts";
import { Source } from "./source.ts";
import type { Value, ValueMap } from "./source.ts";

const LINE_CHARS = 110;
const PLAIN_CHARS = 40;
const PLAIN_ITEMS = 6;

/** YAML; empty when the file does not hold the rule. */
export function writtenRule(folder: Folder, { file, id }: Pick<Rule, "file" | "id">): string {
  const found = folder.files.find(({ path }) => path === file);
  const value = found === undefined ? null : new Source(found.path, found.bytes).value;
  if (!isMap(value) || !Array.isArray(value["rules"])) return "";
  const rule = value["rules"].find((each): each is ValueMap => isMap(each) && each["id"] === id);
  if (rule === undefined) return "";
  const defaults = isMap(value["defaults"]) ? value["defaults"] : {};
  // The id first, then what the rule says itself, then what it takes over.
  const document = new Document([{ ...rule, ...defaults, ...rule }]);
  visit(document, {
    Collection: (_, node) => {
      if (node !== document.contents && node.items.every(isPlain)) node.flow = true;
    },
  });
  return document.toString({ lineWidth: LINE_CHARS, flowCollectionPadding: true }).trimEnd();
}

/** What fits on the line of what holds it, as authors write it: a scalar, a list of some, a map of some. */
function isPlain(item: unknown): boolean {
  const node = isPair(item) ? item.value : item;
  if (isScalar(node)) return typeof node.value !== "string" || node.value.length <= PLAIN_CHARS;
  return (
    isCollection(node) &&
    node.items.length <= PLAIN_ITEMS &&
    node.items.every((each) => isScalar(isPair(each) ? each.value : each))
  );
}

function isMap(value: Value | undefined): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
