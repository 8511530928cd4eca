/** weir.yaml: what is read, and every kind of mistake with its exact place. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import * as v from "valibot";
import { loadConfig, parseConfig } from "./load.ts";
import type { Loaded } from "./load.ts";
import { formatProblem } from "./problem.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const section = v.strictObject({
  host: v.string(),
  port: v.optional(v.number(), 5432),
  database: v.string(),
  user: v.string(),
  password: v.optional(v.string()),
  readOnly: v.optional(v.boolean(), false),
  tls: v.optional(v.picklist(["disable", "require", "verify-ca", "verify-full"]), "verify-full"),
});

const masking = v.strictObject({ mode: v.picklist(["guarded", "inline"]), user: v.optional(v.string()) });
const postgres = {
  section,
  masking,
  settings: v.pipe(
    v.strictObject({ postgres: section, masking: v.optional(masking) }),
    v.forward(
      v.check(({ postgres: { user }, masking: given }) => given?.user !== user, "needs a login of its own"),
      ["masking", "user"],
    ),
    v.transform((given) => (given.masking === undefined ? given.postgres : { ...given.postgres, ...given })),
  ),
};

function parse(text: string, env: Record<string, string> = {}): Loaded {
  return parseConfig(text, join(folder, "weir.yaml"), { adapters: { postgres }, env });
}

/** The problems as lines, without the folder. */
function problems(text: string, env: Record<string, string> = {}): string[] {
  return parse(text, env).problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ""));
}

const TARGET = "targets: { db: { postgres: { host: h, database: d, user: u } } }\n";
const LISTEN = "listen: { postgres: {} }\n";
const GOOD = `name: gw\n${LISTEN}${TARGET}`;

describe("masking of a target", () => {
  const withMasking = (masking: string): string =>
    `name: gw\n${LISTEN}targets:\n  db:\n    postgres: { host: h, database: d, user: u }\n    masking: ${masking}\n`;

  test("becomes part of its settings", () => {
    const { config, problems: found } = parse(withMasking("{ mode: guarded, user: { env: GOVERNED } }"), {
      GOVERNED: "g",
    });
    expect(found).toEqual([]);
    expect(config?.targets).toMatchObject([{ name: "db", settings: { masking: { mode: "guarded", user: "g" } } }]);
  });

  test.each([
    ["{ mode: guarded, user: u }", "weir.yaml:6:37 error BAD_VALUE targets.db.masking.user: needs a login of its own"],
    [
      "{ mode: guardd }",
      'weir.yaml:6:22 error BAD_VALUE targets.db.masking.mode: "guardd" is not one of guarded, inline; did you mean "guarded"?',
    ],
    ["{ mod: guarded }", 'weir.yaml:6:16 error UNKNOWN_KEY there is no key "mod" here; did you mean "mode"?'],
    ["{ user: x }", 'weir.yaml:6:5 error MISSING_KEY "mode" is missing in targets.db.masking'],
    ["[]", "weir.yaml:6:14 error WRONG_TYPE targets.db.masking: expected a map, found a list"],
  ])("%s has its problem at its place", (masking, expected) => {
    expect(problems(withMasking(masking))).toContain(expected);
    expect(parse(withMasking(masking)).config).toBeNull();
  });

  test("what came from elsewhere is not repeated", () => {
    const found = problems(withMasking("{ mode: { env: MODE } }"), { MODE: "secret-mode" });
    expect(found.join()).toContain("targets.db.masking.mode");
    expect(found.join()).not.toContain("secret-mode");
  });
});

