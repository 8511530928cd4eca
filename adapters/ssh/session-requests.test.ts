/** Tests of what may go with a command: variables, terminals, and what is left out of them. */
import { describe, expect, test } from "bun:test";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";
import { Environment, readPty } from "./session-requests.ts";

function variable(name: string, value: string): FieldReader {
  return new FieldReader(new FieldWriter().string(name).string(value).take());
}

describe("variables", () => {
  const taken: readonly [name: string, value: string][] = [
    ["LANG", "de_DE.UTF-8"],
    ["LC_ALL", "C.UTF-8"],
    ["LC_TIME", "de_DE@euro"],
    ["TZ", "Europe/Berlin"],
    ["GIT_PROTOCOL", "version=2"],
    ["NO_COLOR", ""],
  ];
  test.each(taken)("%s=%s goes to the target", (name, value) => {
    const environment = new Environment();
    expect(environment.take(variable(name, value))).toBe(true);
    expect(environment.variables).toEqual({ [name]: value });
  });

  const refused: readonly [name: string, value: string][] = [
    ["LD_PRELOAD", "x"],
    ["PATH", "x"],
    ["BASH_ENV", "x"],
    ["GIT_SSH_COMMAND", "x"],
    ["TERM", "x"],
    ["lang", "C"],
    ["LANG", "/tmp/evil"],
    ["LC_ALL", "../evil"],
    ["LC_ALL\0", "C"],
    ["LC_ALL", "C\n"],
    ["LC_$(id)", "C"],
    ["TZ", "/etc/shadow"],
    ["TZ", ":/etc/shadow"],
    ["TZ", "a/../../etc/shadow"],
    ["LANG", "a".repeat(257)],
    ["__proto__", "x"],
  ];
  test.each(refused)("%j=%j does not", (name, value) => {
    const environment = new Environment();
    expect(environment.take(variable(name, value))).toBe(false);
    expect(environment.variables).toEqual({});
  });

  test("there are so many and no more", () => {
    const environment = new Environment();
    const answers = Array.from({ length: 65 }, (_, index) => environment.take(variable(`LC_A${index}`, "C")));
    expect(answers.indexOf(false)).toBe(64);
  });
});

describe("terminals", () => {
  const asked = (type: string, modes: Uint8Array): FieldReader =>
    new FieldReader(new FieldWriter().string(type).u32(80).u32(24).u32(640).u32(480).string(modes).take());

  test("modes come by their opcodes, up to the end and what nobody knows", () => {
    const modes = new FieldWriter().u8(128).u32(38_400).u8(42).u32(1).u8(0).u8(53).u32(1).take();
    expect(readPty(asked("xterm-256color", modes))).toEqual({
      type: "xterm-256color",
      columns: 80,
      rows: 24,
      widthPx: 640,
      heightPx: 480,
      modes: { 42: 1, 128: 38_400 },
    });
    expect(readPty(asked("vt100", new FieldWriter().u8(200).u32(1).take()))?.modes).toEqual({});
    expect(readPty(asked("vt100", Uint8Array.of(53, 0, 0)))?.modes).toEqual({});
  });

  test("a type that could be a path or a script is none", () => {
    for (const type of ["../x", "a b", "x;id", "a".repeat(65)])
      expect(readPty(asked(type, new Uint8Array(0)))).toBeNull();
  });
});
