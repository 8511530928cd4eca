/** Makes libSQL's native library part of a compiled binary, which by itself would look for it in node_modules. */
import type { BunPlugin } from "bun";
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** The one line of libsql's index.js that loads the library by a computed name, which no bundler can follow. */
const DYNAMIC_REQUIRE = "return require(`@libsql/${target}`);";

/**
 * Replaces the computed name by the installed platform package's, and says what to do where the library cannot be
 * loaded: a binary unpacks it into TMPDIR, which may be read-only or mounted noexec.
 */
export function libsqlPlugin(nodeModules: string): BunPlugin {
  const library = `@libsql/${platformPackage(nodeModules)}/index.node`;
  return {
    name: "libsql",
    setup(build) {
      build.onLoad({ filter: /node_modules[/\\]libsql[/\\]index\.js$/u }, async ({ path }) => {
        const text = await Bun.file(path).text();
        return { contents: embedLibrary(text, library), loader: "js" };
      });
    },
  };
}

/** Throws when the text is not the one that this was written for: a binary without its library must not be made. */
export function embedLibrary(text: string, library: string): string {
  if (text.split(DYNAMIC_REQUIRE).length !== 2) {
    throw new Error(
      `libsql/index.js does not hold "${DYNAMIC_REQUIRE}" once: adapt src/release/libsql.ts to its new version`,
    );
  }
  const replacement = `try {
    return require(${JSON.stringify(library)});
  } catch (cause) {
    const message =
      "weir cannot load its database library: it is unpacked into " + require("node:os").tmpdir() +
      ", which must exist, be writable and not be mounted noexec. Set TMPDIR to such a folder. (" + cause.message + ")";
    if (!require("node:worker_threads").isMainThread) throw new Error(message, { cause });
    console.error(message);
    process.exit(1);
  }`;
  return text.replace(DYNAMIC_REQUIRE, () => replacement);
}

/** The platform's package that is installed, e.g. `linux-x64-gnu`; where there are two, the one for glibc. */
function platformPackage(nodeModules: string): string {
  const wanted = `${process.platform}-${process.arch}`;
  const installed = readdirSync(join(nodeModules, "@libsql")).filter((name) => name.startsWith(wanted));
  const found = installed.find((name) => name.endsWith("-gnu")) ?? installed[0];
  if (found === undefined) throw new Error(`no @libsql/${wanted}* is installed: run bun install`);
  return found;
}