describe("a good file", () => {
  test("gets the documented defaults", () => {
    const { config, problems: found } = parse(GOOD);
    expect(found).toEqual([]);
    expect(config).toEqual({
      name: "gw",
      file: join(folder, "weir.yaml"),
      digest: new Bun.CryptoHasher("sha256").update(GOOD).digest("hex"),
      data: join(folder, "data"),
      policies: join(folder, "policies"),
      listeners: [{ adapter: "postgres", host: "127.0.0.1", port: 6432, tls: "auto" }],
      keys: [],
      targets: [
        {
          name: "db",
          adapter: "postgres",
          labels: {},
          settings: { host: "h", port: 5432, database: "d", user: "u", readOnly: false, tls: "verify-full" },
        },
      ],
      limits: {
        sessionsMax: 2000,
        sessionsPerSubjectMax: 200,
        loginTimeMs: 10_000,
        statementBytesMax: 262_144,
        drainTimeMs: 30_000,
      },
      audit: {
        durability: "strict",
        seal: null,
        witnesses: [],
        witnessLagMsMax: null,
        cosign: null,
        stamps: null,
        retentionMs: null,
        ship: { libsql: null, s3: null },
        streams: { syslog: null, otlp: null },
      },
    });
  });

  test("may say everything", () => {
    const { config } = parse(`name: gw-1.example.com
data: /var/lib/weir
policies: rules
listen: { postgres: { host: "::1", port: 0, tls: "off" } }
targets:
  db: { postgres: { host: h, database: d, user: u }, labels: { env: prod } }
limits: { sessionsMax: 5, sessionsPerSubjectMax: 2, loginTime: 1s, statementBytesMax: 1MiB, drainTime: 0s }
audit: { durability: relaxed, witnesses: [] }
identity: { oidc: [], saml: [], keys: [] }
`);
    expect(config?.data).toBe("/var/lib/weir");
    expect(config?.policies).toBe(join(folder, "rules"));
    expect(config?.listeners).toEqual([{ adapter: "postgres", host: "::1", port: 0, tls: "off" }]);
    expect(config?.targets[0]?.labels).toEqual({ env: "prod" });
    expect(config?.limits).toEqual({
      sessionsMax: 5,
      sessionsPerSubjectMax: 2,
      loginTimeMs: 1000,
      statementBytesMax: 1_048_576,
      drainTimeMs: 0,
    });
    expect(config?.audit.durability).toBe("relaxed");
  });
});

