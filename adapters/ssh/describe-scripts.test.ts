/** Scripts of sed and awk that are read as harmless run no program and write no file, in the seds and awks there are. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { POSIX_SHELLS, RecordedShells } from "../../test/shells.ts";
import { isPlainAwk, isPlainSed } from "./describe/programs/scripts.ts";
import { quote } from "./rebuild.ts";

const DASH = POSIX_SHELLS["dash"] ?? [];
const SCRIPTS_TRIED = 4_000;

type Language = {
  readonly isPlain: (words: readonly string[]) => boolean;
  readonly commands: readonly string[];
  readonly seeds: readonly string[];
  readonly pieces: readonly string[];
  readonly harmful: readonly string[];
};

const LANGUAGES: Readonly<Record<string, Language>> = {
  sed: {
    isPlain: isPlainSed,
    commands: ["/usr/bin/sed", "/usr/bin/busybox sed"],
    seeds: [
      "s/a/b/g",
      "1,5p",
      "/a/d",
      "s#a#b#;p",
      "$!N;P;D",
      "s/[a]/b/",
      "y/ab/cd/",
      "2q",
      "/x/,/y/s/a/b/",
      "/a/{s/b/c/;p}",
      "$a x",
      "1{p}",
    ],
    pieces:
      "s / # | [ ] ^ \\ p e w g I 1 2 $ ! , ; y d n N q s/a/b/ s/a/p1/e 1,2 /a/ [] [^] [[:x:]] & \\n M m ~ 0 = l { }"
        .split(" ")
        .concat([" f", "w f", "e p1", "r f", " "]),
    harmful: ["1w f", "s/b/x/w f", "1{w f\n}"],
  },
  awk: {
    isPlain: isPlainAwk,
    commands: ["/usr/bin/mawk", "/usr/bin/busybox awk"],
    seeds: [
      "{print $1}",
      "/a/{n++}END{print n}",
      "NR==1||NR==2",
      'BEGIN{FS=":"}{print $1,$2}',
      '{gsub(/a/,"b");print}',
      "$1>2",
      'NR>1&&$1>"a"{print $2}',
      "{if($1>2)print($1>3)}",
      "{x=(NR>1)}END{print x/2}",
    ],
    pieces: '{ } print $1 "p1" "f" system ( ) | || && > >> < getline " / \\ 1 NR == + , ; BEGIN END @ [ ] ~ ! printf if'
      .split(" ")
      .concat([" ", 'system("p1")', ' | "p1"', ' > "f"', "/[/]/", "/[(]/", ">", "[(]", "# ("]),
    harmful: ['BEGIN{system("p1")}', '{print > "f"}', '{print | "p1"}', '{/[/][(]/;print "x" > "f"}'],
  },
};

test.each(Object.keys(LANGUAGES))(
  "%s",
  (name) => {
    const language = LANGUAGES[name];
    if (language === undefined) throw new Error(`${name} is not here`);
    using shells = new RecordedShells(["p1"]);
    const file = join(shells.home, "in");
    const run = (command: string, script: string) => {
      writeFileSync(file, "a b c\nx y\np1\nf\n");
      const { calls } = shells.run(DASH, `${command} ${quote(script)} in`);
      return { calls, files: readdirSync(shells.home) };
    };
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const commands = language.commands.filter((command) => existsSync(command.split(" ")[0] ?? ""));
    expect(commands).toEqual([...language.commands]);
    let plain = 0;
    for (let count = 0; count < SCRIPTS_TRIED; count++) {
      let script = language.seeds[random(language.seeds.length)] ?? "";
      for (let changes = 1 + random(4); changes > 0; changes--) {
        const at = random(script.length + 1);
        const piece = language.pieces[random(language.pieces.length)] ?? "";
        script =
          random(4) === 0 ? script.slice(0, at) + script.slice(at + 2) : script.slice(0, at) + piece + script.slice(at);
      }
      if (!language.isPlain([script, "in"]) || ++plain > 150) continue;
      const command = commands[plain % commands.length] ?? "";
      expect({ command, script, ...run(command, script) }).toEqual({ command, script, calls: [], files: ["in"] });
    }
    expect(plain).toBeGreaterThan(100);
    // And harm would be seen.
    for (const script of language.harmful) {
      expect(language.isPlain([script, "in"])).toBe(false);
      const { calls, files } = run(commands[0] ?? "", script);
      expect([script, calls.length + files.length]).not.toEqual([script, 1]);
    }
  },
  240_000,
);
