/** What is said of commands, shells, files and forwards. */
import { describe, expect, test } from "bun:test";
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access, Unknown } from "../../src/core/operation.ts";
import {
  describeCommand,
  describeFile,
  describeForward,
  describeShell,
  describeSubsystem,
  type CommandContext,
} from "./describe.ts";

const CONTEXT: CommandContext = { login: "viewer", home: "/accounts/viewer", shell: "posix", hasPty: false };

const exec = (programs: readonly string[], argv: readonly string[], paths: readonly string[] | Unknown): Access => ({
  class: "execute",
  facts: { channels: ["exec"], logins: ["viewer"], programs, argv, paths },
});

/** What a command does to files, by its words. */
const doing = (
  kind: "read" | "write",
  programs: readonly string[],
  argv: readonly string[],
  paths: readonly string[] | Unknown,
): Access => ({ class: kind, facts: { channels: ["exec"], logins: ["viewer"], programs, argv, paths } });

const onFile = (kind: "read" | "write" | "transfer", path: string): Access => ({
  class: kind,
  facts: { channels: ["exec"], logins: ["viewer"], paths: [path] },
});

const OPAQUE: Access = {
  class: "execute",
  facts: { channels: ["exec"], logins: ["viewer"], programs: UNKNOWN, argv: UNKNOWN, paths: UNKNOWN },
  opaque: true,
};

