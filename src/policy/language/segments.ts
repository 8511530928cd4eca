/** Names that are too short to match anything: facts of some keys have several segments with dots between them. */
import type { VocabularyKey } from "../../core/vocabulary.ts";
import { quote } from "./shape.ts";

export type Segments = NonNullable<VocabularyKey["segments"]>;

/** Can a fact with these segments match this literal or glob? `*` stops at dots, `**` crosses them. */
export function canMatchSegments(text: string, segments: Segments): boolean {
  return text.includes("**") || segmentsIn(text) >= segments.names.length;
}

/** What an author may have meant by a name that is too short. */
export function suggestSegments(text: string, segments: Segments): string {
  if (segments.names.length - segmentsIn(text) > 1) return `Write all of it, or ${quote(`**.${text}`)}`;
  const lacksEnd = text.startsWith(`${segments.usualFirst}.`);
  return `Did you mean ${quote(lacksEnd ? `${text}.*` : `${segments.usualFirst}.${text}`)}?`;
}

function segmentsIn(text: string): number {
  return text.split(".").length;
}
