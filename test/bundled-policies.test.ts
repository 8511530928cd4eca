/** The bundled example set loads without a complaint and decides as it says, with the words of the real adapters. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ADAPTERS, VOCABULARIES } from "../adapters/index.ts";
import type { Decision } from "../src/core/decision.ts";
import type { Identity } from "../src/core/identity.ts";
import type { Access, AccessClass, Facts } from "../src/core/operation.ts";
import type { Session } from "../src/core/session.ts";
import type { Target } from "../src/core/target.ts";
import { EXAMPLE_POLICIES } from "../src/cli/demo/policies.ts";
import { checkPolicies } from "../src/policy/check.ts";
import { RuleIndex } from "../src/policy/engine/index.ts";
import { loadPolicies } from "../src/policy/load.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { runTests } from "../src/policy/tests/test-run.ts";
import { PolicyStore } from "../src/policy/store.ts";

const BUNDLED = join(import.meta.dir, "../policies");
const NOW = Date.UTC(2027, 0, 1);
const shop: Target = { name: "shop", adapter: "postgres", labels: { env: "demo" }, settings: null };
const proof = { method: "token", credential: "t1", expiresAtMs: null } as const;
const agent: Identity = {
  kind: "agent",
  issuer: "weir",
  subject: "shop-agent",
  groups: ["agents"],
  owner: "eva",
  proof,
};
const dana: Identity = { kind: "human", issuer: "weir", subject: "dana", groups: ["dba"], proof };
const stranger: Identity = { kind: "human", issuer: "weir", subject: "mallory", groups: ["sales"], proof };

const store = await PolicyStore.open(BUNDLED, VOCABULARIES, [shop], () => {});

function session(identity: Identity): Session {
  return { id: `s-${identity.subject}`, identity, target: shop, openedAtMs: NOW, source: "127.0.0.1" };
}

function access(accessClass: AccessClass, verb: string, facts: Facts = {}): Access {
  return { class: accessClass, facts: { databases: ["shop"], verbs: [verb], ...facts } };
}

function decide(identity: Identity, first: Access, ...others: readonly Access[]): Decision {
  return store.decide(
    session(identity),
    {
      id: "op",
      session: session(identity),
      kind: "query",
      accesses: [first, ...others],
      understood: ![first, ...others].some((each) => each.opaque === true),
      text: "",
      textSha256: null,
      catalogDigest: null,
    },
    NOW,
  );
}

const read = (relation: string, columns: readonly string[]) =>
  access("read", "select", { relations: [relation], columns: columns.map((column) => `${relation}.${column}`) });
const anything: Access = { class: "administer", facts: { databases: ["shop"], verbs: ["do"] }, opaque: true };

describe("the bundled policies", () => {
  test("have neither errors nor warnings", async () => {
    expect(await checkPolicies(BUNDLED, VOCABULARIES, [shop])).toEqual([]);
  });

  test("have tests that pass, and that every rule decides one of", async () => {
    const set = await loadPolicies(BUNDLED, VOCABULARIES, [shop]);
    const index = new RuleIndex(set.rules, VOCABULARIES, set.author.patterns);
    const tools = new Map(ADAPTERS.map((adapter) => [adapter.name, adapter.policy]));
    const { results, errors, warnings } = await runTests(set, index, tools, { now: NOW });
    expect(results.length).toBeGreaterThan(20);
    expect([...errors, ...warnings].map(formatProblem)).toEqual([]);
  });

  test("are what the demo begins with, to the last file", async () => {
    const { folder } = await loadPolicies(BUNDLED, VOCABULARIES, [shop]);
    const files = folder.files.map(({ path, bytes }) => [path, new TextDecoder().decode(bytes)]);
    expect(Object.fromEntries(files)).toEqual(EXAMPLE_POLICIES);
  });

  test("let an agent read orders and products, also joined", () => {
    const decision = decide(agent, read("public.orders", ["id"]), read("public.products", ["id", "price"]));
    expect(decision).toMatchObject({ kind: "permit", rules: ["agents-read-shop"] });
  });

  test("let an agent read customers, with e-mail address and telephone number masked, and a DBA as they are", () => {
    expect(decide(agent, read("public.customers", ["id", "name"]))).not.toHaveProperty("obligations.mask");
    const personal = read("public.customers", ["name", "email", "phone"]);
    expect(decide(agent, personal)).toMatchObject({
      kind: "permit",
      rules: ["agents-read-customers", "pii-masked"],
      obligations: {
        mask: {
          columns: {
            "public.customers.email": { with: "hash" },
            "public.customers.phone": { with: "partial", keepFirst: 0, keepLast: 2 },
          },
        },
      },
    });
    expect(decide(dana, personal)).toMatchObject({ kind: "permit", rules: ["dba-everything"] });
    expect(decide(dana, personal)).not.toHaveProperty("obligations.mask");
  });

  test("refuse an agent's writes, definitions and what cannot be read", () => {
    const unfiltered = access("write", "delete", { relations: ["public.orders"], unfiltered: true });
    expect(decide(agent, unfiltered)).toMatchObject({ kind: "deny", rules: ["no-unfiltered-writes"] });
    const filtered = access("write", "delete", { relations: ["public.orders"], unfiltered: false });
    expect(decide(agent, filtered)).toMatchObject({ refusal: { message: "no rule permits delete on public.orders" } });
    const drop = access("define", "drop table", { relations: ["public.orders"] });
    expect(decide(agent, drop)).toMatchObject({
      rules: ["agents-never-define"],
      refusal: { hint: "Ask the DBA team." },
    });
    const truncate = access("write", "truncate", { relations: ["public.orders"] });
    expect(decide(agent, truncate)).toMatchObject({ rules: ["agents-never-define"] });
    expect(decide(agent, anything)).toMatchObject({ kind: "deny", refusal: { code: "not_understood" } });
  });

  test("refuse an agent a function off the safe list, and let a DBA call it", () => {
    const call = access("execute", "execute", { functions: ["pg_catalog.pg_read_file"] });
    expect(decide(agent, read("public.orders", ["id"]), call).kind).toBe("deny");
    expect(decide(dana, call).kind).toBe("permit");
  });

  test("let a DBA do everything, also what cannot be read", () => {
    expect(decide(dana, anything)).toMatchObject({ kind: "permit", rules: ["dba-everything"] });
    expect(decide(dana, access("define", "drop table", { relations: ["public.orders"] })).kind).toBe("permit");
  });

  test("open no session for anybody else", () => {
    const connect: Access = { class: "connect", facts: { databases: ["shop"], verbs: ["connect"] }, ambient: true };
    const operation = (identity: Identity) => ({
      id: "op",
      session: session(identity),
      kind: "connect",
      accesses: [connect] as const,
      understood: true,
      text: "",
      textSha256: null,
      catalogDigest: null,
    });
    expect(store.mayConnect(session(agent), operation(agent), NOW).kind).toBe("permit");
    expect(store.mayConnect(session(stranger), operation(stranger), NOW)).toMatchObject({
      kind: "deny",
      refusal: { message: "no rule permits anything on shop to mallory (human)" },
    });
  });
});
