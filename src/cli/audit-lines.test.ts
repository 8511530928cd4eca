/** Entries as lines: nothing that a client chose can command the reader's terminal. */
import { expect, test } from "bun:test";
import type { Leaf } from "../audit/entry.ts";
import { entryLine, printable } from "./audit-lines.ts";

test("control characters and changes of direction are written out", () => {
  expect(printable("a\u001b[2J\r\nb\u009b\u202e\u2066\u007f")).toBe(
    "a\\u001b[2J\\u000d\\u000ab\\u009b\\u202e\\u2066\\u007f",
  );
  expect(printable("größe 表 😀")).toBe("größe 表 😀");
});

test("an event is its name and its facts", () => {
  const leaf = {
    shape: "event",
    event: "session.refused",
    facts: { target: "x\u001b]0;owned\u0007", rules: ["a", "b"], commit: null },
    boot: "b",
    index: 7,
    timeMs: Date.UTC(2026, 10, 20),
    version: 1,
  } as const;
  const copy = { ...leaf, facts: { ...leaf.facts, rules: [...leaf.facts.rules] } };
  expect(entryLine(copy)).toBe(
    "2026-11-20T00:00:00.000Z  #7  session.refused  target=x\\u001b]0;owned\\u0007  rules=a,b  commit=?",
  );
});

test("an intent says who wants what where, and an outcome how it ended", () => {
  const common = { boot: "b", timeMs: 0, version: 1 };
  const intent: Leaf = {
    ...common,
    shape: "intent",
    event: "operation.intent",
    index: 1,
    id: "AB-1",
    decision: { kind: "permit", policy: { commit: null, digest: "d" }, rules: ["r1"] },
    operation: {
      accesses: [
        { class: "read", facts: { verbs: ["select"], relations: ["public.orders"] } },
        {
          class: "execute",
          facts: { databases: ["shop"], verbs: ["execute"], functions: ["pg_catalog.pg_read_file"] },
        },
        { class: "execute", facts: { verbs: ["call"], functions: null } },
        {
          class: "read",
          facts: { verbs: ["select"], relations: ["public.users"], columns: ["public.users.id"], functions: ["f"] },
        },
        {
          class: "execute",
          facts: { channels: ["exec"], programs: ["tail"], argv: ["tail", "-n", "2", "x.log"], paths: null },
        },
        { class: "write", facts: { channels: ["exec"], paths: ["/srv/a", "/srv/b"] } },
        { class: "forward", facts: { channels: ["direct-tcpip"], forwards: ["db:5432"] } },
        { class: "administer", facts: {}, opaque: true },
      ],
      adapter: "postgres",
      catalog: null,
      kind: "query",
      understood: true,
    },
    session: { id: "s", openedAtMs: 0, source: "127.0.0.1" },
    subject: {
      groups: [],
      issuer: "weir",
      kind: "agent",
      name: "bot",
      proof: { credential: "c", expiresAtMs: null, method: "token" },
    },
    target: { labels: {}, name: "db" },
    textSha256: "0",
  };
  expect(entryLine(intent)).toBe(
    "1970-01-01T00:00:00.000Z  #1  permit  agent bot on db  query (select public.orders; execute pg_catalog.pg_read_file; call ?; select public.users; tail -n 2 x.log; write /srv/a,/srv/b; forward db:5432; administer, could not be read)  by r1  id AB-1",
  );
  const outcome = {
    ...common,
    shape: "outcome",
    event: "operation.outcome",
    index: 2,
    id: "AB-1",
    intent: 1,
    outcome: { status: "done", rows: 1 },
  } as const;
  expect(entryLine(outcome)).toBe("1970-01-01T00:00:00.000Z  #2  done, 1 row  id AB-1");
});