describe("a command", () => {
  test("is its program, its words and its files", () => {
    expect(describeCommand("cat /var/log/./syslog 'a b'", CONTEXT)).toEqual({
      accesses: [
        exec(["cat"], ["cat", "/var/log/./syslog", "a b"], ["/var/log/syslog", "/accounts/viewer/a b"]),
        doing("read", ["cat"], ["cat", "/var/log/./syslog", "a b"], ["/var/log/syslog", "/accounts/viewer/a b"]),
      ],
      understood: true,
      notUnderstood: null,
      command: "cat /var/log/./syslog 'a b'",
      needsHome: false,
    });
  });

  test("has an access for each part of a line, and for each file it is redirected to", () => {
    const { accesses, command } = describeCommand("cat < in | sort > /tmp/out 2>&1; uptime", CONTEXT);
    expect(accesses).toEqual([
      exec(["cat"], ["cat"], []),
      onFile("read", "/accounts/viewer/in"),
      exec(["sort"], ["sort"], []),
      onFile("write", "/tmp/out"),
      exec(["uptime"], ["uptime"], []),
    ]);
    expect(command).toBe("cat < /accounts/viewer/in | sort > /tmp/out 2>&1; uptime");
  });

  test("touches what any version of its program may take for a file", () => {
    const pathsOf = (text: string) => describeCommand(text, CONTEXT).accesses[0]?.facts["paths"];
    // An option's value that may be left out is not the word behind it.
    expect(pathsOf("grep --color x /etc/shadow")).toEqual(["/etc/shadow"]);
    expect(pathsOf("grep --color=auto x /etc/shadow")).toEqual(["/etc/shadow"]);
    expect(pathsOf("ls --color /root")).toEqual(["/root"]);
    expect(pathsOf("df --output /srv")).toEqual(["/srv"]);
    expect(pathsOf("date --iso-8601 -f /etc/shadow")).toEqual(["/etc/shadow"]);
    for (const text of [
      "journalctl --boot --file=/tmp/x",
      "grep -C x /etc/shadow",
      "ls -w /root",
      "head -n --files /etc/shadow",
      // What it reads names further files.
      "strings @/etc/shadow",
      "strings -n @/etc/shadow",
      "sha256sum -c /tmp/sums",
      "diff /etc /tmp/etc",
      "rmdir -p /srv/a/b",
      "getent shadow",
      // It is meant from where the link is.
      "ln -s ../etc/shadow /tmp/x",
      "ln --symbolic etc/shadow /x",
      "cp . /tmp/x",
      // What was there is kept under another name.
      "cp -b /srv/a /srv/b",
      "mv -bf /srv/a /srv/b",
      "ln -b /srv/a /srv/b",
      "install -b /srv/a /srv/b",
      // In a folder that is nobody's choice.
      "mktemp",
      "mktemp -d",
      "mktemp -t x",
      "grep -C 5 /etc/shadow /srv/a",
      "docker compose up -d",
    ]) {
      expect([text, pathsOf(text)]).toEqual([text, UNKNOWN]);
    }
  });

  test("touches what its program makes of its words", () => {
    const pathsOf = (text: string) => describeCommand(text, CONTEXT).accesses[0]?.facts["paths"];
    // It is an option of its own, and has no value.
    expect(pathsOf("xxd -ps /etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("xxd -pl /etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("xxd -p -l 16 /etc/a")).toEqual(["/etc/a"]);
    // Where options end at the first operand, their values are operands.
    expect(pathsOf("head /tmp/x -n /etc/shadow")).toEqual(["/tmp/x", "/etc/shadow"]);
    expect(pathsOf("tail /tmp/x --lines /etc/shadow")).toEqual(["/tmp/x", "/etc/shadow"]);
    expect(pathsOf("cut /tmp/x -d /etc/shadow")).toEqual(["/tmp/x", "/etc/shadow"]);
    expect(pathsOf("install /tmp/a /tmp/b -o /etc")).toBe(UNKNOWN);
    expect(pathsOf("tail /tmp/x -n 100")).toEqual(["/tmp/x"]);
    expect(pathsOf("cut /tmp/x -f 1,3-4")).toEqual(["/tmp/x"]);
    // The word behind the option is the pattern to some.
    expect(pathsOf("grep --context x /etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("grep --max-count x /etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("egrep -C x /etc/shadow")).toBe(UNKNOWN);
    // It looks for a file that is packed.
    expect(pathsOf("zcat /srv/a")).toEqual(expect.arrayContaining(["/srv/a", "/srv/a.gz", "/srv/a.Z"]));
    expect(pathsOf("zgrep x /srv/a")).toEqual(expect.arrayContaining(["/srv/a", "/srv/a.gz"]));
    expect(pathsOf("gzip -dc /srv/a")).toEqual(expect.arrayContaining(["/srv/a", "/srv/a.gz"]));
    expect(pathsOf("zcat /srv/a.gz")).toEqual(["/srv/a.gz"]);
    // It makes another one beside it.
    expect(pathsOf("gunzip /srv/keys.gz")).toEqual(["/srv/keys.gz", "/srv/keys"]);
    // Some systems' gunzip unpacks what bzip2 has packed.
    expect(pathsOf("gunzip /srv/a.bz2")).toEqual(expect.arrayContaining(["/srv/a"]));
    expect(pathsOf("gunzip /srv/a.tgz")).toEqual(["/srv/a.tgz", "/srv/a.tar"]);
    expect(pathsOf("gzip /srv/a")).toEqual(["/srv/a", "/srv/a.gz"]);
    expect(pathsOf("xz -d /srv/a.xz")).toEqual(["/srv/a.xz", "/srv/a"]);
    expect(pathsOf("bzip2 -d /srv/a")).toEqual(["/srv/a", "/srv/a.out"]);
    expect(pathsOf("zstd /srv/a")).toEqual(["/srv/a", "/srv/a.zst"]);
    expect(pathsOf("zstd -dc /srv/a.zst")).toEqual(["/srv/a.zst"]);
    expect(pathsOf("sed -i.bak p /srv/a")).toEqual(["/srv/a", "/srv/a.bak"]);
    // To some, the word behind -i is a suffix, and the next one the script.
    expect(pathsOf("sed -i p /srv/w/etc/shadow /srv/a")).toBe(UNKNOWN);
    expect(pathsOf("sed -Ei p /srv/w/etc/shadow /srv/a")).toBe(UNKNOWN);
    expect(pathsOf("sed -i -e p /srv/a")).toEqual(["/srv/a"]);
    // It brings in other files.
    expect(pathsOf("jq 'import \"/etc/x\" as $x; .' /srv/a")).toBe(UNKNOWN);
    expect(pathsOf("jq -r .a /srv/a")).toEqual(["/srv/a"]);
    expect(pathsOf("jq --rawfile x /etc/shadow . /srv/a")).toBe(UNKNOWN);
  });

  test("names no file that is known where every Linux has a link to any other", () => {
    const pathsOf = (text: string) => describeCommand(text, CONTEXT).accesses.at(-1)?.facts["paths"];
    expect(pathsOf("cat /proc/self/root/etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("cat /proc/1/./cwd/x")).toBe(UNKNOWN);
    expect(pathsOf("cat /proc/thread-self/root")).toBe(UNKNOWN);
    expect(pathsOf("cat /dev/fd/3")).toBe(UNKNOWN);
    expect(pathsOf("cat < /proc/self/root/etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("scp -f /proc/self/root/etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("cd /proc/self/root && cat etc/shadow")).toBe(UNKNOWN);
    expect(pathsOf("cat /proc/meminfo /proc/1/status /srv/proc/1/root")).toEqual([
      "/proc/meminfo",
      "/proc/1/status",
      "/srv/proc/1/root",
    ]);
  });

  test("that puts a file somewhere may put it into a folder of that name", () => {
    const pathsOf = (text: string) => describeCommand(text, CONTEXT).accesses[0]?.facts["paths"];
    expect(pathsOf("cp /tmp/shadow /etc")).toEqual(["/tmp/shadow", "/etc", "/etc/shadow"]);
    expect(pathsOf("cp /tmp/a /tmp/b/ /srv")).toEqual(["/tmp/a", "/tmp/b", "/srv", "/srv/a", "/srv/b"]);
    expect(pathsOf("install -m 644 -t /etc /tmp/shadow")).toEqual(["/tmp/shadow", "/etc", "/etc/shadow"]);
    // A folder that is moved or linked takes along what is in it.
    const named = ["/srv/a", "/tmp", "/tmp/a"];
    const contents = ["/srv/a/**", "/tmp/**", "/tmp/a/**"];
    expect(pathsOf("mv /srv/a /tmp")).toEqual([...named, ...contents]);
    expect(pathsOf("ln -s /srv/a /tmp")).toEqual([...named, ...contents]);
    expect(pathsOf("mv -T /srv/a /tmp")).toEqual(["/srv/a", "/tmp", "/srv/a/**", "/tmp/**"]);
    expect(pathsOf("ln /srv/a")).toEqual(
      expect.arrayContaining(["/srv/a", "/accounts/viewer", "/accounts/viewer/a", "/srv/a/**"]),
    );
    expect(pathsOf("cp -T /tmp/shadow /etc")).toEqual(["/tmp/shadow", "/etc"]);
    expect(pathsOf("install -d /srv/a /srv/b")).toEqual(["/srv/a", "/srv/b"]);
  });

  test("says apart what it reads and what it writes, so that a rule about a class sees it", () => {
    const done = (text: string) =>
      describeCommand(text, CONTEXT)
        .accesses.slice(1)
        .map(({ class: kind, facts }) => [kind, facts["paths"]]);
    const [a, b] = [["/srv/a"], ["/srv/b"]];
    expect(done("cp /srv/a /etc/y")).toEqual([
      ["read", a],
      ["write", ["/etc/y", "/etc/y/a"]],
    ]);
    expect(done("cp -T /srv/a /srv/a")).toEqual([
      ["read", a],
      ["write", a],
    ]);
    expect(done("sudo -n tee -a /srv/a")).toEqual([["write", a]]);
    expect(done("sed p /srv/a")).toEqual([["read", a]]);
    expect(done("sed -i -e p /srv/a")).toEqual([
      ["read", a],
      ["write", a],
    ]);
    expect(done("gzip -c /srv/a")).toEqual([["read", a]]);
    expect(done("dd if=/srv/a of=/srv/b")).toEqual([
      ["read", a],
      ["write", b],
    ]);
    for (const text of ["uniq /srv/a /srv/b", "sort /srv/a -o /srv/b", "xxd /srv/a /srv/b", "cp -T /srv/a /srv/b"]) {
      expect([text, done(text)]).toEqual([
        text,
        [
          ["read", a],
          ["write", b],
        ],
      ]);
    }
    expect(done("sort -T /tmp /srv/a")).toEqual([
      ["read", a],
      ["write", ["/tmp", "/tmp/**"]],
    ]);
    // Which files is not known, what is done to them is.
    expect(done("rm -r /srv/a")).toEqual([["write", UNKNOWN]]);
    expect(done("grep -r x /srv")).toEqual([["read", UNKNOWN]]);
    expect(done("cp -r /srv/a /srv/b")).toEqual([
      ["read", UNKNOWN],
      ["write", UNKNOWN],
    ]);
    for (const text of ["uptime", "cat", "echo /srv/a", "/tmp/cp /srv/a /srv/b", "some-tool /srv/a"]) {
      expect([text, done(text)]).toEqual([text, []]);
    }
  });

  test("has its wrappers among its programs", () => {
    expect(describeCommand("sudo -n -u root nice systemctl restart line-4", CONTEXT).accesses).toEqual([
      exec(["sudo", "nice", "systemctl"], ["sudo", "-n", "-u", "root", "nice", "systemctl", "restart", "line-4"], []),
    ]);
  });

  test("of a transfer has its paths apart, and may touch what lies below them", () => {
    expect(describeCommand("rsync --server --sender -logDtpre.iLsfxCIvu . /srv/ data", CONTEXT).accesses).toEqual([
      exec(["rsync"], ["rsync", "--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "/srv/", "data"], UNKNOWN),
      onFile("transfer", "/srv"),
      onFile("read", "/srv"),
      onFile("transfer", "/accounts/viewer/data"),
      onFile("read", "/accounts/viewer/data"),
    ]);
  });

  test("of a transfer has the folders among its options, and says when it takes away what it reads", () => {
    const moved = (text: string) =>
      describeCommand(text, CONTEXT).accesses.flatMap(({ class: kind, facts }) =>
        kind === "transfer" || kind === "execute" ? [] : [[kind, facts["paths"]]],
      );
    expect(moved("rsync --server -logDtpre.iLsfxCIvu --link-dest ../prev --temp-dir=/tmp . /backup/new")).toEqual([
      ["write", ["/backup/new"]],
      ["read", ["/backup/prev"]],
      ["write", ["/tmp"]],
    ]);
    expect(moved("rsync --server -logDtpre.iLsfxCIvu --partial-dir .part . /x")).toEqual([["write", ["/x"]]]);
    // What was there is kept beside it, under a name that the client gives.
    expect(moved("rsync --server -blogDtpre.iLsfxCIvu --suffix=uthorized_keys . /srv/.ssh/a")).toEqual([
      ["write", ["/srv/.ssh/a"]],
      ["write", ["/srv/.ssh/authorized_keys"]],
    ]);
    expect(moved("rsync --server -logDtpre.iLsfxCIvu --backup . /srv/a")).toEqual([
      ["write", ["/srv/a"]],
      ["write", ["/srv/a~"]],
    ]);
    expect(moved("rsync --server --sender -logDtpre.iLsfxCIvu --remove-source-files . /srv/out")).toEqual([
      ["read", ["/srv/out"]],
      ["write", ["/srv/out"]],
    ]);
    // git finds a bare repository by half its name.
    expect(moved("git-upload-pack '/srv/app'")).toEqual([
      ["read", ["/srv/app"]],
      ["read", ["/srv/app.git"]],
    ]);
    expect(moved("git-upload-pack --strict /srv/app")).toEqual([["read", ["/srv/app"]]]);
    expect(moved("git upload-pack /srv/app.git")).toEqual([["read", ["/srv/app.git"]]]);
    expect(moved("git receive-pack /srv/app/")).toEqual([
      ["write", ["/srv/app"]],
      ["write", ["/srv/app.git"]],
    ]);
  });

  test("that cannot be read is opaque, beside what can", () => {
    const inner = exec(["x"], ["x"], UNKNOWN);
    expect(describeCommand("reboot; $(x)", CONTEXT)).toEqual({
      accesses: [OPAQUE, exec(["reboot"], ["reboot"], UNKNOWN), inner],
      understood: false,
      notUnderstood: "The command cannot be read because of an expansion ($).",
      command: "reboot; $(x)",
      needsHome: false,
    });
  });

  test("says what it plainly runs within loops, groups and substitutions too", () => {
    for (const text of [
      "for i in 1 2; do reboot; done",
      "a=$(reboot)",
      "(reboot)",
      "f() { reboot; }; f",
      "x <(reboot)",
    ]) {
      const { accesses } = describeCommand(text, CONTEXT);
      expect([text, accesses]).toEqual([text, expect.arrayContaining([exec(["reboot"], ["reboot"], UNKNOWN)])]);
      expect(accesses[0]).toEqual(OPAQUE);
    }
  });

  test("is opaque where the target's shell is not declared", () => {
    const { understood, accesses, command } = describeCommand("uptime", { ...CONTEXT, shell: null });
    expect(understood).toBe(false);
    expect(accesses).toEqual([OPAQUE, exec(["uptime"], ["uptime"], [])]);
    expect(command).toBe("uptime");
  });

  test("with a terminal is also an access to one", () => {
    const { accesses } = describeCommand("uptime", { ...CONTEXT, hasPty: true });
    expect(accesses[1]).toEqual({ class: "execute", facts: { channels: ["pty"], logins: ["viewer"] } });
  });

  test("asks for the home folder where it needs it, and only there", () => {
    const homeless = { ...CONTEXT, home: null };
    expect(describeCommand("cat notes", homeless)).toMatchObject({ needsHome: true, understood: true });
    expect(describeCommand("cat notes", homeless).accesses).toEqual([
      exec(["cat"], ["cat", "notes"], UNKNOWN),
      doing("read", ["cat"], ["cat", "notes"], UNKNOWN),
    ]);
    expect(describeCommand("cat ~/notes", homeless)).toMatchObject({ needsHome: true, understood: false });
    expect(describeCommand("cat /notes", homeless).needsHome).toBe(false);
    expect(describeCommand("cat ~/notes", CONTEXT)).toMatchObject({ command: "cat '/accounts/viewer/notes'" });
  });

  test("runs where a cd before it surely led, or nobody knows where", () => {
    const pathsOf = (text: string) => describeCommand(text, CONTEXT).accesses.at(-1)?.facts["paths"];
    expect(pathsOf("cd /srv && cat a")).toEqual(["/srv/a"]);
    expect(pathsOf("cd /srv && uptime && cat a")).toEqual(["/srv/a"]);
    expect(pathsOf("cd && cat a")).toEqual(["/accounts/viewer/a"]);
    for (const text of ["cd /srv; cat a", "cd /srv || cat a", "cd x && cat a", "true || cd /srv && cat a"]) {
      expect([text, pathsOf(text)]).toEqual([text, UNKNOWN]);
    }
  });
});

test("a shell is opaque, and a terminal an access beside it", () => {
  const { accesses, understood } = describeShell("viewer", true);
  expect(understood).toBe(false);
  expect(accesses).toEqual([
    { ...OPAQUE, facts: { ...OPAQUE.facts, channels: ["shell"] } },
    { class: "execute", facts: { channels: ["pty"], logins: ["viewer"] } },
  ]);
});

test("sftp itself belongs to every session, another subsystem runs a program", () => {
  expect(describeSubsystem("viewer", "sftp").accesses).toEqual([
    { class: "read", facts: { channels: ["sftp"], logins: ["viewer"] }, ambient: true },
  ]);
  expect(describeSubsystem("viewer", "netconf").accesses).toEqual([
    { class: "execute", facts: { channels: ["subsystem"], logins: ["viewer"], programs: ["netconf"] } },
  ]);
});

test("a file operation is read, written or transferred", () => {
  const facts = { channels: ["sftp"], logins: ["viewer"], paths: ["/a"] };
  expect(describeFile("viewer", { verb: "open-write", paths: ["/a"] }).accesses).toEqual([
    { class: "write", facts },
    { class: "transfer", facts },
  ]);
  expect(describeFile("viewer", { verb: "stat", paths: ["/a"] }).accesses).toEqual([{ class: "read", facts }]);
});

test("a forward leads somewhere, or to the client", () => {
  const facts = { channels: ["direct-tcpip"], logins: ["viewer"] };
  expect(describeForward("viewer", "direct-tcpip", "db:5432").accesses).toEqual([
    { class: "forward", facts: { ...facts, forwards: ["db:5432"] } },
  ]);
  expect(describeForward("viewer", "x11", null).accesses).toEqual([
    { class: "forward", facts: { ...facts, channels: ["x11"] } },
  ]);
});
