/** What every adapter owes the house, as one suite that each runs unchanged against a real target of its own. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import Database from "libsql";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOG_FILE } from "../src/audit/schema.ts";
import { type LogEntry, LogReader } from "../src/audit/query.ts";
import { type Gateway, type GatewayOptions, startGateway } from "./gateway.ts";

/** What a client was told: the protocol's own code, and all words that came with it. */
export type Told = { readonly code: string; readonly text: string };

export type Answer = { readonly kind: "answered"; readonly value: string } | ({ readonly kind: "refused" } & Told);

/**
 * Things a client may ask for. permitted and held are permitted by policy, denied is denied by a guard, unlisted is
 * named by no rule, opaque cannot be read by the adapter; held is not answered while the target is made to hold it.
 */
export type Thing = "permitted" | "held" | "denied" | "unlisted" | "opaque";

/** A client with an open session. */
export type ContractClient = {
  /** Asks with an ordinary message of the protocol that holds `mark`, and resolves with the answer. */
  ask(thing: Thing, mark: string): Promise<Answer>;
  /** Resolves when the session was ended from the other side; null when no reason was given. */
  readonly ended: Promise<Told | null>;
  close(): Promise<void>;
};

/** A real target. */
export type ContractTarget = {
  /** Its entry in weir.yaml, credential included. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The credential, which nobody but the target may ever see. */
  readonly credential: string;
  /** How often the target was sent this text. */
  saw(mark: string): number;
  /** From now on what is `held` is not answered, until letGo(). */
  hold(): Promise<void>;
  letGo(): Promise<void>;
  /** Resolves when so many operations are held. */
  untilHeld(count: number): Promise<void>;
  /** Its connections break and no new ones are taken, until comeBack(). */
  vanish(): Promise<void>;
  comeBack(): Promise<void>;
  stop(): Promise<void>;
};

/** Why something is refused, in the words of src/core/decision.ts. */
type Cause =
  | "denied"
  | "not_understood"
  | "login"
  | "ended login"
  | "limit"
  | "audit_unavailable"
  | "target_unavailable"
  | "draining";

export type AdapterHarness = {
  readonly adapter: string;
  /** How policy names the things, as the value of `action:` in YAML's flow form. */
  readonly actions: { readonly permitted: string; readonly held: string; readonly denied: string };
  readonly codes: Readonly<Record<Cause, string>>;
  startTarget(): Promise<ContractTarget>;
  /** Where the adapter's listener is bound, on 127.0.0.1. */
  portOf(gateway: Gateway): number;
  /** Logs in; resolves with what it was told when it is refused, `code` null when it was not even let in to ask. */
  connect(gateway: Gateway, target: string, secret: string): Promise<ContractClient | RefusedLogin>;
};

export type RefusedLogin = { readonly code: string | null; readonly text: string };

const POLICY_SET = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: contract\n";
const OPEN = "open";
const CLOSED = "closed";
/** Longer than any promise that is waited for here. */
const TEST_TIME_MS_MAX = 60_000;
const REVOKED_TIME_MS_MAX = 5_000;

/** `ann` may do what is permitted on the target `open`; `opal` may also do what cannot be read. */
function policy(
  actions: AdapterHarness["actions"],
  more: { readonly permits?: string; readonly guards?: string } = {},
): Readonly<Record<string, string>> {
  const permits =
    more.permits ??
    `  - { id: contract-may, subject: { any: true }, target: { names: [${OPEN}] }, action: [${actions.permitted}, ${actions.held}] }
  - { id: contract-opaque, subject: { names: [opal] }, target: { names: [${OPEN}] }, action: { any: true }, allowOpaque: true }
`;
  return {
    "policy.yaml": POLICY_SET,
    "permits/contract.yaml": `apiVersion: weir.dev/v1\nkind: Permits\nrules:\n${permits}`,
    "guards/contract.yaml": `apiVersion: weir.dev/v1\nkind: Guards\nrules:\n  - { id: contract-never, subject: { names: [ann] }, action: ${actions.denied}, deny: "never through here" }\n${more.guards ?? ""}`,
  };
}

