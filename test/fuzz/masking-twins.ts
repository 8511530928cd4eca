/** Holds random sessions on two databases that differ only in secrets, and finds where the client is told them apart. */
import type { CorpusServer, Kept, Side } from "../masking/databases.ts";
import type { Stage } from "../masking/player.ts";
import { transcript } from "../e2e/postgres/transcript.ts";
import { type Message, WireClient, WireClosed } from "../e2e/postgres/wire-client.ts";
import type { Session, Unit } from "./masking-sessions.ts";

export type Find = {
  readonly session: number;
  /** The fewest units found that still show it, the last one shows it. */
  readonly units: readonly Unit[];
  /** The first message that differs, on both sides. */
  readonly difference: string;
};

export type Tally = {
  statements: number;
  /** Statements of units that were answered without an error. */
  accepted: number;
  /** The same, where masked relations stand in them. */
  acceptedTouching: number;
  /** Units that compared a masked column, and were answered without an error. */
  acceptedComparing: number;
  /** Units that were answered differently. */
  differing: number;
  sessions: number;
  readonly finds: Find[];
  /**
   * Differences that are not there when the same session is held on databases made anew. Those have the same contents,
   * but not the dead rows of sessions before: how many pages these fill depends on how long secrets are, plans depend on
   * that, and the order of rows that nobody has asked for on plans.
   */
  readonly unsteady: string[];
  /** Statements that the server itself gave up for their time (setTimeLimit), with the rest of their sessions. */
  readonly slow: string[];
};

export function emptyTally(): Tally {
  return {
    statements: 0,
    accepted: 0,
    acceptedTouching: 0,
    acceptedComparing: 0,
    differing: 0,
    sessions: 0,
    finds: [],
    unsteady: [],
    slow: [],
  };
}

/**
 * What the server gives a statement: some of the random ones would take hours. Far more than the others take, also on a
 * busy machine, and less than a client of these tests waits for an answer.
 */
const STATEMENT_MS_MAX = 24_000;
const QUERY_CANCELED = "C57014\0";

/** Bounds the time of every client's statement. Not by a setting of a role: the gateway would find it changed. */
export async function setTimeLimit(server: CorpusServer): Promise<void> {
  await server.superuser("postgres", "ALTER ROLE postgres SET statement_timeout = 0");
  await server.superuser("postgres", `ALTER SYSTEM SET statement_timeout = ${STATEMENT_MS_MAX}`);
  await server.superuser("postgres", "SELECT pg_reload_conf()");
}

const SIDES: readonly Side[] = ["original", "twin"];
/** More of them say nothing new. */
const FINDS_MAX = 12;

type Database = { readonly name: string; readonly kept: Kept; readonly stage: Stage };

/** A pair of databases in which one session after the other is held. */
export class Lane {
  readonly #server: CorpusServer;
  readonly #stageOf: (database: string) => Stage;
  #databases: Readonly<Record<Side, Database>> | null = null;
  readonly #tally: Tally;

  constructor(server: CorpusServer, stageOf: (database: string) => Stage, tally: Tally) {
    this.#server = server;
    this.#stageOf = stageOf;
    this.#tally = tally;
  }

