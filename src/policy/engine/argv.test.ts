/** Patterns of commands: word for word, narrow where they permit and wide where they guard. */
import { expect, test } from "bun:test";
import { ArgvList } from "./argv.ts";
import type { WrittenWord } from "./argv.ts";

const STATUS: WrittenWord[] = ["systemctl", ["status", "is-active"], "mcp-*"];
const LOGS: WrittenWord[] = ["journalctl", "-u", "mcp-*", "-n", "*", "--no-pager"];

test.each<[string, WrittenWord[], string, boolean, boolean]>([
  ["the words as they are", ["df", "-h"], "df -h", true, true],
  ["not fewer", ["df", "-h"], "df", false, false],
  ["not more", ["df", "-h"], "df -h /", false, false],
  ["one of several", STATUS, "systemctl is-active mcp-a", true, true],
  ["none of several", STATUS, "systemctl stop mcp-a", false, false],
  ["a glob", LOGS, "journalctl -u mcp-a -n 100 --no-pager", true, true],
  ["no option in place of a word", LOGS, "journalctl -u mcp-a -n -f --no-pager", false, false],
  ["no word in place of an option", LOGS, "journalctl -u mcp-a -n 100 pager", false, false],
  ["an option where its hyphen is written out", ["rsync", "-*"], "rsync -e.LsfxC", true, true],
  ["no option for two stars", ["ls", "**"], "ls -l", false, false],
  ["an option among several words", ["ls", ["-l", "*"]], "ls -l", true, true],
  ["a path, but not what lies below it", ["cat", "/var/log/*"], "cat /var/log/a.log", true, true],
  ["below it, a guard alone", ["cat", "/var/log/*"], "cat /var/log/../../etc/shadow", false, true],
  ["below it for both, with two stars", ["cat", "/var/log/**"], "cat /var/log/a/b", true, true],
  ["no glob across words", ["sh", "a*c"], "sh a b c", false, false],
])("%s: %p and %p, permitted %p, guarded %p", (_, pattern, command, isPermitted, isGuarded) => {
  const list = new ArgvList([["other"], pattern]);
  expect([list.hasEvery(command.split(" ")), list.hasAny(command.split(" "))]).toEqual([isPermitted, isGuarded]);
});

test("a word may be empty or hold spaces, and is one word", () => {
  const list = new ArgvList([["echo", "*"]]);
  expect(list.hasEvery(["echo", ""])).toBe(true);
  expect(list.hasEvery(["echo", "a b"])).toBe(true);
});

test("no command at all matches nothing", () => {
  const list = new ArgvList([["*"], []]);
  expect(list.hasEvery([])).toBe(false);
  expect(list.hasAny([])).toBe(false);
});

test("shows its patterns", () => {
  expect(new ArgvList([STATUS, ["df", "-h"]]).texts).toEqual(["df -h", "systemctl {status,is-active} mcp-*"]);
});