/** Runs the whole suite. Call it once, at the top of a test file of the adapter. */
export function describeAdapter(harness: AdapterHarness): void {
  setDefaultTimeout(TEST_TIME_MS_MAX);
  describe(`contract of the adapter ${harness.adapter}`, () => {
    const suite = new Suite(harness);
    beforeAll(() => suite.start());
    afterAll(() => suite.stop());
    testLogin(suite);
    testDecisions(suite);
    testOpenSessions(suite);
    testLimits(suite);
    testVanishing(suite);
    testDrain(suite);
    testFailingLog(suite);
    testSecrets(suite);
  });
}

/** What the tests share: the target, a gateway in front of it, and everything that anybody was told. */
class Suite {
  readonly harness: AdapterHarness;
  readonly said: string[] = [];
  readonly tokens: string[] = [];
  #target: ContractTarget | null = null;
  #gateway: Gateway | null = null;
  readonly #ownGateways = new Set<Gateway>();
  #marks = 0;

  constructor(harness: AdapterHarness) {
    this.harness = harness;
  }

  async start(): Promise<void> {
    this.#target = await this.harness.startTarget();
    this.#gateway = await this.startGateway();
  }

  async stop(): Promise<void> {
    for (const gateway of this.#ownGateways) await gateway.stop();
    await this.#target?.stop();
  }

  get target(): ContractTarget {
    if (this.#target === null) throw new Error("the target has not started");
    return this.#target;
  }

  /** The gateway that the tests share which leave it as it was. */
  get gateway(): Gateway {
    if (this.#gateway === null) throw new Error("the gateway has not started");
    return this.#gateway;
  }

  /** A gateway of a test's own; stopped at the latest with the suite. */
  async startGateway(options: GatewayOptions = {}): Promise<Gateway> {
    const { settings } = this.target;
    const gateway = await startGateway({
      targets: { [OPEN]: settings, [CLOSED]: settings },
      policyFiles: policy(this.harness.actions),
      ...options,
    });
    this.#ownGateways.add(gateway);
    return gateway;
  }

  /** A word that has not been sent anywhere yet. */
  mark(): string {
    return `contract-mark-${++this.#marks}-${Math.random().toString(36).slice(2)}`;
  }

  async token(gateway: Gateway, subject: string): Promise<string> {
    const token = await gateway.token(subject);
    this.tokens.push(token);
    return token;
  }

  async tryLogin(gateway: Gateway, secret: string, target: string = OPEN): Promise<ContractClient | RefusedLogin> {
    const answer = await this.harness.connect(gateway, target, secret);
    if ("text" in answer) this.said.push(answer.text);
    return answer;
  }

  async connect(gateway: Gateway, secret: string): Promise<ContractClient> {
    const client = await this.tryLogin(gateway, secret);
    if ("text" in client) throw new Error(`the login was refused: ${client.code} ${client.text}`);
    return {
      ask: async (thing, mark) => {
        const answer = await client.ask(thing, mark);
        this.said.push(answer.kind === "answered" ? answer.value : answer.text);
        return answer;
      },
      ended: client.ended.then((told) => {
        if (told !== null) this.said.push(told.text);
        return told;
      }),
      close: () => client.close(),
    };
  }

  /** A session of a new token for this subject. */
  async session(gateway: Gateway, subject = "ann"): Promise<ContractClient> {
    return this.connect(gateway, await this.token(gateway, subject));
  }

  code(cause: Cause): string {
    return this.harness.codes[cause];
  }
}

/* ---- the log, as an auditor reads it ---- */

async function entriesOf(folder: string): Promise<readonly LogEntry[]> {
  const reader = LogReader.open(join(folder, "data"));
  try {
    return await reader.tail(10_000);
  } finally {
    reader.close();
  }
}

/** What the log says about an operation, once it has an outcome. */
type Recorded = {
  readonly event: string;
  readonly kind: string;
  readonly rules: readonly string[];
  readonly subject: string;
  readonly outcome: string;
};

/** Waits until the operation has its outcome in the log; rejects by the test's own time when it never gets one. */
async function recorded(
  gateway: Gateway,
  matches: (entry: LogEntry) => boolean,
): Promise<Recorded & { readonly id: string }> {
  for (;;) {
    const entries = await entriesOf(gateway.folder);
    const found = entries.findLast((entry) => entry.leaf.shape === "intent" && matches(entry))?.leaf;
    if (found?.shape === "intent") {
      const later = entries.find(({ leaf }) => leaf.shape === "outcome" && leaf.intent === found.index)?.leaf;
      const outcome = found.outcome ?? (later?.shape === "outcome" ? later.outcome : undefined);
      if (outcome !== undefined) {
        return {
          id: found.id,
          event: found.event,
          kind: found.decision.kind,
          rules: found.decision.rules ?? [],
          subject: found.subject.name,
          outcome: outcome.status,
        };
      }
    }
    await Bun.sleep(10);
  }
}

/** The operation that a refusal's words quote. */
function quotedIn(text: string): (entry: LogEntry) => boolean {
  return ({ leaf }) => leaf.shape === "intent" && text.includes(leaf.id);
}

/** The last operation of a subject that is no connect and none of the gateway's own. */
function lastOf(subject: string): (entry: LogEntry) => boolean {
  return ({ leaf }) =>
    leaf.shape === "intent" &&
    leaf.subject.name === subject &&
    leaf.operation.kind !== "connect" &&
    leaf.decision.kind !== "house";
}

function expectRefused(answer: Answer, code: string): Told {
  expect(answer).toMatchObject({ kind: "refused", code });
  if (answer.kind !== "refused") throw new Error("it was answered");
  return answer;
}

async function expectToWork(suite: Suite, client: ContractClient): Promise<void> {
  const mark = suite.mark();
  expect(await client.ask("permitted", mark)).toEqual({ kind: "answered", value: mark });
}

/** Rejects when the session is still open after this time. */
async function endedWithin(client: ContractClient, durationMs: number): Promise<Told | null> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`the session is open after ${durationMs} ms`)), durationMs);
  return Promise.race([client.ended, promise]).finally(() => clearTimeout(timer));
}