  /** Holds a session; where it is answered differently, makes it smaller and keeps it as a find. */
  async hold(session: Session): Promise<void> {
    const difference = await this.#play(session.units, true, this.#tally);
    this.#tally.sessions++;
    if (difference === null || this.#tally.finds.length >= FINDS_MAX) return;
    if ((await this.#play(session.units, true, null)) === null) {
      this.#tally.unsteady.push(`session ${session.number}: ${difference}`);
      return;
    }
    const units = await this.#smaller(session.units);
    const last = (await this.#play(units, true, null)) ?? difference;
    this.#tally.finds.push({ session: session.number, units, difference: last });
  }

  /** Holds a session to its end and only counts what is answered differently. */
  async count(session: Session): Promise<void> {
    await this.#play(session.units, false, this.#tally);
    this.#tally.sessions++;
  }

  /** Plays the units on both sides; resolves to the first difference, where the two are no longer in the same state. */
  async #play(units: readonly Unit[], isEndedByDifference: boolean, tally: Tally | null): Promise<string | null> {
    const databases = (this.#databases ??= {
      original: await this.#database("original"),
      twin: await this.#database("twin"),
    });
    const [here, there] = [new Client(databases.original.stage), new Client(databases.twin.stage)];
    let difference: string | null = null;
    let isWritten = false;
    try {
      for (const unit of units) {
        const answers = await Promise.all([here.answer(unit), there.answer(unit)]).catch(async (silence: unknown) => {
          // What a commit does (a cursor WITH HOLD) has no time limit: the server itself still works on it.
          if (!(await this.#endsBusy())) throw silence;
          return null;
        });
        if (answers === null) {
          tally?.slow.push(unit.words);
          break;
        }
        const [answer, other] = answers;
        const isAccepted = answer.messages.length > 0 && !answer.messages.some(({ type }) => type === "E");
        isWritten ||= isAccepted && unit.isWriting;
        if (tally !== null) count(tally, unit, isAccepted);
        // How far a statement came until then says nothing, and what follows depends on it.
        if (isGivenUp(answer) || isGivenUp(other)) {
          tally?.slow.push(unit.words);
          break;
        }
        const differs = differing(answer, other);
        if (differs === null) continue;
        if (tally !== null) tally.differing++;
        difference ??= differs;
        if (isEndedByDifference) break;
      }
    } finally {
      await Promise.all([here.leave(), there.leave()]);
    }
    if (difference !== null && isEndedByDifference) await this.end();
    else if (isWritten) await Promise.all(SIDES.map((side) => databases[side].kept.restore()));
    return difference;
  }

  /** Ends what the server has been working on for longer than its limit in this lane; false: nothing is. */
  async #endsBusy(): Promise<boolean> {
    const names = Object.values(this.#databases ?? {}).map(({ name }) => `'${name}'`);
    const ended = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (${names.join(", ")})
AND state = 'active' AND clock_timestamp() - query_start > interval '${STATEMENT_MS_MAX} ms'`;
    return Number(await this.#server.superuser("postgres", ended)) > 0;
  }

  async #database(side: Side): Promise<Database> {
    const name = await this.#server.copy(side);
    return { name, kept: await this.#server.keep(name), stage: this.#stageOf(name) };
  }

  async end(): Promise<void> {
    const databases = this.#databases;
    this.#databases = null;
    if (databases === null) return;
    for (const { name, kept } of Object.values(databases)) {
      await kept.end();
      await this.#server.drop(name);
    }
  }

  /** Leaves out what is not needed for a difference. */
  async #smaller(units: readonly Unit[]): Promise<readonly Unit[]> {
    let best = units;
    for (let size = Math.ceil(best.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < best.length;) {
        const fewer = [...best.slice(0, at), ...best.slice(at + size)];
        const difference = fewer.length === 0 ? null : await this.#play(fewer, true, null);
        if (difference === null) at += size;
        else best = fewer;
      }
    }
    return best;
  }
}

function count(tally: Tally, { statements, isTouching, isComparing }: Unit, isAccepted: boolean): void {
  tally.statements += statements;
  if (!isAccepted) return;
  tally.accepted += statements;
  if (isTouching) tally.acceptedTouching += statements;
  if (isComparing && statements > 0) tally.acceptedComparing++;
}

type Answer = { readonly messages: readonly Message[]; readonly isEnded: boolean };

/** One side of a session: its two connections. */
class Client {
  readonly #stage: Stage;
  readonly #connections: [WireClient | null, WireClient | null] = [null, null];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async answer({ bytes, readies, isAside }: Unit): Promise<Answer> {
    const at = isAside ? 1 : 0;
    let client = this.#connections[at];
    const messages: Message[] = [];
    try {
      if (client === null) {
        client = await WireClient.open(this.#stage.address);
        this.#connections[at] = client;
        client.sendStartup(this.#stage.login);
        await client.finishLogin(this.#stage.login.password);
        messages.push(...client.received.filter(({ type }) => type !== "K" && type !== "R"));
      }
      if (client.isEnded) return { messages, isEnded: true };
      client.send(bytes);
      for (let left = readies; left > 0;) {
        const message = await client.next();
        messages.push(message);
        if (message.type === "Z") left--;
      }
      return { messages, isEnded: false };
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error;
      return { messages: [...messages, ...(client?.unread ?? [])], isEnded: true };
    }
  }

  async leave(): Promise<void> {
    await Promise.all(this.#connections.map((client) => client?.terminate()));
  }
}

function isGivenUp({ messages }: Answer): boolean {
  return messages.some(({ type, body }) => type === "E" && body.includes(QUERY_CANCELED));
}

function differing(here: Answer, there: Answer): string | null {
  const size = Math.max(here.messages.length, there.messages.length);
  for (let at = 0; at < size; at++) {
    const [one, other] = [here.messages[at], there.messages[at]];
    if (one !== undefined && other !== undefined && isSame(one, other)) continue;
    return `original: ${shown(one)}\n  twin:     ${shown(other)}`;
  }
  return here.isEnded === there.isEnded ? null : `ended: ${here.isEnded} and ${there.isEnded}`;
}

function shown(message: Message | undefined): string {
  return message === undefined ? "(nothing)" : (transcript([message])[0] ?? "");
}

function isSame(one: Message, other: Message): boolean {
  if (one.type !== other.type || one.sha256 !== other.sha256) return false;
  return one.body.equals(other.body) || comparable(one) === comparable(other);
}

/** What is no secret, and is never the same twice: the database's name, ids of refusals, and who notifies. */
function comparable({ type, body }: Message): string {
  const text = body.toString("latin1", type === "A" ? 4 : 0).replaceAll(/\b(?:orig|twin)_\d{5}\b/gu, "(database)");
  return type === "E" || type === "N" ? text.replaceAll(/\(id [^ )]+\)/gu, "(id)") : text;
}
