/** The files of a policy folder by kind: each in its place, and in the shape that its kind asks for. */
import type { InferOutput } from "valibot";
import type { PolicyFile } from "../set/folder.ts";
import { didYouMean } from "./nearest.ts";
import type { Problem } from "../problems.ts";
import { API_VERSION } from "./schema-words.ts";
import { KINDS } from "./schema.ts";
import type { Kind, PolicySchemas } from "./schema.ts";
import { checkShape } from "./shape.ts";
import type { Checked } from "./shape.ts";
import { Source } from "./source.ts";

/** Where each kind of file lies. */
export const PLACES: Readonly<Record<Kind, string>> = {
  PolicySet: "policy.yaml",
  Vocabulary: "vocabulary.yaml",
  Permits: "permits/",
  Guards: "guards/",
  Tests: "tests/",
};

/** A file that was read and lies where its kind belongs. */
export type Document = { readonly kind: Kind; readonly source: Source };

/** A document in the shape of its kind. */
export type Shaped<TKind extends Kind> = Checked<InferOutput<PolicySchemas[TKind]>> & { readonly source: Source };

/** Reads one file; null after an error. */
export function readDocument(file: PolicyFile, problems: Problem[]): Document | null {
  const expected = KINDS.find((kind) =>
    PLACES[kind].endsWith("/") ? file.path.startsWith(PLACES[kind]) : file.path === PLACES[kind],
  );
  if (expected === undefined) {
    problems.push({
      severity: "error",
      file: file.path,
      line: null,
      column: null,
      code: "WRONG_FOLDER",
      message: "no policy file belongs here",
      suggestion: `Policy files are ${Object.values(PLACES).join(", ")}`,
    });
    return null;
  }
  const firstLines = `apiVersion: ${API_VERSION} and kind: ${expected}`;
  const source = new Source(file.path, file.bytes, firstLines);
  problems.push(...source.problems);
  if (source.problems.length > 0) return null;
  const kind = kindOf(source, expected, firstLines, problems);
  return kind === expected ? { kind, source } : null;
}

/** Null when the file does not say, or says what there is not. */
function kindOf(source: Source, expected: Kind, firstLines: string, problems: Problem[]): Kind | null {
  const { value } = source;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const suggestion = `It begins with ${firstLines}`;
    problems.push(source.problem("WRONG_TYPE", [], "a policy file is a map", { suggestion }));
    return null;
  }
  const { kind } = value;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known !== undefined) {
    const message = `a file of kind ${known} does not belong here`;
    const suggestion = `Its place is ${PLACES[known]}, and here it is kind: ${expected}`;
    if (known !== expected) problems.push(source.problem("WRONG_FOLDER", ["kind"], message, { suggestion }));
    return known;
  }
  if (kind === undefined) {
    const suggestion = `Here it is kind: ${expected}`;
    problems.push(source.problem("MISSING_KEY", [], 'the key "kind" is missing', { suggestion }));
  } else {
    const suggestion = didYouMean(typeof kind === "string" ? kind : "", KINDS);
    problems.push(source.problem("BAD_VALUE", ["kind"], "there is no such kind of file", { suggestion }));
  }
  return null;
}

/** The documents of a kind, in the shape of it; what is wrong is left out of them and reported. */
export function shaped<TKind extends Kind>(
  kind: TKind,
  documents: readonly Document[],
  schemas: PolicySchemas,
  problems: Problem[],
): readonly Shaped<TKind>[] {
  return documents.flatMap((document) => {
    if (document.kind !== kind) return [];
    const { source } = document;
    const checked = checkShape<PolicySchemas[TKind]>(schemas[kind], source, problems);
    return checked === null ? [] : [{ ...checked, source }];
  });
}
