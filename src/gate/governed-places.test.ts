/** Which places a forward may lead to: those that are no target's, not the gateway's, and not the way back. */
import { beforeEach, describe, expect, test } from "bun:test";
import { GovernedPlaces } from "./governed-places.ts";

/** What the resolver knows; a name that is not here does not exist. */
let names = new Map<string, readonly string[] | Error>();
let asked: string[] = [];
let now = 0;

beforeEach(() => {
  names = new Map<string, readonly string[] | Error>([
    ["db1", ["10.7.0.4"]],
    ["alias.example.com", ["10.7.0.4"]],
    ["web.example.com", ["10.7.0.9", "2001:db8::9"]],
    ["half.example.com", ["10.7.0.9", "127.0.0.1"]],
    ["meta.example.com", ["169.254.169.254"]],
    ["mapped.example.com", ["::ffff:10.7.0.5"]],
    ["slow.example.com", new Error("no answer within 5000 ms")],
    ["gateway.example.com", ["10.7.0.1"]],
  ]);
  asked = [];
  now = 0;
});

function places(): GovernedPlaces {
  const targets = new Set(["orders-prod", "plant7"]);
  return new GovernedPlaces({
    isTarget: (name) => targets.has(name),
    endpoints: [{ host: "DB1", port: 5432 }, { host: "10.7.0.5", port: 22 }, { path: "/run/x.sock" }],
    listeners: () => [{ host: "10.7.0.1", port: 6422 }],
    resolve: async (host) => {
      asked.push(host);
      const answer = names.get(host) ?? [];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    clock: { now: () => now },
  });
}

describe("a target's name", () => {
  test.each([
    ["orders-prod", "orders-prod", null],
    ["Orders-Prod", "orders-prod", null],
    ["orders-prod.", "orders-prod", null],
    ["orders-prod.Analytics", "orders-prod", "Analytics"],
    ["plant7.a.b", "plant7", "a.b"],
  ])("%s leads to it", async (host, targetName, part) => {
    expect(await places().destinationOf(host, 1)).toEqual({ kind: "target", targetName, part });
    expect(asked).toEqual([]);
  });

  test("is the whole first label", async () => {
    for (const host of ["orders-prod2", "xorders-prod", "www.orders-prod"])
      expect(await places().destinationOf(host, 1)).toEqual({ kind: "elsewhere" });
  });
});

describe("the host of a target", () => {
  test.each(["db1", "DB1", "db1.", "10.7.0.5", "0x0a.7.0.5", "::ffff:10.7.0.5"])("%s is closed", async (host) => {
    expect(await places().destinationOf(host, 80)).toEqual({ kind: "closed", why: "the host of a governed target" });
  });

  test.each(["10.7.0.4", "alias.example.com", "mapped.example.com"])("%s is closed by its address", async (host) => {
    expect(await places().destinationOf(host, 80)).toEqual({ kind: "closed", why: "the host of a governed target" });
  });

  test("is where it was when it cannot be looked up", async () => {
    const here = places();
    expect(await here.destinationOf("10.7.0.4", 80)).toMatchObject({ kind: "closed" });
    now = 31_000;
    names.set("db1", new Error("no answer"));
    expect(await here.destinationOf("10.7.0.4", 80)).toMatchObject({ kind: "closed" });
  });

  test("closes every address while it was never looked up and cannot be: it might be that one", async () => {
    const lookup = new Error("no answer within 5000 ms");
    names.set("db1", lookup);
    const dark = places();
    expect(await dark.destinationOf("10.7.0.4", 5432)).toMatchObject({ kind: "closed" });
    expect(await dark.destinationOf("web.example.com", 80)).toMatchObject({ kind: "closed" });
    names.set("db1", ["10.7.0.4"]);
    expect(await dark.destinationOf("web.example.com", 80)).toEqual({ kind: "elsewhere" });
  });

  test("is looked up again after half a minute, and not before", async () => {
    const here = places();
    await here.destinationOf("10.7.0.9", 80);
    names.set("db1", ["10.7.0.9"]);
    expect(await here.destinationOf("10.7.0.9", 80)).toEqual({ kind: "elsewhere" });
    now = 31_000;
    expect(await here.destinationOf("10.7.0.9", 80)).toMatchObject({ kind: "closed" });
  });
});

describe("the way back", () => {
  test.each([
    ["127.0.0.1", "a loopback address"],
    ["::1", "a loopback address"],
    ["half.example.com", "a loopback address"],
    ["meta.example.com", "a link-local address"],
    ["0.0.0.0", "an unspecified address"],
  ])("%s is closed", async (host, why) => {
    expect(await places().destinationOf(host, 80)).toEqual({ kind: "closed", why });
  });

  test("to the gateway's own listener is closed, at its port", async () => {
    const here = places();
    const gateway = { kind: "closed", why: "the gateway itself" } as const;
    expect(await here.destinationOf("10.7.0.1", 6422)).toEqual(gateway);
    expect(await here.destinationOf("gateway.example.com", 6422)).toEqual(gateway);
    expect(await here.destinationOf("gateway.example.com", 443)).toEqual({ kind: "elsewhere" });
  });
});

test("a name that only others may know is let through", async () => {
  expect(await places().destinationOf("only-there.internal", 80)).toEqual({ kind: "elsewhere" });
});

test("a name that cannot be looked up now, and what is no host, are closed", async () => {
  for (const host of ["slow.example.com", "1.2.3.4.5", "fe80::1%eth0"])
    expect(await places().destinationOf(host, 80)).toMatchObject({ kind: "closed" });
});

test("what is nobody's is let through", async () => {
  for (const host of ["web.example.com", "10.7.0.9", "2001:db8::9"])
    expect(await places().destinationOf(host, 80)).toEqual({ kind: "elsewhere" });
});

test("a listener on every address is at each of this machine's", async () => {
  const { networkInterfaces } = await import("node:os");
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const here = new GovernedPlaces({
    isTarget: () => false,
    endpoints: [],
    listeners: () => [{ host: "0.0.0.0", port: 6422 }],
    resolve: async () => [],
    clock: { now: () => now },
  });
  expect(own).not.toBeEmpty();
  for (const { address } of own) expect(await here.destinationOf(address, 6422)).toMatchObject({ kind: "closed" });
});