/* ---- the cases ---- */

function testLogin(suite: Suite): void {
  test("a wrong, an expired and a revoked token are refused alike", async () => {
    const { gateway } = suite;
    const good = await suite.token(gateway, "ann");
    const expired = await gateway.weir("token", "create", "--subject", "ann", "--kind", "human", "--expires", "1s");
    const revoked = await suite.token(gateway, "ann");
    await revokeLast(gateway);
    const secrets = [`${good.slice(0, -1)}${good.endsWith("A") ? "B" : "A"}`, "nonsense", "", revoked];
    const answers: RefusedLogin[] = [];
    for (const secret of secrets) answers.push(refusedLogin(await suite.tryLogin(gateway, secret)));
    // An expired one is good until it is not.
    for (;;) {
      const answer = await suite.tryLogin(gateway, expired.stdout.trim());
      if ("text" in answer) {
        answers.push(answer);
        break;
      }
      await answer.close();
    }
    for (const answer of answers) expect(answer).toEqual({ code: suite.code("login"), text: answers[0]?.text ?? "" });
    await (await suite.connect(gateway, good)).close();
  });

  test("a target that does not exist and one that is forbidden look alike", async () => {
    const { gateway } = suite;
    const token = await suite.token(gateway, "ann");
    const forbidden = refusedLogin(await suite.tryLogin(gateway, token, CLOSED));
    const unknown = refusedLogin(await suite.tryLogin(gateway, token, "nowhere"));
    expect(forbidden.code).toBe(suite.code("login"));
    expect(withoutIds(unknown.text).replaceAll("nowhere", CLOSED)).toBe(withoutIds(forbidden.text));
    expect(unknown.code).toBe(forbidden.code);
  });
}

