/** Where forwards lead and listen, as policy judges it: each place in one form, however the client has written it. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import { readHost, specialAddress } from "../../../src/core/ip-address.ts";

/** RFC 1035, section 2.3.4. */
const HOST_CHARS_MAX = 253;
const LABEL_CHARS_MAX = 63;
/** Room for a socket's path on every system (`sun_path` of Linux holds 107). */
const PATH_BYTES_MAX = 107;
const PORT_MAX = 65_535;
/** What of a client's text is repeated in a refusal. */
const SHOWN_CHARS_MAX = 100;

const OF_NAMES = new Set("abcdefghijklmnopqrstuvwxyz0123456789-_.");
/** As the hosts files of Linux distributions, BSD and macOS have them. */
const LOOPBACK_NAMES = new Set(
  (
    "localhost localhost.localdomain localhost4 localhost4.localdomain4 localhost6 localhost6.localdomain6 " +
    "ip6-localhost ip6-loopback loopback"
  ).split(" "),
);

/** A host and a port. */
export type Place = {
  /** What the target is told: a name in lower case, or an address in its usual form without brackets. */
  readonly host: string;
  readonly port: number;
  /** The name as the client wrote it, without the dot at its end: what follows a target's name in it is the target's own affair. */
  readonly written: string;
  /** What policy judges: `host:port`, with brackets around IPv6. */
  readonly fact: string;
};

/** Where a connection is to lead (RFC 4254, section 7.2). What leads back to the target itself is refused. */
export function readDestination(hostAsked: string, port: number): Place | Refusal {
  const place = readPlace(hostAsked, port, 1);
  if ("code" in place) return place;
  const read = readHost(place.host);
  const special = read.kind === "address" ? specialAddress(read.address) : loopbackName(place.host);
  return special === null ? place : leadsNowhere(place.fact, special);
}

/** Where the target is to listen (RFC 4254, section 7.1): `*` for every address; port 0 for any that is free. */
export function readBind(hostAsked: string, port: number): Place | Refusal {
  if (hostAsked !== "" && hostAsked !== "*") return readPlace(hostAsked, port, 0);
  const place = readPlace("0.0.0.0", port, 0);
  return "code" in place ? place : { host: "", port, written: "", fact: `*:${port}` };
}

/** The path of a Unix socket, absolute; empty and `.` segments are left out. */
export function readSocketPath(asked: string): string | Refusal {
  const problem = pathProblem(asked);
  if (problem !== null) return malformed(`the socket's path ${problem}`, asked);
  const segments = asked.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.length === 0) return malformed("the socket's path names no socket", asked);
  return `/${segments.join("/")}`;
}

/** A forward that may not be made, because of where it leads; `what` says that in words. */
export function leadsNowhere(fact: string, what: string): Refusal {
  return refusal("denied", `${shown(fact)} leads to ${what}, where no forward may go`, {
    hint: "Forward to a target of the gateway by its name; other hosts by a name or an address of their own.",
  });
}

function readPlace(hostAsked: string, port: number, portMin: number): Place | Refusal {
  if (!Number.isInteger(port) || port < portMin || port > PORT_MAX) {
    return malformed(`there is no port ${port}`, hostAsked);
  }
  const written = hostAsked.endsWith(".") ? hostAsked.slice(0, -1) : hostAsked;
  const bare = written.toLowerCase();
  const read = readHost(bare);
  if (read.kind === "address") {
    const { address } = read;
    const fact = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
    return { host: address, port, written: address, fact };
  }
  if (read.kind === "name" && isName(bare)) return { host: bare, port, written, fact: `${bare}:${port}` };
  return malformed("this is neither a host's name nor an address", hostAsked);
}

function isName(host: string): boolean {
  if (host.length > HOST_CHARS_MAX) return false;
  for (let at = 0; at < host.length; at++) if (!OF_NAMES.has(host.charAt(at))) return false;
  return host.split(".").every((label) => label !== "" && label.length <= LABEL_CHARS_MAX && !label.startsWith("-"));
}

function loopbackName(host: string): string | null {
  return LOOPBACK_NAMES.has(host) || host.endsWith(".localhost") ? "a loopback address" : null;
}

function pathProblem(path: string): string | null {
  if (!path.startsWith("/")) return "is not absolute";
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return `has more than ${PATH_BYTES_MAX} bytes`;
  if (path.endsWith("/")) return "names a folder";
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) return "has a `..` in it";
  // Its links lead to any other path (`/proc/self/root/run/app.sock`).
  if (segments[0] === "proc") return "is in /proc";
  if (segments[0] === "dev" && segments[1] === "fd") return "is in /dev/fd";
  for (const char of path) if (char < " " || char === "\u007f") return "has a control character in it";
  return null;
}

function malformed(why: string, asked: string): Refusal {
  return refusal("not_understood", `${why}: "${shown(asked)}"`);
}

/** A client's text, fit for a line. */
function shown(text: string): string {
  let line = "";
  for (const char of text.slice(0, SHOWN_CHARS_MAX)) line += char < " " || char === "\u007f" ? "?" : char;
  return line.length < text.length ? `${line}...` : line;
}
