/** Where forwards lead and listen, in the one form that policy judges. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readBind, readDestination, readSocketPath } from "./place.ts";

function factOf(host: string, port = 80): string {
  const place = readDestination(host, port);
  return "code" in place ? `refused: ${place.message}` : place.fact;
}

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,10}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));

describe("a destination", () => {
  test("is the same in any case, with and without the dot at its end", () => {
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        fc.pre(!host.includes("localhost") && host !== "loopback");
        for (const written of [host, host.toUpperCase(), `${host}.`, `${host.toUpperCase()}.`])
          expect(factOf(written, port)).toBe(`${host}:${port}`);
      }),
    );
  });

  test.each([
    ["10.1.2.3", "10.1.2.3:80"],
    ["0x0a.1.2.3", "10.1.2.3:80"],
    ["167838211", "10.1.2.3:80"],
    ["::ffff:10.1.2.3", "10.1.2.3:80"],
    ["FD00:0:0:0:0:0:0:2", "[fd00::2]:80"],
    ["db_1.example.com", "db_1.example.com:80"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example:80"],
  ])("%s is %s", (host, fact) => {
    expect(factOf(host)).toBe(fact);
  });

  test("is what the target is told", () => {
    expect(readDestination("Orders-Prod.Analytics.", 5432)).toEqual({
      host: "orders-prod.analytics",
      port: 5432,
      written: "Orders-Prod.Analytics",
      fact: "orders-prod.analytics:5432",
    });
    expect(readDestination("0x0a.1.2.3", 80)).toEqual({
      host: "10.1.2.3",
      port: 80,
      written: "10.1.2.3",
      fact: "10.1.2.3:80",
    });
  });

  test.each([
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "0:0:0:0:0:0:0:1",
    "localhost",
    "LOCALHOST.",
    "x.localhost",
    "ip6-localhost",
    "localhost4",
    "LocalHost4.LocalDomain4.",
    "localhost6.localdomain6",
    "loopback",
    "::ffff:0:127.0.0.1",
    "::ffff:0:7f00:1",
    "localhost.localdomain",
  ])("%s leads back to the target", (host) => {
    const place = readDestination(host, 80);
    expect(place).toMatchObject({ kind: "refusal", code: "denied" });
    expect(factOf(host)).toEndWith("leads to a loopback address, where no forward may go");
  });

  test.each(["0.0.0.0", "0", "::", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "255.255.255.255"])(
    "%s is nobody's own",
    (host) => {
      expect(readDestination(host, 80)).toMatchObject({ kind: "refusal", code: "denied" });
    },
  );

  test.each([
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a b",
    "a/b",
    "a\0b",
    "[::1]",
    "fe80::1%eth0",
    "-oProxyCommand=x",
    "a.-b",
    "db:1",
    "b\u00fccher.example",
    "\uff4cocalhost",
    "1.2.3.4.5",
    "08.1",
    "x".repeat(64),
    `${"x.".repeat(127)}x`,
    "*",
  ])("%j is no host", (host) => {
    expect(readDestination(host, 80)).toMatchObject({ kind: "refusal", code: "not_understood" });
  });

  test.each([0, -1, 65_536, 4_294_967_295, 1.5, Number.NaN])("there is no port %p", (port) => {
    expect(readDestination("db1", port)).toMatchObject({ kind: "refusal", code: "not_understood" });
  });

  test("any text is read or refused, and what is read says only itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (host) => {
        const place = readDestination(host, 80);
        if ("code" in place) return;
        for (const char of place.host) expect("abcdefghijklmnopqrstuvwxyz0123456789-_.:").toContain(char);
        expect(readDestination(place.host, 80)).toMatchObject({ host: place.host, fact: place.fact });
      }),
    );
  });

  test("a refusal shows no control characters, and not too much", () => {
    expect(factOf(`a\u001b[2J${"b".repeat(1000)}`)).toBe(
      `refused: this is neither a host's name nor an address: "a?[2J${"b".repeat(95)}..."`,
    );
  });
});

describe("a place to listen", () => {
  test.each([
    ["", "", "*:8080"],
    ["*", "", "*:8080"],
    ["localhost", "localhost", "localhost:8080"],
    ["127.1", "127.0.0.1", "127.0.0.1:8080"],
    ["0.0.0.0", "0.0.0.0", "0.0.0.0:8080"],
    ["::", "::", "[::]:8080"],
    ["Web.", "web", "web:8080"],
  ])("%j is told to the target as %j and judged as %s", (asked, host, fact) => {
    expect(readBind(asked, 8080)).toMatchObject({ host, port: 8080, fact });
  });

  test("port 0 is any", () => {
    expect(readBind("localhost", 0)).toMatchObject({ port: 0, fact: "localhost:0" });
  });

  test.each([
    ["", 65_536],
    ["a b", 80],
    ["1.2.3.4.5", 80],
  ])("%j:%d is none", (asked, port) => {
    expect(readBind(asked, port)).toMatchObject({ kind: "refusal", code: "not_understood" });
  });
});

describe("a socket's path", () => {
  test.each([
    ["/run/app.sock", "/run/app.sock"],
    ["//run///app.sock", "/run/app.sock"],
    ["/./run/./app.sock", "/run/app.sock"],
    [`/${"x".repeat(106)}`, `/${"x".repeat(106)}`],
  ])("%s is %s", (asked, path) => {
    expect(readSocketPath(asked)).toBe(path);
  });

  test.each([
    "",
    "/",
    "//",
    "/.",
    "run/app.sock",
    "./app.sock",
    "/run/",
    "/run/../etc/app.sock",
    "/run/..",
    "/proc/self/root/run/app.sock",
    "//proc/./1/cwd/app.sock",
    "/dev/fd/3",
    "/run/a\0b",
    "/run/a\nb",
    "\0abstract",
    "@abstract",
    `/${"x".repeat(107)}`,
  ])("%j is none", (asked) => {
    expect(readSocketPath(asked)).toMatchObject({ kind: "refusal", code: "not_understood" });
  });
});