function testDecisions(suite: Suite): void {
  test("what is permitted reaches the target once, is answered and recorded", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    expect(await client.ask("permitted", mark)).toEqual({ kind: "answered", value: mark });
    expect(suite.target.saw(mark)).toBe(1);
    expect(await recorded(suite.gateway, lastOf("ann"))).toMatchObject({
      event: "operation.intent",
      kind: "permit",
      rules: ["contract-may"],
      outcome: "done",
    });
    await client.close();
  });

  test("what a guard denies never reaches the target, says why, and the session goes on", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await client.ask("denied", mark), suite.code("denied"));
    expect(told.text).toContain("never through here");
    expect(told.text).toContain("contract-never");
    const entry = await recorded(suite.gateway, quotedIn(told.text));
    expect(entry).toMatchObject({
      event: "operation.refusal",
      kind: "deny",
      rules: ["contract-never"],
      outcome: "refused",
    });
    await expectToWork(suite, client);
    expect(suite.target.saw(mark)).toBe(0);
    await client.close();
  });

  test("what no rule names is denied", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await client.ask("unlisted", mark), suite.code("denied"));
    expect(await recorded(suite.gateway, quotedIn(told.text))).toMatchObject({
      kind: "deny",
      rules: [],
      outcome: "refused",
    });
    await expectToWork(suite, client);
    expect(suite.target.saw(mark)).toBe(0);
    await client.close();
  });

  test("what cannot be read is refused, unless a permit allows that", async () => {
    const ann = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await ann.ask("opaque", mark), suite.code("not_understood"));
    expect(await recorded(suite.gateway, quotedIn(told.text))).toMatchObject({ kind: "deny", outcome: "refused" });
    await expectToWork(suite, ann);
    expect(suite.target.saw(mark)).toBe(0);
    await ann.close();

    const opal = await suite.session(suite.gateway, "opal");
    const allowed = suite.mark();
    expect(await opal.ask("opaque", allowed)).toMatchObject({ kind: "answered" });
    expect(suite.target.saw(allowed)).toBe(1);
    expect(await recorded(suite.gateway, lastOf("opal"))).toMatchObject({
      rules: ["contract-opaque"],
      outcome: "done",
    });
    await opal.close();
  });

  test("refusals in a row, mixed with answers, on many sessions at once", async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => suite.session(suite.gateway)));
    await Promise.all(
      clients.map(async (client) => {
        for (let n = 0; n < 5; n++) {
          const mark = suite.mark();
          expectRefused(await client.ask("denied", mark), suite.code("denied"));
          await expectToWork(suite, client);
          expectRefused(await client.ask("unlisted", mark), suite.code("denied"));
          expect(suite.target.saw(mark)).toBe(0);
        }
      }),
    );
    for (const client of clients) await client.close();
  });

  test("a session's connect is recorded with its end", async () => {
    const client = await suite.session(suite.gateway, "connie");
    await client.close();
    const connect = ({ leaf }: LogEntry): boolean => leaf.shape === "intent" && leaf.subject.name === "connie";
    expect(await recorded(suite.gateway, connect)).toMatchObject({ kind: "permit", outcome: "done" });
  });
}