describe("mistakes", () => {
  const table: readonly [name: string, text: string, expected: readonly string[]][] = [
    [
      "an unknown key",
      `${GOOD}lisen: 1\n`,
      ['weir.yaml:4:1 error UNKNOWN_KEY there is no key "lisen" here; did you mean "listen"?'],
    ],
    [
      "several unknown keys of one map",
      "name: gw\nlisten: { postgres: { prt: 1, hsot: 2 } }\n" + TARGET,
      [
        'weir.yaml:2:23 error UNKNOWN_KEY there is no key "prt" here; did you mean "port"?',
        'weir.yaml:2:31 error UNKNOWN_KEY there is no key "hsot" here; did you mean "host"?',
      ],
    ],
    [
      "an unknown key that is like no other",
      `name: gw\n${LISTEN}${TARGET}audit: { colour: red }\n`,
      [
        'weir.yaml:4:10 error UNKNOWN_KEY there is no key "colour" here; there is durability, seal, witnesses, witnessLagSecondsMax, cosign, stamps, retention, ship, streams',
      ],
    ],
    [
      "an unknown key in a target",
      `name: gw\n${LISTEN}targets:\n  db:\n    postgres: { host: h, database: d, user: u, pasword: x }\n`,
      ['weir.yaml:5:48 error UNKNOWN_KEY there is no key "pasword" here; did you mean "password"?'],
    ],
    ["a missing key", LISTEN + TARGET, ['weir.yaml:1:1 error MISSING_KEY "name" is missing']],
    [
      "a missing key of a target",
      `name: gw\n${LISTEN}targets:\n  db:\n    postgres: { host: h, database: d }\n`,
      ['weir.yaml:5:5 error MISSING_KEY "user" is missing in targets.db.postgres'],
    ],
    [
      "a wrong type",
      GOOD.replace("name: gw", "name: 7"),
      ["weir.yaml:1:7 error WRONG_TYPE name: expected text, found a number (quote it to make it text)"],
    ],
    [
      "a map for text",
      GOOD.replace("name: gw", "name: { a: b }"),
      ["weir.yaml:1:7 error WRONG_TYPE name: expected text, found a map"],
    ],
    [
      "a list for a map",
      `name: gw\nlisten: []\n${TARGET}`,
      ["weir.yaml:2:9 error WRONG_TYPE listen: expected a map, found a list"],
    ],
    [
      "lists where nothing but a map would do",
      `name: gw\n${LISTEN}targets:\n  db: { postgres: { host: h, database: d, user: u }, labels: [prod] }\nlimits: []\n`,
      [
        "weir.yaml:4:62 error WRONG_TYPE targets.db.labels: expected a map, found a list",
        "weir.yaml:5:9 error WRONG_TYPE limits: expected a map, found a list",
      ],
    ],
    [
      "nothing for a map",
      `name: gw\nlisten:\n${TARGET}`,
      ["weir.yaml:2:8 error WRONG_TYPE listen: expected a map, found nothing"],
    ],
    [
      "text for a number",
      GOOD.replace("{} }\n", '{ port: "6432" } }\n'),
      ["weir.yaml:2:29 error WRONG_TYPE listen.postgres.port: expected a number, found text"],
    ],
    [
      "a port too high",
      GOOD.replace("{} }\n", "{ port: 70000 } }\n"),
      ["weir.yaml:2:29 error BAD_VALUE listen.postgres.port: a port is at most 65535"],
    ],
    [
      "a word that is none of the choices",
      `${GOOD}audit: { durability: strickt }\n`,
      [
        'weir.yaml:4:22 error BAD_VALUE audit.durability: "strickt" is not one of strict, release, relaxed; did you mean "strict"?',
      ],
    ],
    [
      "a word where a map or a word is wanted",
      GOOD.replace("{} }\n", "{ tls: no-tls } }\n"),
      ['weir.yaml:2:28 error BAD_VALUE listen.postgres.tls: "no-tls" is not known; there is auto, off'],
    ],
    [
      "half a certificate",
      GOOD.replace("{} }\n", "{ tls: { cert: x } } }\n"),
      [
        'weir.yaml:2:23 error MISSING_KEY "key" is missing in listen.postgres.tls',
        "weir.yaml:2:36 error BAD_VALUE listen.postgres.tls.cert: expected PEM text; to read it from a file write { file: PATH }",
      ],
    ],
    [
      "a duration without a unit",
      `${GOOD}limits: { loginTime: 10 }\n`,
      [
        "weir.yaml:4:22 error WRONG_TYPE limits.loginTime: a duration is a whole number with a unit, ms, s, m, h or d, such as 10s",
      ],
    ],
    [
      "a duration out of range, and a size in the wrong unit",
      `${GOOD}limits: { loginTime: 11m, statementBytesMax: 1MB }\n`,
      [
        "weir.yaml:4:22 error BAD_VALUE limits.loginTime: must be from 1s to 10m",
        "weir.yaml:4:46 error BAD_VALUE limits.statementBytesMax: a size is a whole number with a unit, B, KiB, MiB or GiB, such as 256KiB",
      ],
    ],
    [
      "a target's name",
      `name: gw\n${LISTEN}targets:\n  Orders: { postgres: { host: h, database: d, user: u } }\n`,
      ['weir.yaml:4:3 error BAD_VALUE targets.Orders: a name is made of a-z, 0-9 and "-", at most 63 characters'],
    ],
    [
      "a target without a protocol",
      `name: gw\n${LISTEN}targets:\n  db: { labels: { env: prod } }\n`,
      ["weir.yaml:4:7 error BAD_VALUE targets.db: says no protocol; add one of mcp, http, postgres"],
    ],
    [
      "a target with two protocols",
      `name: gw\n${LISTEN}targets:\n  db: { postgres: { host: h, database: d, user: u }, mcp: { url: "https://x" } }\n`,
      [
        "weir.yaml:4:7 error BAD_VALUE targets.db: says mcp and postgres; a target speaks one protocol, make it two targets",
      ],
    ],
    [
      "no listener",
      `name: gw\nlisten: {}\n${TARGET}`,
      ["weir.yaml:2:1 error MISSING_KEY listen has no postgres and no ssh; weir would serve nobody"],
    ],
    [
      "a duplicate key",
      `${GOOD}name: other\n`,
      ["weir.yaml:4:1 error SYNTAX this key stands here twice; keep one of the two"],
    ],
    [
      "a key that is there as text and as a number",
      `${GOOD}identity: { "1": a, 1: b }\n`,
      ['weir.yaml:4:21 error SYNTAX the key "1" stands here twice; keep one of the two'],
    ],
    [
      "an anchor",
      GOOD.replace("name: gw", "name: &n gw"),
      ["weir.yaml:1:10 error SYNTAX anchors are not allowed; write the value out"],
    ],
    [
      "an alias",
      "name: gw\nlisten: &l { postgres: {} }\ntargets: *l\n",
      [
        "weir.yaml:2:12 error SYNTAX anchors are not allowed; write the value out",
        "weir.yaml:3:10 error SYNTAX aliases are not allowed; write the value out",
      ],
    ],
    [
      "a tag",
      GOOD.replace("name: gw", "name: !!str gw"),
      [
        "weir.yaml:1:13 error SYNTAX tags such as tag:yaml.org,2002:str are not allowed; quote the value to make it text",
      ],
    ],
    ["a merge key", `${GOOD}<<: { a: 1 }\n`, ['weir.yaml:4:1 error SYNTAX "<<" cannot be a key']],
    [
      "a key that objects have by themselves",
      `name: gw\n${LISTEN}targets:\n  constructor: {}\n`,
      ['weir.yaml:4:3 error SYNTAX "constructor" cannot be a key'],
    ],
    [
      "two documents",
      `${GOOD}---\nname: b\n`,
      ["weir.yaml:4:1 error SYNTAX Source contains multiple documents; please use YAML.parseAllDocuments()"],
    ],
    ["an empty file", "", ["weir.yaml:1:1 error WRONG_TYPE the file: expected a map, found nothing"]],
  ];
  for (const [name, text, expected] of table) {
    test(name, () => {
      expect(problems(text)).toEqual([...expected]);
      expect(parse(text).config).toBeNull();
    });
  }

  test("are all told at once, in the order of the file", () => {
    const found = parse(
      "nam: gw\nlisten: { postgres: { port: x } }\ntargets: { A: {} }\naudit: { durability: no }\n",
    ).problems;
    expect(found.map(({ line, column, code }) => [line, column, code])).toEqual([
      [1, 1, "UNKNOWN_KEY"],
      [1, 1, "MISSING_KEY"],
      [2, 29, "WRONG_TYPE"],
      [3, 12, "BAD_VALUE"],
      [3, 15, "BAD_VALUE"],
      [4, 22, "BAD_VALUE"],
    ]);
  });
});

