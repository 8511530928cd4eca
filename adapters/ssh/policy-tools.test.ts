/** What cases of policy tests say of SSH, and what is pulled of a target. */
import { describe, expect, test } from "bun:test";
import { isRefusal } from "../../src/core/decision.ts";
import type { CatalogTarget, DescribedText } from "../../src/core/policy-tools.ts";
import type { Facts } from "../../src/core/operation.ts";
import { sshPolicyTools } from "./policy-tools.ts";

function catalog(detail: unknown): CatalogTarget {
  return { name: "box", adapter: "ssh", labels: {}, names: {}, unlisted: {}, detail, digest: "" };
}

async function read(key: string, value: unknown, detail: unknown = null): Promise<readonly DescribedText[] | string> {
  const described = await sshPolicyTools.describe(key, value, catalog(detail), { place: "viewer" });
  return isRefusal(described) ? described.message : described;
}

const facts = (channel: string, more: Facts = {}): Facts => ({ channels: [channel], logins: ["viewer"], ...more });

describe("a case", () => {
  test("has commands, one or several, with a terminal or without", async () => {
    const uptime = {
      class: "execute",
      facts: facts("exec", { programs: ["uptime"], argv: ["uptime"], paths: [] }),
    } as const;
    expect(await read("exec", "uptime")).toEqual([
      { text: "uptime", accesses: [uptime], understood: true, notUnderstood: null },
    ]);
    expect(await read("exec", ["uptime", "uptime"])).toHaveLength(2);
    expect(await read("exec", { command: "uptime", pty: true })).toMatchObject([
      { accesses: [uptime, { class: "execute", facts: facts("pty") }] },
    ]);
  });

  test("is read as the target's shell allows", async () => {
    expect(await read("exec", "uptime", { login: "root", shell: null })).toMatchObject([{ understood: false }]);
    expect(await read("exec", "uptime", { login: "root", shell: "posix" })).toMatchObject([{ understood: true }]);
  });

  test("has file operations by sftp's words or their own", async () => {
    const paths = { paths: ["/srv/a"] };
    expect(await read("sftp", "get /srv/x/../a")).toMatchObject([
      {
        text: "get /srv/a",
        accesses: [
          { class: "read", facts: facts("sftp", paths) },
          { class: "transfer", facts: facts("sftp", paths) },
        ],
      },
    ]);
    expect(await read("sftp", { verb: "remove", path: "/srv/a" })).toMatchObject([
      { accesses: [{ class: "write", facts: facts("sftp", paths) }] },
    ]);
    expect(await read("sftp", { verb: "rename", paths: ["/srv/a", "/b"] })).toMatchObject([
      { accesses: [{ class: "write", facts: facts("sftp", { paths: ["/srv/a", "/b"] }) }] },
    ]);
  });

  test("has shells and forwards", async () => {
    expect(await read("shell", "plain")).toMatchObject([{ understood: false, accesses: [{ opaque: true }] }]);
    expect(await read("shell", "pty")).toMatchObject([{ accesses: [{ opaque: true }, { facts: facts("pty") }] }]);
    expect(await read("forward", "db:5432")).toMatchObject([
      { accesses: [{ class: "forward", facts: facts("direct-tcpip", { forwards: ["db:5432"] }) }] },
    ]);
  });

  test.each([
    ["exec", 1, "exec is a command, or { command: TEXT, pty: true }"],
    ["exec", [], "exec is one or a list of at most 100"],
    ["exec", { command: "a", pty: "yes" }, "exec is a command, or { command: TEXT, pty: true }"],
    ["exec", "x".repeat(9_000), "a command in a test has at most 8192 characters"],
    ["sftp", "get", "sftp get has one path"],
    ["sftp", "get a", "paths of sftp are absolute"],
    ["sftp", "rename /a", "sftp rename has two paths"],
    ["sftp", "steal /a", "sftp knows no steal"],
    ["sftp", { path: "/a" }, "sftp is VERB PATH, such as get /path, or { verb: VERB, path: PATH }"],
    ["shell", "x", "shell is pty or plain"],
    ["forward", "db", "forward is HOST:PORT"],
    ["forward", "db:99999", "forward is HOST:PORT"],
    ["sql", "x", "sql cannot be read for targets of ssh"],
  ])("says of %s %j that %s", async (key, value, message) => {
    expect(await read(key, value)).toBe(message);
  });

  test("needs an account, its own or the target's", async () => {
    const ask = async (detail: unknown, place: string | null) => {
      const described = await sshPolicyTools.describe("exec", "uptime", catalog(detail), { place });
      return isRefusal(described) ? described.message : described[0]?.accesses[0].facts["logins"];
    };
    expect(await ask(null, null)).toBe("it is not known which account exec is for");
    expect(await ask({ login: "ops", shell: "posix" }, null)).toEqual(["ops"]);
    expect(await ask({ login: "ops", shell: "posix" }, "root")).toEqual(["root"]);
  });
});

test("a session is opened for its account", () => {
  expect(sshPolicyTools.connect(catalog(null), { place: "viewer" })).toEqual({
    class: "connect",
    facts: { logins: ["viewer"] },
    ambient: true,
  });
  expect(sshPolicyTools.connect(null, { place: null }).facts).toEqual({});
});
