/** Programs that make files beside the ones that their words name, under names that they make of those. */

type Kind = {
  /** What it puts behind a name; the first one when it compresses. */
  readonly endings: readonly string[];
  /** What a file is called that ends otherwise, when it is unpacked. */
  readonly otherwise?: string;
  /** It looks for a name that is not there with its endings behind it. */
  readonly guesses?: true;
};

const KINDS: Readonly<Record<string, Kind>> = {
  gz: { endings: [".gz", "-gz", ".z", "-z", "_z", ".Z"], guesses: true },
  bz2: { endings: [".bz2", ".bz"], otherwise: ".out" },
  xz: { endings: [".xz", ".lzma", ".lz"] },
  zst: { endings: [".zst", ".gz", ".xz", ".lzma", ".lz4"] },
};

/** Some systems' programs unpack what others have packed. */
const ALL_ENDINGS = Object.values(KINDS).flatMap(({ endings }) => endings);

/** A packed archive is called so, and unpacked `.tar`. */
const ARCHIVES = [".tgz", ".taz", ".tbz2", ".tbz", ".txz", ".tlz", ".tzst", ".tlz4"];

/** What each program is: its kind, and whether it only unpacks, and whether only to its output. */
const PROGRAMS: Readonly<Record<string, { readonly kind: string; readonly unpacks?: true; readonly shows?: true }>> = {
  gzip: { kind: "gz" },
  gunzip: { kind: "gz", unpacks: true },
  zcat: { kind: "gz", unpacks: true, shows: true },
  zgrep: { kind: "gz", unpacks: true, shows: true },
  bzip2: { kind: "bz2" },
  bunzip2: { kind: "bz2", unpacks: true },
  xz: { kind: "xz" },
  unxz: { kind: "xz", unpacks: true },
  zstd: { kind: "zst" },
  unzstd: { kind: "zst", unpacks: true },
};

/** What a program touches that is given `files`; any other program: just those. `written`: empty when it only shows. */
export function compressedFiles(
  name: string,
  given: ReadonlySet<string>,
  files: readonly string[],
): { readonly files: readonly string[]; readonly written?: readonly string[] } {
  const program = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
  const kind = program === undefined ? undefined : KINDS[program.kind];
  if (program === undefined || kind === undefined) return { files };
  const shows = program.shows === true || ["c", "t", "l", "stdout"].some((option) => given.has(option));
  const unpacks = program.unpacks === true || ["d", "t", "l", "decompress"].some((option) => given.has(option));
  const touched = files.flatMap((file) => {
    const [ending = ""] = kind.endings;
    if (!unpacks) return shows ? [file] : [file, `${file}${ending}`];
    const isPacked = [...kind.endings, ...ARCHIVES].some((each) => file.endsWith(each));
    const packed =
      kind.guesses === true && !isPacked ? [file, ...kind.endings.map((each) => `${file}${each}`)] : [file];
    return shows ? packed : [...packed, ...packed.flatMap((each) => unpackedNames(each, kind))];
  });
  return shows ? { files: touched, written: [] } : { files: touched };
}

function unpackedNames(file: string, { otherwise }: Kind): readonly string[] {
  const endings = ALL_ENDINGS;
  const names = endings.filter((each) => file.endsWith(each)).map((each) => file.slice(0, -each.length));
  const archives = ARCHIVES.filter((each) => file.endsWith(each)).map((each) => `${file.slice(0, -each.length)}.tar`);
  return [...names, ...archives, ...(otherwise === undefined ? [] : [`${file}${otherwise}`])];
}