describe("references", () => {
  const withPassword = (password: string): string =>
    `name: gw\n${LISTEN}targets:\n  db: { postgres: { host: h, database: d, user: u, password: ${password} } }\n`;

  test("take values from the environment and from files beside the configuration", () => {
    writeFileSync(join(folder, "password"), "s3cret\n");
    expect(parse(withPassword("{ env: PW }"), { PW: "12345" }).config?.targets[0]?.settings).toMatchObject({
      password: "12345",
    });
    expect(parse(withPassword("{ file: password }")).config?.targets[0]?.settings).toMatchObject({
      password: "s3cret",
    });
  });

  test("become numbers and flags where those are wanted", () => {
    const text = `name: gw\nlisten: { postgres: { port: { env: PORT } } }\ntargets:\n  db: { postgres: { host: h, database: d, user: u, readOnly: { env: RO } } }\n`;
    const { config } = parse(text, { PORT: "6000", RO: "true" });
    expect(config?.listeners[0]?.port).toBe(6000);
    expect(config?.targets[0]?.settings).toMatchObject({ readOnly: true });
  });

  test("are not taken for labels whose key is env", () => {
    const text = `name: gw\n${LISTEN}targets:\n  db: { postgres: { host: h, database: d, user: u }, labels: { env: { env: STAGE } } }\n`;
    expect(parse(text, { STAGE: "prod" }).config?.targets[0]?.labels).toEqual({ env: "prod" });
  });

  const table: readonly [name: string, text: string, env: Record<string, string>, expected: string][] = [
    [
      "a variable that is not set",
      withPassword("{ env: PW }"),
      {},
      "weir.yaml:4:62 error MISSING_ENV the environment variable PW is not set; set it before starting weir",
    ],
    [
      "an empty variable",
      withPassword("{ env: PW }"),
      { PW: "" },
      "weir.yaml:4:62 error MISSING_ENV the environment variable PW is empty",
    ],
    [
      "a file that is not there",
      withPassword("{ file: nowhere }"),
      {},
      "weir.yaml:4:62 error UNREADABLE nowhere cannot be read: there is no such file",
    ],
    ["a folder", withPassword("{ file: . }"), {}, `weir.yaml:4:62 error UNREADABLE ${folder} is not a file`],
    [
      "text where a number is wanted, without repeating it",
      "name: gw\nlisten: { postgres: { port: { env: PORT } } }\n" + TARGET,
      { PORT: "s3cret" },
      "weir.yaml:2:29 error WRONG_TYPE listen.postgres.port: expected a number, found text from a reference",
    ],
    [
      "text that is none of the choices, without repeating it",
      `${GOOD}audit: { durability: { env: D } }\n`,
      { D: "s3cret" },
      "weir.yaml:4:22 error BAD_VALUE audit.durability: what the reference holds is not one of strict, release, relaxed",
    ],
  ];
  for (const [name, text, env, expected] of table) {
    test(name, () => expect(problems(text, env)).toEqual([expected]));
  }

  test("a missing one is told once, beside the other problems", () => {
    const text = "name: gw\nlisten: { postgres: { port: { env: PORT }, prt: 1 } }\n" + TARGET;
    expect(parse(text).problems.map((problem) => problem.code)).toEqual(["MISSING_ENV", "UNKNOWN_KEY"]);
  });
});

