/** The shape of test files: people, and cases with the decisions that they must get. */
import * as v from "valibot";
import { ACCESS_CLASSES } from "../../core/operation.ts";
import { RECORD_KINDS } from "../../core/obligation.ts";
import type { Vocabulary, VocabularyKey } from "../../core/vocabulary.ts";
import { limit, sessionLimits } from "../language/schema-consequence.ts";
import { SUBJECT_KINDS } from "../language/schema-rule.ts";
import { described, listOf, mapOf, maybe, name, names, object, oneOf, text, yes } from "../language/schema-words.ts";

const PEOPLE_MAX = 500;
const CASES_PER_FILE_MAX = 2000;
const ACCESSES_MAX = 100;
const GIVEN_MAX = 50;
const VALUES_MAX = 1000;
const VALUE_CHARS_MAX = 8_192;

/** The kinds of text that some adapter reads, or will; which of them a target's adapter reads is said by its tools. */
export const TEXT_KEYS = ["sql", "exec", "sftp", "shell", "forward", "mcp", "http"] as const;
export type TextKey = (typeof TEXT_KEYS)[number];

const REQUIREMENT_KINDS = ["approval", "justification", "stepUp", "confirm"] as const;

/** Of a text, a command, an argument: may be empty. */
const value = v.pipe(v.string(), v.maxLength(VALUE_CHARS_MAX));
const values = v.pipe(v.array(value), v.maxLength(VALUES_MAX));
/** A list that may be empty: what is asked for is then that there is nothing. */
const anyOf = <const TWords extends readonly string[]>(words: TWords) =>
  v.pipe(v.array(oneOf(words)), v.maxLength(words.length));
/** What a client would send, in whatever form the adapter's tools read it. */
const sent = v.union([value, values, mapOf(v.unknown())]);
const ids = v.pipe(v.array(name), v.maxLength(VALUES_MAX));

const person = object({
  kind: oneOf(SUBJECT_KINDS),
  groups: maybe(names, "Groups that vocabulary.yaml declares."),
  owner: maybe(name, "Of an agent or a service: the subject whose it is."),
  subject: maybe(name, "The subject's name where it is not what the person is called here."),
  issuer: maybe(name, "Who vouches for the subject; weir when left out."),
});

const given = {
  grants: maybe(listOf(name, GIVEN_MAX), "Ids of permits with activation that a grant has woken for this person."),
  approvals: maybe(
    listOf(object({ by: name, at: maybe(text, "An instant; that of the case when left out.") }), GIVEN_MAX),
    "People who have said yes.",
  ),
  justification: maybe(text, "What the requester gave as reason."),
  stepUp: maybe(yes, "The requester has proven who they are once more."),
  confirm: maybe(yes, "The owner of the requesting agent has agreed."),
};

const maskWith = v.union(
  [oneOf(["redact", "null", "hash", "partial", "none"]), v.null()],
  "There is redact, null, hash, partial, none",
);

const expectations = {
  expect: oneOf(["permit", "ask", "deny"]),
  by: maybe(ids, "Ids of rules that the decision must rest on, among others; []: on none, which is the default deny."),
  mask: maybe(mapOf(maskWith), "How each of these is masked; {}: nothing is."),
  limit: maybe(limit, "Each of these limits is exactly this; {}: there is none."),
  record: maybe(anyOf(RECORD_KINDS), "What is recorded, all of it; []: nothing."),
  session: maybe(sessionLimits, "Each of these is exactly this; {}: nothing is said of the session."),
  alert: maybe(ids, "Channels that are told, all of them; []: none."),
  requires: maybe(anyOf(REQUIREMENT_KINDS), "What is still to be met, all of it."),
  observed: maybe(ids, "Ids of guards in observe mode that would have applied, all of them; []: none."),
  message: maybe(text, "What the refusal says, or a part of it."),
};

/** The schema of a file of the kind Tests, but for its head. */
export function testParts(vocabularies: readonly Vocabulary[]) {
  return {
    at: maybe(text, "The instant of cases that have none; now when left out."),
    people: maybe(v.pipe(mapOf(person), v.maxEntries(PEOPLE_MAX)), "Who asks and approves, by a name for this file."),
    cases: listOf(
      object({
        description: maybe(text, "What the case is about."),
        as: name,
        target: described(name, "A target, or TARGET.DATABASE, TARGET.LOGIN."),
        at: maybe(text, "An instant such as 2027-03-01T10:00:00+01:00."),
        sql: maybe(sent, "Statements; a list is one session, and each is judged."),
        exec: maybe(sent, "A command over SSH; { command, pty: true } with a terminal."),
        sftp: maybe(
          sent,
          "File operations over SFTP: get /path, put, ls, stat, rm, mkdir, rmdir, rename /from /to, ...",
        ),
        shell: maybe(oneOf(["pty", "plain"]), "A shell over SSH, with a terminal or without one."),
        forward: maybe(value, "A forwarded connection over SSH, as HOST:PORT."),
        mcp: maybe(sent, "An MCP request."),
        http: maybe(sent, "An HTTP request."),
        connect: maybe(yes, "Opening a session, and no more."),
        accesses: maybe(
          listOf(accessSchema(vocabularies), ACCESSES_MAX),
          "One operation, as an adapter would describe it.",
        ),
        ...given,
        ...expectations,
      }),
      CASES_PER_FILE_MAX,
    ),
  };
}

function accessSchema(vocabularies: readonly Vocabulary[]) {
  const schemas = new Map<string, v.GenericSchema[]>();
  for (const { keys } of vocabularies) {
    for (const [key, definition] of Object.entries(keys)) {
      schemas.set(key, [...(schemas.get(key) ?? []), factSchema(definition)]);
    }
  }
  const facts: Record<string, v.GenericSchema> = {};
  for (const [key, [first = values, ...others]] of schemas) {
    facts[key] = v.exactOptional(others.length === 0 ? first : v.union([first, ...others]));
  }
  return object({
    class: oneOf(ACCESS_CLASSES),
    opaque: maybe(yes, "The adapter could not read it."),
    ambient: maybe(yes, "It belongs to every session; some permit on the target is enough."),
    unknown: maybe(listOf(name), "Keys whose values the adapter could not know."),
    ...facts,
  });
}

function factSchema(key: VocabularyKey): v.GenericSchema {
  if (key.kind === "flag") return v.boolean();
  const list = v.union([value, values]);
  return key.kind === "fields" ? v.union([value, values, mapOf(list)]) : list;
}
