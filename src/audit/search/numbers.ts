/** The numbers by which the index names who did something, what was done, and in which session: given once, and remembered. */
import { createHash } from "node:crypto";
import { Known } from "./known.ts";
import { numberOf, type Statements } from "./statements.ts";
import { type Ended, type IntentTrace, outcomeWhat, type What, type Who } from "./trace.ts";

/** How many sessions, and how many ends of operations, are remembered. */
const SESSIONS_MAX = 50_000;
const OUTCOMES_MAX = 50_000;

export class Numbers {
  readonly #statements: Statements;
  #nextWho: number;
  #nextWhat: number;
  #nextSession: number;
  readonly #whos = new Known<Who>(({ subject, issuer, target, words }) =>
    JSON.stringify([subject, issuer, target, words]),
  );
  readonly #whats = new Known<What>(({ event, decision, refusal, status, rules, words }) =>
    JSON.stringify([event, decision, refusal, status, rules, words]),
  );
  /** What outcomes say, by what their intents do and how they ended. */
  readonly #outcomes = new Map<string, number>();
  readonly #sessions = new Map<string, number>();

  constructor(statements: Statements) {
    this.#statements = statements;
    const next = (sql: string): number => numberOf(statements.row(sql)[0]);
    this.#nextWho = next("SELECT coalesce(max(id) + 1, 1) FROM who");
    this.#nextWhat = next("SELECT coalesce(max(id) + 1, 1) FROM what");
    this.#nextSession = next("SELECT coalesce(max(number) + 1, 1) FROM session");
  }

  /** What is remembered may not be in the file, or not any more. */
  forget(): void {
    this.#whos.clear();
    this.#whats.clear();
    this.#outcomes.clear();
    this.#sessions.clear();
  }

  ofWho(who: Who): number {
    return this.#whos.numberOf(who, (key) => {
      const digest = digestOf(key);
      const [found] = this.#statements.row("SELECT id FROM who WHERE digest = ?", [digest]);
      if (typeof found === "number") return found;
      const { subject, issuer, target, words } = who;
      const id = this.#nextWho++;
      this.#statements.run("INSERT INTO who VALUES (?, ?, ?, ?, ?, ?)", [id, digest, subject, issuer, target, words]);
      this.#statements.run("INSERT INTO who_word (rowid, words) VALUES (?, ?)", [id, words]);
      return id;
    });
  }

  ofWhat(what: What): number {
    return this.#whats.numberOf(what, (key) => {
      const digest = digestOf(key);
      const [found] = this.#statements.row("SELECT id FROM what WHERE digest = ?", [digest]);
      if (typeof found === "number") return found;
      const { event, decision, refusal, status, rules, words } = what;
      const id = this.#nextWhat++;
      const list = JSON.stringify(rules);
      const values = [id, digest, event, decision, refusal, status, list, words];
      this.#statements.run("INSERT INTO what VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values);
      for (const rule of new Set(rules)) this.#statements.run("INSERT INTO rule VALUES (?, ?)", [rule, id]);
      // The event is one word more: `policy.activated`.
      this.#statements.run("INSERT INTO what_word (rowid, words) VALUES (?, ?)", [id, `${event}\n${words}`]);
      return id;
    });
  }

  /** Of how an operation ended: of what it was, with the number that this has; null: not known. */
  ofOutcome(of: { readonly what: What; readonly whatId: number } | null, ended: Ended): number {
    const key = `${of?.whatId ?? 0} ${ended.status} ${ended.code ?? ""}`;
    const known = this.#outcomes.get(key);
    if (known !== undefined) return known;
    const id = this.ofWhat(outcomeWhat(of?.what ?? null, ended));
    if (this.#outcomes.size >= OUTCOMES_MAX) this.#outcomes.clear();
    this.#outcomes.set(key, id);
    return id;
  }

  /** Of the session of an entry; one that is new begins with it. */
  ofSession({ session, isConnect, isHouse }: IntentTrace, index: number): number {
    const known = this.ofKnownSession(session.id);
    if (known !== null) return known;
    const number = this.#nextSession++;
    const { id, subject, issuer, subjectKind, target, adapter, source, through, openedMs } = session;
    // A session whose opening is not in the log any more is the gateway's own when its subject is.
    const house = (isConnect ? isHouse : source === "gateway") ? 1 : 0;
    this.#statements.run(
      `INSERT INTO session (number, id, house, subject, issuer, subject_kind, target, adapter, source,
       through_session, through_operation, opened_ms, first, last)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        number,
        id,
        house,
        subject,
        issuer,
        subjectKind,
        target,
        adapter,
        source,
        through?.session ?? null,
        through?.operation ?? null,
        openedMs,
        index,
        index,
      ],
    );
    this.#keepSession(id, number);
    return number;
  }

  /** Null: no entry of it is in the index. */
  ofKnownSession(id: string): number | null {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const [found] = this.#statements.row("SELECT number FROM session WHERE id = ?", [id]);
    if (typeof found !== "number") return null;
    this.#keepSession(id, found);
    return found;
  }

  #keepSession(id: string, number: number): void {
    if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.clear();
    this.#sessions.set(id, number);
  }
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest().subarray(0, 16);
}