describe("who recordings are sealed to", () => {
  const recipient = "age1zpcng3tc8k0lzg2wecmah89ld40986yq3n0l0nfc8qdjgz0pcsksasr4st";

  test("are age recipients", () => {
    const { config, problems: found } = parse(`${GOOD}audit: { seal: { recipients: [${recipient}] } }\n`);
    expect(found).toEqual([]);
    expect(config?.audit.seal).toEqual({ recipients: [recipient] });
  });

  test.each([
    [`[${recipient.replace("zp", "pz")}]`, 0],
    ["[AGE-SECRET-KEY-1QQQ]", 0],
    [`[${recipient}, age1x]`, 1],
  ])("%s", (recipients, at) => {
    const [problem] = problems(`${GOOD}audit: { seal: { recipients: ${recipients} } }\n`);
    expect(problem).toContain(`error BAD_VALUE audit.seal.recipients.${at}: `);
    expect(problem).toContain("an age recipient is age1 and 58 characters, as age-keygen prints it");
    expect(problem).not.toContain("SECRET");
  });

  test("are not nobody", () => {
    expect(problems(`${GOOD}audit: { seal: { recipients: [] } }\n`)[0]).toContain("needs at least one recipient");
  });
});

test("a lag of witnesses is refused where there are none", () => {
  expect(problems(`${GOOD}audit: { witnessLagSecondsMax: 60 }\n`)).toEqual([
    "weir.yaml:4:10 error NOT_KEPT there are no witnesses whose lag it could bound; name some, or take it out",
  ]);
});

describe("SSH", () => {
  const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@example";

  test("listens on its own port, and alone when there is nothing else", () => {
    const { config } = parse(GOOD.replace("{ postgres: {} }", "{ ssh: {} }"));
    expect(config?.listeners).toEqual([{ adapter: "ssh", host: "127.0.0.1", port: 6422, tls: "off" }]);
  });

  test("may demand a post-quantum exchange of keys, and nothing else by that key", () => {
    const { config } = parse(GOOD.replace("{ postgres: {} }", "{ ssh: { keyExchange: post-quantum } }"));
    expect(config?.listeners).toEqual([
      { adapter: "ssh", host: "127.0.0.1", port: 6422, tls: "off", keyExchange: "post-quantum" },
    ]);
    const [problem] = problems(GOOD.replace("{ postgres: {} }", "{ ssh: { keyExchange: quantum } }"));
    expect(problem).toContain('listen.ssh.keyExchange: "quantum" is not known; there is post-quantum');
  });

  test("keys are bound to subjects", () => {
    const text = `${GOOD}identity: { keys: [{ subject: ann, kind: human, groups: [dba], publicKey: ${ED25519} }] }\n`;
    expect(problems(text)).toEqual([]);
    const [key] = parse(text).config?.keys ?? [];
    expect(key).toMatchObject({ subject: "ann", kind: "human", groups: ["dba"], owner: null });
    expect(Buffer.from(key?.blob ?? []).toString("base64")).toBe(ED25519.split(" ")[1] ?? "");
  });

  test("a key that cannot be read, and one that is bound twice, are errors where they stand", () => {
    const bound = (...keys: string[]): string =>
      `${GOOD}identity:\n  keys:\n${keys.map((key) => `    - { subject: ann, kind: human, publicKey: "${key}" }\n`).join("")}`;
    const [unreadable = ""] = problems(bound("ssh-dss AAAA"));
    expect(unreadable).toStartWith("weir.yaml:6:47 error BAD_VALUE identity.keys.0.publicKey: DSA keys are too weak");
    expect(problems(bound(ED25519, ED25519))).toEqual([
      "weir.yaml:7:36 error NOT_KEPT this key is bound twice; a key is one subject's",
    ]);
  });
});

