/** Which weir this is: the version of package.json and, in a compiled binary, the commit it was built from. */
import manifest from "../../package.json" with { type: "json" };

/** Put in place by build.ts; not there when weir runs from its sources. */
declare const WEIR_COMMIT: string | undefined;

export type Version = {
  readonly version: string;
  /** Short git commit, with `+changes` when the tree was not clean; null when unknown. */
  readonly commit: string | null;
  /** `binary` or `sources`. */
  readonly from: "binary" | "sources";
  readonly bun: string;
  /** e.g. `linux-x64`. */
  readonly platform: string;
};

export function weirVersion(): Version {
  const isBinary = typeof WEIR_COMMIT !== "undefined";
  return {
    version: manifest.version,
    commit: isBinary && WEIR_COMMIT !== "" ? WEIR_COMMIT : null,
    from: isBinary ? "binary" : "sources",
    bun: Bun.version,
    platform: `${process.platform}-${process.arch}`,
  };
}

/** For people, e.g. `weir 0.1.0 (1a2b3c4, Bun 1.4.5, linux-x64)`. */
export function describeVersion({ version, commit, from, bun, platform }: Version): string {
  return `weir ${version} (${commit ?? (from === "sources" ? "from sources" : "commit unknown")}, Bun ${bun}, ${platform})`;
}