function testOpenSessions(suite: Suite): void {
  test("revoking a token ends its open sessions within five seconds, and no others", async () => {
    const { gateway } = suite;
    const other = await suite.session(gateway);
    const client = await suite.session(gateway);
    await revokeLast(gateway);
    const told = await endedWithin(client, REVOKED_TIME_MS_MAX);
    expect(told?.code).toBe(suite.code("ended login"));
    await expectToWork(suite, other);
    await other.close();
  });

  test("a changed policy changes the next answer in an open session", async () => {
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    await expectToWork(suite, client);
    for (const [path, text] of Object.entries(
      policy(suite.harness.actions, {
        guards: `  - { id: contract-new, action: ${suite.harness.actions.permitted}, deny: "no more" }\n`,
      }),
    )) {
      gateway.writePolicy(path, text);
    }
    let answer: Answer;
    do answer = await client.ask("permitted", suite.mark());
    while (answer.kind === "answered");
    expect(expectRefused(answer, suite.code("denied")).text).toContain("contract-new");
    for (const [path, text] of Object.entries(policy(suite.harness.actions))) gateway.writePolicy(path, text);
    do answer = await client.ask("permitted", suite.mark());
    while (answer.kind === "refused");
    await client.close();
    await gateway.stop();
  });

  test("a policy with errors is not taken; the last good one stays", async () => {
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    gateway.writePolicy("permits/contract.yaml", "apiVersion: weir.dev/v1\nkind: Permits\nrules: [{ id: broken }]\n");
    while (!(await entriesOf(gateway.folder)).some(({ leaf }) => leaf.event === "policy.rejected")) await Bun.sleep(10);
    await expectToWork(suite, client);
    expectRefused(await client.ask("denied", suite.mark()), suite.code("denied"));
    await client.close();
    await gateway.stop();
  });

  test("a policy that no longer lets a session in ends it, and no others", async () => {
    const gateway = await suite.startGateway();
    const ann = await suite.session(gateway);
    const bob = await suite.session(gateway, "bob");
    const { permitted, held } = suite.harness.actions;
    const permits = `  - { id: contract-bob, subject: { names: [bob] }, target: { names: [${OPEN}] }, action: [${permitted}, ${held}] }\n`;
    for (const [path, text] of Object.entries(policy(suite.harness.actions, { permits })))
      gateway.writePolicy(path, text);
    expect((await ann.ended)?.code).toBe(suite.code("denied"));
    await expectToWork(suite, bob);
    await bob.close();
    await gateway.stop();
  });
}

function testLimits(suite: Suite): void {
  test("a subject has so many sessions and no more, and a closed one makes room", async () => {
    const gateway = await suite.startGateway({ limits: { sessionsPerSubjectMax: 2 } });
    const token = await suite.token(gateway, "ann");
    const first = await suite.connect(gateway, token);
    const second = await suite.connect(gateway, token);
    const refused = refusedLogin(await suite.tryLogin(gateway, token));
    expect(refused.code).toBe(suite.code("limit"));
    expect(refused.text).toContain("sessionsPerSubjectMax");
    const other = await suite.session(gateway, "bob");
    await first.close();
    const third = await untilLetIn(suite, gateway, token);
    for (const client of [second, third, other]) {
      await expectToWork(suite, client);
      await client.close();
    }
    await gateway.stop();
  });

  test("whoever does not log in in time is closed, and others are not", async () => {
    const gateway = await suite.startGateway({ limits: { loginTime: "1s" } });
    const client = await suite.session(gateway);
    await closedBy(suite.harness.portOf(gateway));
    await expectToWork(suite, client);
    await client.close();
    await gateway.stop();
  });

  test("the gateway has so many sessions and no more", async () => {
    const gateway = await suite.startGateway({ limits: { sessionsMax: 1 } });
    const client = await suite.session(gateway);
    const refused = refusedLogin(await suite.tryLogin(gateway, await suite.token(gateway, "bob")));
    expect(refused.code).toBe(suite.code("limit"));
    await client.close();
    await gateway.stop();
  });
}

