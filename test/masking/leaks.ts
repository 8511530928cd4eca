/** Whether an answer gives away a secret of the masking corpus. */
import { decodeDataRow } from "../../adapters/postgres/protocol/backend.ts";
import { greeting } from "../e2e/postgres/transcript.ts";
import type { Leak } from "./corpus.ts";
import type { Heard } from "./player.ts";

/** What is in no answer by chance: how the secrets of schema.sql begin. */
const SECRETS = ["canary-", "612-77-", "4000007712"] as const;

export type Answers = ReadonlyMap<string, Heard>;

export type Judged = {
  readonly leak: Leak;
  readonly canary: string;
  /** The answer of `needleSql`, where there is one. */
  readonly needle?: string;
};

/**
 * Where the answers give the secret away, in words; null: they do not. `twin` are the answers to the same steps on the
 * database that differs only in its secrets; only the kind "differs" needs them.
 */
export function leakIn(answers: Answers, twin: Answers | null, { leak, canary, needle }: Judged): string | null {
  if (leak.kind === "differs") return twin === null ? null : difference(answers, twin);
  if (leak.kind === "contains") {
    const looked = needle ?? leak.needle;
    return found(answers, looked === undefined ? [canary, ...SECRETS] : [looked]);
  }
  if ("codes" in leak) {
    const code = `${leak.codes.charCodeAt(0)}`;
    return cells(answers).includes(code) ? `a cell is ${code}` : null;
  }
  return cells(answers).join("").includes(leak.concat) ? `the cells together hold ${leak.concat}` : null;
}

/** Some secret, whichever, in whatever message; null: none. */
export function anySecretIn(answers: Answers): string | null {
  return found(answers, SECRETS);
}

function found(answers: Answers, needles: readonly string[]): string | null {
  for (const [name, { messages }] of answers) {
    for (const { type, body } of messages) {
      const text = body.toString("latin1");
      for (const needle of needles) {
        const at = text.indexOf(needle);
        if (at >= 0) return `${name}: ${type} ${JSON.stringify(text.slice(Math.max(0, at - 60), at + 60))}`;
      }
    }
  }
  return null;
}

function cells(answers: Answers): string[] {
  return [...answers.values()].flatMap(({ messages }) =>
    messages
      .filter(({ type }) => type === "D")
      .flatMap(({ body }) => decodeDataRow(body).map((cell) => (cell === null ? "" : Buffer.from(cell).toString()))),
  );
}

/** The first place where the answers of the two databases are not the same. */
export function difference(answers: Answers, twin: Answers): string | null {
  for (const [name, { messages, isEnded }] of answers) {
    const other = twin.get(name);
    const here = lines(messages, isEnded);
    const there = other === undefined ? [] : lines(other.messages, other.isEnded);
    const at = here.findIndex((line, index) => line !== there[index]);
    if (at >= 0 || here.length !== there.length) {
      const index = at >= 0 ? at : here.length;
      return `${name}: ${here[index] ?? "(nothing)"}\n  twin: ${there[index] ?? "(nothing)"}`;
    }
  }
  return null;
}

function lines(messages: Heard["messages"], isEnded: boolean): readonly string[] {
  return [...greeting(messages).map(comparable), isEnded ? "ended" : "open"];
}

/**
 * The database's name and the id of a refusal are no secrets, and never the same twice; nor is what a plan found in the
 * server's buffers, which EXPLAIN ANALYZE tells unasked from PostgreSQL 18 on.
 */
function comparable(line: string): string {
  return line
    .replaceAll(/\b(?:orig|twin)_\d{5}\b/gu, "(database)")
    .replaceAll(/\(id [^ )]+\)/gu, "(id)")
    .replaceAll(/Buffers: shared(?: (?:hit|read|dirtied)=\d+)+/gu, "(buffers)");
}
