/** What hosts mean however they are written, and which addresses lead nowhere but back. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { networkOf, readHost, specialAddress } from "./ip-address.ts";

function addressOf(host: string): string | null {
  const read = readHost(host);
  return read.kind === "address" ? read.address : null;
}

const byte = fc.integer({ min: 0, max: 255 });
const quad = fc.tuple(byte, byte, byte, byte);

/** One number as inet_aton takes it. */
const number = (value: number): fc.Arbitrary<string> =>
  fc.constantFrom(String(value), `0x${value.toString(16)}`, `0${value.toString(8)}`);

/** An IPv4 address in any of inet_aton's forms: the last part takes all bytes that are left. */
const written = quad.chain(([a, b, c, d]) =>
  fc
    .oneof(
      fc.tuple(number(a), number(b), number(c), number(d)),
      fc.tuple(number(a), number(b), number(c * 256 + d)),
      fc.tuple(number(a), number(b * 65_536 + c * 256 + d)),
      fc.tuple(number(a * 16_777_216 + b * 65_536 + c * 256 + d)),
    )
    .map((parts) => ({ text: parts.join("."), meant: `${a}.${b}.${c}.${d}` })),
);

describe("an IPv4 address", () => {
  test("is the same in every form that a resolver would take", () => {
    fc.assert(fc.property(written, ({ text, meant }) => expect(addressOf(text)).toBe(meant)));
  });

  test("is the same inside IPv6", () => {
    fc.assert(
      fc.property(quad, ([a, b, c, d]) => {
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        for (const text of [`::ffff:${a}.${b}.${c}.${d}`, `::ffff:${hex}`, `0:0:0:0:0:ffff:${hex}`])
          expect(addressOf(text)).toBe(`${a}.${b}.${c}.${d}`);
      }),
    );
  });

  test.each(["1.2.3.4.5", "256.1.1.1", "1.2.3.256", "08.1", "4294967296", "a.0x1", "0xg", "1..2", ".1", "db.1"])(
    "is not %s, and no name either",
    (host) => {
      expect(readHost(host)).toEqual({ kind: "malformed" });
    },
  );
});

describe("an IPv6 address", () => {
  test("has one form", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((each) => each.toString(16).padStart(4, "0")).join(":");
        const short = groups.map((each) => each.toString(16)).join(":");
        const usual = addressOf(long);
        expect(usual).not.toBeNull();
        expect(addressOf(short)).toBe(usual);
        expect(addressOf(usual ?? "")).toBe(usual);
      }),
    );
  });

  test.each([
    ["0:0:0:0:0:0:0:1", "::1"],
    ["fd00:0:0:0:0:0:0:2", "fd00::2"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ])("%s is %s", (host, usual) => {
    expect(addressOf(host)).toBe(usual);
  });

  test.each(["fe80::1%eth0", "::1%1", ":", ":::", "1:2:3", "::g", "[::1]"])("is not %s", (host) => {
    expect(readHost(host)).toEqual({ kind: "malformed" });
  });
});

test.each(["db1", "orders-prod", "1a", "a1", "10.x", "db1.example.com"])("%s is a name", (host) => {
  expect(readHost(host)).toEqual({ kind: "name" });
});

describe("what leads back", () => {
  const special = (host: string): string | null => specialAddress(addressOf(host) ?? "");

  test("127.0.0.0/8, in every form", () => {
    fc.assert(
      fc.property(
        written.filter(({ meant }) => meant.startsWith("127.")),
        ({ text }) => expect(special(text)).toBe("a loopback address"),
      ),
      { numRuns: 20 },
    );
  });

  test.each([
    ["::1", "a loopback address"],
    ["::127.0.0.1", "a loopback address"],
    ["::ffff:127.9.9.9", "a loopback address"],
    ["64:ff9b::127.0.0.1", "a loopback address"],
    ["64:ff9b:1::127.0.0.1", "a loopback address"],
    ["2002:7f00:1::", "a loopback address"],
    ["0.0.0.0", "an unspecified address"],
    ["0", "an unspecified address"],
    ["::", "an unspecified address"],
    ["169.254.169.254", "a link-local address"],
    ["64:ff9b::169.254.169.254", "a link-local address"],
    ["fe80::1", "a link-local address"],
    ["febf::1", "a link-local address"],
    ["224.0.0.1", "a multicast address"],
    ["239.255.255.255", "a multicast address"],
    ["ff02::1", "a multicast address"],
    ["240.0.0.1", "a reserved address"],
    ["255.255.255.255", "a reserved address"],
  ])("%s is %s", (host, what) => {
    expect(special(host)).toBe(what);
  });

  test.each([
    "10.0.0.1",
    "192.168.1.1",
    "128.0.0.1",
    "126.255.255.255",
    "169.253.0.1",
    "223.255.255.255",
    "fd00::2",
    "fec0::1",
    "2001:db8::1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::",
  ])("%s leads to another machine", (host) => {
    expect(special(host)).toBeNull();
  });
});

test.each([
  ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
  ["10.0.0.1", "10.0.0.1"],
  ["", ""],
  ["1:2:3:4:5::6:7:8:9", "1:2:3:4::/64"],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