function testVanishing(suite: Suite): void {
  test("a target that vanishes ends its sessions, and comes back to new ones", async () => {
    const { gateway, target } = suite;
    const token = await suite.token(gateway, "ann");
    const idle = await suite.connect(gateway, token);
    const busy = await suite.connect(gateway, token);
    await target.hold();
    const pending = busy.ask("held", suite.mark());
    await target.untilHeld(1);
    await target.vanish();
    expectRefused(await pending, suite.code("target_unavailable"));
    expect((await idle.ended)?.code).toBe(suite.code("target_unavailable"));
    await busy.ended;
    const refused = refusedLogin(await suite.tryLogin(gateway, token));
    expect(refused.code).toBe(suite.code("target_unavailable"));
    await target.letGo();
    await target.comeBack();
    const again = await suite.connect(gateway, token);
    await expectToWork(suite, again);
    await again.close();
  });

  test("a client that vanishes takes its running operation along", async () => {
    const { target } = suite;
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    await target.hold();
    const mark = suite.mark();
    void client.ask("held", mark);
    await target.untilHeld(1);
    await client.close();
    await target.letGo();
    await target.untilHeld(0);
    expect(await recorded(gateway, lastOf("ann"))).toMatchObject({ kind: "permit" });
    await gateway.stop();
  });
}

