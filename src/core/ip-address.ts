/** IP addresses as text: the one they mean however they are written, and which of them lead nowhere but back. */

const DIGITS = new Set("0123456789");
const OF_NUMBERS = new Set("0123456789abcdefx.");
const OF_IPV6 = new Set("0123456789abcdef:.");

/** A last label of digits, or of a hexadecimal number, is never a name: whoever resolves it may read an address in it. */
function endsInNumber(host: string): boolean {
  const last = host.slice(host.lastIndexOf(".") + 1);
  return last.startsWith("0x") || (last !== "" && isOf(last, DIGITS));
}

function isOf(text: string, characters: ReadonlySet<string>): boolean {
  for (let at = 0; at < text.length; at++) if (!characters.has(text.charAt(at))) return false;
  return true;
}

/** malformed: it looks like an address and is none. */
export type Host =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "name" }
  | { readonly kind: "malformed" };

/**
 * What a host is; of an address, its usual form: `127.0.0.1` for `0x7f.1`, `2130706433` and `::ffff:7f00:1`, compressed
 * for IPv6 (RFC 5952). `host` is in lower case; IPv6 stands without brackets.
 */
export function readHost(host: string): Host {
  const isIPv6 = host.includes(":");
  if (!isIPv6 && !endsInNumber(host)) return { kind: "name" };
  // A zone (`fe80::1%eth0`) has no place here: it is one machine's word for its own interface.
  if (!isOf(host, isIPv6 ? OF_IPV6 : OF_NUMBERS)) return { kind: "malformed" };
  // It knows inet_aton's forms: https://url.spec.whatwg.org/#concept-ipv4-parser
  const meant = URL.parse(`http://${isIPv6 ? `[${host}]` : host}/`)?.hostname;
  if (meant === undefined) return { kind: "malformed" };
  return { kind: "address", address: isIPv6 ? usualIPv6(meant.slice(1, -1)) : meant };
}

/** One that holds an IPv4 address is that one. */
function usualIPv6(address: string): string {
  const groups = groupsOf(address);
  return startsWith(groups, [0, 0, 0, 0, 0, 0xffff]) ? embedded(groups, 6) : address;
}

/** The eight groups of an IPv6 address in its usual form. */
function groupsOf(usual: string): readonly number[] {
  const [head = "", tail] = usual.split("::");
  const numbers = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = numbers(head);
  if (tail === undefined) return before;
  const after = numbers(tail);
  return [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
}

/**
 * What one sender usually has all of: the /64 of an IPv6 address, an IPv4 address itself. `address` as a socket gives it,
 * with or without a zone.
 */
export function networkOf(address: string): string {
  const [plain = ""] = address.split("%", 1);
  if (!plain.includes(":") || plain.includes(".")) return address;
  return `${groupsOf(plain)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

function startsWith(groups: readonly number[], prefix: readonly number[]): boolean {
  return prefix.every((group, at) => groups[at] === group);
}

/** The IPv4 address in two groups. */
function embedded(groups: readonly number[], at: number): string {
  const high = groups[at] ?? 0;
  const low = groups[at + 1] ?? 0;
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
}

/**
 * What an address leads to that is no other machine's service: `a loopback address`, `a link-local address`, ...; null:
 * it is an ordinary one. `address` in its usual form.
 */
export function specialAddress(address: string): string | null {
  return address.includes(":") ? specialIPv6(groupsOf(address)) : specialIPv4(address);
}

function specialIPv4(address: string): string | null {
  const [first = 0, second = 0] = address.split(".").map(Number);
  if (first === 127) return "a loopback address";
  if (first === 0) return "an unspecified address";
  if (first === 169 && second === 254) return "a link-local address";
  if (first >= 224 && first < 240) return "a multicast address";
  return first >= 240 ? "a reserved address" : null;
}

/** Prefixes under which an IPv6 address holds an IPv4 one, and the group where that begins: RFC 6052, RFC 8215, RFC 3056, RFC 4291, RFC 2765. */
const EMBEDDING: readonly { readonly prefix: readonly number[]; readonly at: number }[] = [
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },
  { prefix: [0x64, 0xff9b, 1], at: 6 },
  { prefix: [0x2002], at: 1 },
  { prefix: [0, 0, 0, 0, 0, 0], at: 6 },
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },
];

function specialIPv6(groups: readonly number[]): string | null {
  const first = groups[0] ?? 0;
  if (startsWith(groups, [0, 0, 0, 0, 0, 0, 0, 1])) return "a loopback address";
  if (startsWith(groups, [0, 0, 0, 0, 0, 0, 0, 0])) return "an unspecified address";
  if ((first & 0xffc0) === 0xfe80) return "a link-local address";
  if (first >= 0xff00) return "a multicast address";
  const holder = EMBEDDING.find(({ prefix }) => startsWith(groups, prefix));
  return holder === undefined ? null : specialIPv4(embedded(groups, holder.at));
}
