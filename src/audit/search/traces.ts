/** Reads the leaves of a log one after the other: what many of them say alike is worked out once. */
import type { JsonObject } from "../canonical.ts";
import { LeafParts } from "../leaf-parts.ts";
import {
  EACH_ANEW,
  intentTrace,
  type PartReader,
  type SessionTrace,
  textOf,
  type Trace,
  traceOf,
  type What,
  type Who,
} from "./trace.ts";

export class Traces {
  readonly #parts = new LeafParts();
  readonly #reader = rememberingReader();

  of(leaf: Uint8Array): Trace {
    const intent = this.#parts.read(textOf(leaf));
    return intent === null ? traceOf(leaf) : intentTrace(intent, this.#reader);
  }
}

/** Ends of one operation that are remembered: a target may say a code of its own each time. */
const ENDS_MAX = 64;

/** For parts that are the same objects wherever they are alike. */
function rememberingReader(): PartReader {
  const whos = new Pairs<Who>();
  const whats = new Pairs<Map<string, What>>();
  const sessions = new WeakMap<JsonObject, SessionTrace>();
  return {
    who(parts) {
      return whos.of(parts.subject, parts.target, () => EACH_ANEW.who(parts));
    },
    what(parts) {
      // There is one of these in a session.
      if (parts.isConnect) return EACH_ANEW.what(parts);
      const { operation, decision, event, ended } = parts;
      const known = whats.of(operation, decision, () => new Map());
      const how = `${event} ${ended?.status} ${ended?.code}`;
      let what = known.get(how);
      if (what !== undefined) return what;
      what = EACH_ANEW.what(parts);
      if (known.size < ENDS_MAX) known.set(how, what);
      return what;
    },
    // A session is always the same one's, and on one target.
    session(parts) {
      let session = sessions.get(parts.session);
      if (session === undefined) sessions.set(parts.session, (session = EACH_ANEW.session(parts)));
      return session;
    },
  };
}

/** What was made of two things together. */
class Pairs<T> {
  readonly #made = new WeakMap<JsonObject, WeakMap<JsonObject, T>>();

  of(first: JsonObject, second: JsonObject, make: () => T): T {
    let made = this.#made.get(first);
    if (made === undefined) this.#made.set(first, (made = new WeakMap()));
    let value = made.get(second);
    if (value === undefined) made.set(second, (value = make()));
    return value;
  }
}