function testDrain(suite: Suite): void {
  test("SIGTERM: what runs finishes, idle sessions end, nobody new comes in, the log is closed", async () => {
    const { target } = suite;
    const folder = mkdtempSync(join(tmpdir(), "weir-contract-drain-"));
    try {
      const gateway = await suite.startGateway({ folder });
      const token = await suite.token(gateway, "ann");
      const idle = await suite.connect(gateway, token);
      const busy = await suite.connect(gateway, token);
      const mark = suite.mark();
      await target.hold();
      const running = busy.ask("held", mark);
      await target.untilHeld(1);
      const stopped = gateway.stop("SIGTERM");
      expect((await idle.ended)?.code).toBe(suite.code("draining"));
      refusedLogin(await suite.tryLogin(gateway, token));
      await target.letGo();
      expect(await running).toEqual({ kind: "answered", value: mark });
      expect((await busy.ended)?.code).toBe(suite.code("draining"));
      expect(await stopped).toBe(0);
      const before = await entriesOf(folder);
      expect(before.at(-1)?.leaf.event).toBe("audit.closed");
      expect(openIntents(before)).toEqual([]);

      const next = await suite.startGateway({ folder });
      const opened = (await entriesOf(folder)).findLast(({ leaf }) => leaf.event === "audit.opened")?.leaf;
      expect(opened).toMatchObject({ facts: { previous: "clean", unknown: 0 } });
      await (await suite.connect(next, token)).close();
      await next.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("SIGTERM: what still runs after the drain time is ended, at the target too", async () => {
    const { target } = suite;
    const gateway = await suite.startGateway({ limits: { drainTime: "1s" } });
    const client = await suite.session(gateway);
    await target.hold();
    const running = client.ask("held", suite.mark());
    await target.untilHeld(1);
    const stopped = gateway.stop("SIGTERM");
    expectRefused(await running, suite.code("draining"));
    await target.untilHeld(0);
    await target.letGo();
    expect(await stopped).toBe(0);
  });

  test("after a kill the next start closes what was left open as unknown", async () => {
    const { target } = suite;
    const folder = mkdtempSync(join(tmpdir(), "weir-contract-kill-"));
    try {
      const gateway = await suite.startGateway({ folder });
      const client = await suite.session(gateway);
      await target.hold();
      void client.ask("held", suite.mark());
      await target.untilHeld(1);
      await gateway.stop("SIGKILL");
      await target.letGo();
      expect(openIntents(await entriesOf(folder))).not.toEqual([]);
      const next = await suite.startGateway({ folder });
      const entries = await entriesOf(folder);
      expect(entries.findLast(({ leaf }) => leaf.event === "audit.opened")?.leaf).toMatchObject({
        facts: { previous: "unclean" },
      });
      expect(await recorded(next, lastOf("ann"))).toMatchObject({ outcome: "unknown" });
      await next.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function testFailingLog(suite: Suite): void {
  test.each(["strict", "release", "relaxed"] as const)(
    "while the log fails nothing is let through (%s)",
    async (durability) => {
      const { target } = suite;
      const gateway = await suite.startGateway({ durability });
      const token = await suite.token(gateway, "ann");
      const client = await suite.connect(gateway, token);
      await expectToWork(suite, client);
      const release = seize(gateway);
      try {
        // In the modes that lag, what comes before the failure is noticed may pass.
        const first = suite.mark();
        let answer = await client.ask("permitted", first);
        if (durability !== "relaxed") expect(answer.kind).toBe("refused");
        if (durability === "strict") expect(target.saw(first)).toBe(0);
        while (answer.kind === "answered") answer = await client.ask("permitted", suite.mark());
        expectRefused(answer, suite.code("audit_unavailable"));
        const mark = suite.mark();
        expect(refusedLogin(await suite.tryLogin(gateway, token)).code).toBe(suite.code("audit_unavailable"));
        await Promise.race([client.ask("permitted", mark), client.ended]);
        expect(target.saw(mark)).toBe(0);
      } finally {
        release();
      }
      const again = await untilLetIn(suite, gateway, token);
      await expectToWork(suite, again);
      await again.close();
      expect((await entriesOf(gateway.folder)).some(({ leaf }) => leaf.event === "audit.gap")).toBe(true);
      expect(await gateway.stop()).toBe(0);
    },
  );
}

function testSecrets(suite: Suite): void {
  test("nobody was told the target's credential, and no token is in the log", async () => {
    const { gateway, target } = suite;
    const leaves = (await entriesOf(gateway.folder)).map(({ json }) => json);
    const status = await gateway.weir("status", "--json");
    const texts = [...suite.said, ...leaves, gateway.log(), status.stdout];
    expect(texts.length).toBeGreaterThan(50);
    expect(texts.filter((text) => text.includes(target.credential))).toEqual([]);
    for (const token of suite.tokens) {
      expect([...leaves, gateway.log()].filter((text) => text.includes(token))).toEqual([]);
      expect(target.saw(token)).toBe(0);
    }
  });
}

/* ---- small steps ---- */

function refusedLogin(answer: ContractClient | RefusedLogin): RefusedLogin {
  if (!("text" in answer)) throw new Error("the login was let in");
  return answer;
}

/** Connects, says nothing, and resolves when the other side has closed the connection. */
async function closedBy(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1");
  socket
    .on("data", () => {})
    .on("error", () => resolve())
    .on("close", () => resolve());
  await promise;
}

/** Tries until a session is let in: what makes room for it may take a moment. */
async function untilLetIn(suite: Suite, gateway: Gateway, secret: string): Promise<ContractClient> {
  for (;;) {
    const answer = await suite.tryLogin(gateway, secret);
    if (!("text" in answer)) return answer;
    await Bun.sleep(20);
  }
}

/** Ids differ from one refusal to the next. */
function withoutIds(text: string): string {
  return text.replaceAll(/\(id [^)]+\)/gu, "(id)");
}

async function revokeLast(gateway: Gateway): Promise<void> {
  const list = await gateway.weir("token", "list", "--json");
  const last: unknown = JSON.parse(list.stdout.trim().split("\n").at(-1) ?? "");
  if (typeof last !== "object" || last === null || !("id" in last) || typeof last.id !== "string") {
    throw new Error(`no token in ${list.stdout}`);
  }
  const revoked = await gateway.weir("token", "revoke", last.id);
  if (revoked.status !== 0) throw new Error(revoked.stderr);
}

function openIntents(entries: readonly LogEntry[]): number[] {
  const open = new Set<number>();
  for (const { leaf } of entries) {
    if (leaf.shape === "intent" && leaf.outcome === undefined) open.add(leaf.index);
    if (leaf.shape === "outcome" && leaf.intent !== null) open.delete(leaf.intent);
  }
  return [...open];
}

/** Makes the log fail: somebody else holds its file, and no commit succeeds until the answer is called. */
function seize(gateway: Gateway): () => void {
  const database = new Database(join(gateway.folder, "data", LOG_FILE));
  database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}
