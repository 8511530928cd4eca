/** The names that one program goes by: with its version, for another machine, beside another of the same name. */

/** What a program is called as well when somebody has put another one, or another build of it, in its place. */
const SUFFIXES: ReadonlySet<string> = new Set(
  (
    "real orig original distrib default static nosuid ws openbsd traditional gnu bsd mailutils moreutils exe basic tiny nox " +
    "gtk gtk3 athena dpkg-dist dpkg-old bin"
  ).split(" "),
);

/**
 * The names under which a program may be listed, the written one first: `gcc-12`, `python3.11-dbg`, `busybox.static`,
 * `x86_64-linux-gnu-gcc`, `perl5.36-x86_64-linux-gnu`.
 */
export function listedNames(name: string): readonly string[] {
  if (isLetters(name)) return [name];
  const native = withoutMachine(name);
  const dot = native.lastIndexOf(".");
  const plain = dot > 0 && SUFFIXES.has(native.slice(dot + 1)) ? native.slice(0, dot) : native;
  const debugged = plain.endsWith("-dbg") || plain.endsWith("-static") ? plain.slice(0, plain.lastIndexOf("-")) : plain;
  return [...new Set([name, native, plain, debugged, withoutVersion(debugged)])];
}

function isLetters(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const unit = name.charCodeAt(at);
    if (unit < 0x61 || unit > 0x7a) return false;
  }
  return true;
}

/** What a table says of a program, by whichever of its names. */
export function listedAs<Value>(table: Readonly<Record<string, Value>>, name: string): Value | undefined {
  if (Object.hasOwn(table, name)) return table[name];
  const key = listedNames(name).find((each) => Object.hasOwn(table, each));
  return key === undefined ? undefined : table[key];
}

/** `ipython3`, `gcc-12`, `zsh-5.9` */
function withoutVersion(name: string): string {
  let end = name.length;
  while (end > 1 && "0123456789.-".includes(name[end - 1] ?? "")) end--;
  return name.slice(0, end);
}

/** Before the name, or behind it: the machine that the program is, or makes programs, for. */
function withoutMachine(name: string): string {
  for (const system of ["-linux-gnu", "-linux-musl", "-unknown-linux"]) {
    const at = name.indexOf(system);
    if (at <= 0) continue;
    const hyphen = name.indexOf("-", at + system.length);
    if (hyphen !== -1) return name.slice(hyphen + 1);
    const before = name.lastIndexOf("-", at - 1);
    return before > 0 ? name.slice(0, before) : name;
  }
  return name;
}