describe("what this version does not do", () => {
  const kept: readonly [name: string, text: string, expected: string][] = [
    [
      "policies in git",
      `${GOOD}policies: { git: x }\n`,
      "weir.yaml:4:1 error NOT_KEPT this version reads policies from a folder only; name one",
    ],
  ];
  for (const [name, text, expected] of kept) {
    test(`is refused where it is a promise: ${name}`, () => {
      expect(problems(text)).toEqual([expected]);
      expect(parse(text).config).toBeNull();
    });
  }

  test("masking is for what has columns", () => {
    const text = `name: gw\n${LISTEN}targets:\n  db: { http: { url: "https://x" }, masking: { mode: inline } }\n`;
    expect(problems(text)).toContain("weir.yaml:4:37 error NOT_KEPT masking is not for http; take it out");
    expect(parse(text).config).toBeNull();
  });

  const served: readonly [name: string, text: string, expected: string][] = [
    [
      "http",
      GOOD.replace("{} }\n", "{}, http: { tls: off } }\n"),
      "weir.yaml:2:25 warning NOT_SERVED this version does not speak http: nothing listens there",
    ],
    [
      "a target",
      `${GOOD.trimEnd().slice(0, -1)}, api: { http: { url: "https://x" } } }\n`,
      "weir.yaml:3:73 warning NOT_SERVED this version does not speak http: the target api cannot be reached through it",
    ],
  ];
  for (const [name, text, expected] of served) {
    test(`is said where it keeps people out: ${name}`, () => {
      expect(problems(text)).toEqual([expected]);
      expect(parse(text).config?.targets.map((target) => target.name)).toEqual(["db"]);
    });
  }

  test("a listener that would take tokens in plain text from the network says that it does not", () => {
    const found = problems(GOOD.replace("{} }\n", '{ host: 0.0.0.0, tls: "off" } }\n'));
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith(
      "weir.yaml:2:38 warning NOT_SERVED without TLS only clients on this machine can log in",
    );
  });
});

describe("a file that cannot be read", () => {
  const options = { adapters: { postgres }, env: {} };
  const table: readonly [name: string, path: () => string, expected: string][] = [
    ["is not there", () => join(folder, "none.yaml"), "there is no such file; name yours with --config FILE"],
    ["is a folder", () => folder, "is not a file"],
    [
      "is not UTF-8",
      () => {
        writeFileSync(join(folder, "latin.yaml"), new Uint8Array([0x61, 0x3a, 0x20, 0xe4]));
        return join(folder, "latin.yaml");
      },
      "is not UTF-8 text",
    ],
  ];
  for (const [name, path, expected] of table) {
    test(name, () => {
      const { config, problems: found } = loadConfig(path(), options);
      expect(config).toBeNull();
      expect(found.map(({ code, line, message }) => [code, line, message])).toEqual([["UNREADABLE", null, expected]]);
    });
  }
});

describe("whatever the file holds", () => {
  const words = [
    "name",
    "listen",
    "postgres",
    "targets",
    "limits",
    "env",
    "file",
    "tls",
    "cert",
    "labels",
    "audit",
    "policies",
    "seal",
  ];
  const value = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, "", "auto", "10s", "x"),
      fc.string(),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie("tree"), { maxKeys: 4 }),
    ),
  })).tree;

  function expectAnswer(text: string): void {
    const { config, problems: found } = parse(text);
    expect(config === null).toBe(found.some((problem) => problem.severity === "error"));
    for (const problem of found) {
      expect(problem.line).toBeGreaterThan(0);
      expect(problem.column).toBeGreaterThan(0);
    }
  }

  test("a tree of any shape is read or refused with places", () => {
    fc.assert(fc.property(value, (tree) => expectAnswer(JSON.stringify(tree))));
  });

  test("a part of the tree of any shape is read or refused with places", () => {
    const good = {
      name: "gw",
      listen: { postgres: {} },
      targets: { db: { postgres: { host: "h", database: "d", user: "u" } } },
    };
    fc.assert(
      fc.property(
        fc.constantFrom("name", "listen", "targets", "identity", "limits", "audit", "policies", "data"),
        value,
        (key, part) => expectAnswer(JSON.stringify({ ...good, [key]: part })),
      ),
    );
  });

  test("damaged text is read or refused with places", () => {
    fc.assert(
      fc.property(fc.nat(GOOD.length), fc.nat(10), fc.string({ maxLength: 5 }), (at, length, put) =>
        expectAnswer(GOOD.slice(0, at) + put + GOOD.slice(at + length)),
      ),
    );
  });
});
