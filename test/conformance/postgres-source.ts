/** Gets PostgreSQL's own tests: the distribution's source package, unpacked and compiled in the user's cache folder. */
import { which } from "bun";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** What the conformance scripts run, made from the sources of one PostgreSQL version. */
export type PostgresTests = {
  /** The version of the sources, e.g. `15.18`: the nearest to the server's that could be had. */
  readonly version: string;
  /** `src/test/regress`: sql, expected, data, schedules. */
  readonly regressDir: string;
  /** Holds regress.so, refint.so and autoinc.so, which the tests load into the server. */
  readonly modulesDir: string;
  readonly libpqPipeline: string;
  /** The expected traces of libpq_pipeline. */
  readonly tracesDir: string;
  /** The driver of the regression tests, from the distribution's package. */
  readonly pgRegress: string;
  /** Holds psql. */
  readonly clientBinDir: string;
  /** The folder that the server's files are laid out in, `/` when they are installed. */
  readonly serverRoot: string;
};

/** What is needed and not there; the message says what to do. */
export class Missing extends Error {}

const BIN = "usr/lib/postgresql";
/** What is taken out of the source package. */
const PARTS = ["src/test/regress", "src/test/modules/libpq_pipeline", "contrib/spi"] as const;

/**
 * Resolves the tests of a major version, in the cache or fetched. Nothing is installed: packages are downloaded with
 * apt, which needs no root, and unpacked in the cache. `WEIR_POSTGRES_SOURCE` names an unpacked source tree to use instead.
 */
export function postgresTests(major: number): PostgresTests {
  for (const tool of ["gcc", "tar", "diff"]) {
    if (which(tool) === null) throw new Missing(`${tool} is needed: apt-get install gcc tar bzip2 diffutils`);
  }
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weir", `postgresql-${major}`);
  mkdirSync(cache, { recursive: true });
  const source = sourceTree(cache, major);
  const version = versionOf(source);
  const binaries = binariesOf(cache, major, version);
  const serverDev = `postgresql-server-dev-${major}`;
  // Compiled against the headers of the server that loads it.
  const headers =
    binaries.serverRoot === "/"
      ? development(cache, serverDev, `usr/include/postgresql/${major}/server/postgres.h`)
      : unpacked(cache, exactly(serverDev, version));
  const built = once(join(cache, `built-${version}`), (aside) => compile(aside, source, headers, cache, major));
  return {
    version,
    regressDir: join(source, "src/test/regress"),
    modulesDir: built,
    libpqPipeline: join(built, "libpq_pipeline"),
    tracesDir: join(source, "src/test/modules/libpq_pipeline/traces"),
    ...binaries,
  };
}

type Binaries = Pick<PostgresTests, "pgRegress" | "clientBinDir" | "serverRoot">;

/**
 * psql, pg_regress and the server of the same version as the tests: how they behave is in the expected output, and
 * changes in minor versions too.
 */
function binariesOf(cache: string, major: number, version: string): Binaries {
  const under = (client: string, server: string): Binaries => ({
    clientBinDir: join(client, BIN, `${major}`, "bin"),
    pgRegress: join(client, BIN, `${major}`, "lib/pgxs/src/test/regress/pg_regress"),
    serverRoot: server,
  });
  const installed = under("/", "/");
  const postgres = join("/", BIN, `${major}`, "bin/postgres");
  const programs = [join(installed.clientBinDir, "psql"), postgres];
  const fits = (program: string): boolean =>
    existsSync(program) && text([program, "--version"]).includes(`(PostgreSQL) ${version} `);
  if (programs.every(fits) && existsSync(installed.pgRegress)) return installed;
  return under(
    unpacked(cache, exactly(`postgresql-client-${major}`, version)),
    unpacked(cache, exactly(`postgresql-${major}`, version)),
  );
}

/** `name=15.18-0+deb12u1` for 15.18, as the mirrors have it. */
function exactly(name: string, version: string): string {
  const listed = text(["apt-cache", "madison", name])
    .split("\n")
    .map((line) => line.split("|")[1]?.trim() ?? "")
    .find((candidate) => candidate.startsWith(`${version}-`));
  if (listed === undefined)
    throw new Missing(`${name} ${version}, as the tests are, is neither installed nor known to apt (apt-get update?)`);
  return `${name}=${listed}`;
}

function versionOf(source: string): string {
  return readFileSync(join(source, "VERSION"), "utf8").trim();
}

/** Makes a folder aside and renames it, so that it is whole or not there. */
function once(folder: string, make: (aside: string) => void): string {
  if (existsSync(folder)) return folder;
  const aside = mkdtempSync(`${folder}-`);
  try {
    make(aside);
    // A test server, under an account of its own, reads it too.
    chmodSync(aside, 0o755);
    renameSync(aside, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return folder;
}

function sourceTree(cache: string, major: number): string {
  const given = process.env["WEIR_POSTGRES_SOURCE"];
  return once(join(cache, given === undefined ? "source" : "source-given"), (aside) => {
    if (given === undefined) {
      unpackSources(aside, major);
      return;
    }
    const configured = /PACKAGE_VERSION='([0-9.]+)'/u.exec(readFileSync(join(given, "configure"), "utf8"));
    for (const part of PARTS) cpSync(join(given, part), join(aside, part), { recursive: true });
    writeFileSync(join(aside, "VERSION"), configured?.[1] ?? `${major}`);
  });
}

/** Downloads the source package: of the installed version, or else of the newest of this major that the mirrors still have. */
function unpackSources(target: string, major: number): void {
  if (which("apt-get") === null) {
    throw new Missing(
      `PostgreSQL's sources are needed: unpack those of ${major} and name the folder in WEIR_POSTGRES_SOURCE`,
    );
  }
  const apt = sourcePackages(target);
  const name = `postgresql-${major}`;
  const listed = text(["apt-cache", ...apt, "madison", name]);
  const versions = listed.split("\n").filter((line) => line.includes("Sources"));
  for (const line of versions) {
    const version = line.split("|")[1]?.trim() ?? "";
    const got = Bun.spawnSync(["apt-get", ...apt, "source", "--download-only", `${name}=${version}`], { cwd: target });
    const [archive] = globSync(`${name}_*.orig.tar.*`, { cwd: target });
    if (got.exitCode !== 0 || archive === undefined) continue;
    const wanted = PARTS.map((part) => `*/${part}`);
    run(["tar", "--extract", "--strip-components=1", "--wildcards", "-f", archive, ...wanted], target);
    writeFileSync(
      join(target, "VERSION"),
      basename(archive)
        .replace(/^.*_/u, "")
        .replace(/\.orig.*$/u, ""),
    );
    for (const left of [...globSync(`${name}_*`, { cwd: target }), "lists", "parts"]) {
      rmSync(join(target, left), { recursive: true });
    }
    return;
  }
  throw new Missing(
    `the mirrors have no source package of ${name} (${listed.trim()}): name an unpacked source tree in WEIR_POSTGRES_SOURCE`,
  );
}

/** apt's options for a list of its own: the system's sources, as source packages. The system's own lists stay as they are. */
function sourcePackages(folder: string): readonly string[] {
  const lists = join(folder, "lists");
  const parts = join(folder, "parts");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(parts);
  for (const file of globSync("/etc/apt/{sources.list,sources.list.d/*}")) {
    const content = readFileSync(file, "utf8");
    writeFileSync(
      join(parts, basename(file) === "sources.list" ? "main.list" : basename(file)),
      content.replaceAll(/^(\s*)deb(\s)/gmu, "$1deb-src$2").replaceAll(/^Types:.*$/gmu, "Types: deb-src"),
    );
  }
  const options = ["Dir::Etc::SourceList=/dev/null", `Dir::Etc::SourceParts=${parts}`, `Dir::State::Lists=${lists}`];
  const flags = options.flatMap((option) => ["-o", option]);
  // A source without source packages is an error to apt, and none to us.
  Bun.spawnSync(["apt-get", ...flags, "update"], { cwd: folder });
  return flags;
}

/** Where the headers and libraries are: installed, or unpacked from the package. */
function development(cache: string, name: string, file: string): string {
  return existsSync(join("/", file)) ? "/" : unpacked(cache, name);
}

/** The folder in the cache that holds a package's files; `wanted` is its name, or name=version. */
function unpacked(cache: string, wanted: string): string {
  return once(join(cache, wanted), (aside) => {
    run(["apt-get", "download", wanted], aside);
    const [archive] = globSync("*.deb", { cwd: aside });
    if (archive === undefined) throw new Missing(`${wanted} is needed: apt-get install ${wanted}`);
    run(["dpkg", "-x", archive, "."], aside);
    rmSync(join(aside, archive));
  });
}

function compile(target: string, source: string, server: string, cache: string, major: number): void {
  const client = development(cache, "libpq-dev", "usr/include/postgresql/libpq-fe.h");
  const headers = [
    `-I${join(server, `usr/include/postgresql/${major}/server`)}`,
    `-I${join(client, "usr/include/postgresql")}`,
    `-I${join(client, "usr/include/postgresql/internal")}`,
  ];
  for (const module of ["src/test/regress/regress.c", "contrib/spi/refint.c", "contrib/spi/autoinc.c"]) {
    const output = join(target, basename(module).replace(/c$/u, "so"));
    run(["gcc", "-O2", "-fPIC", "-shared", "-DREFINT_VERBOSE", ...headers, "-o", output, join(source, module)], target);
  }
  const program = join(source, "src/test/modules/libpq_pipeline/libpq_pipeline.c");
  const libraries = [
    `-L${join(server, `usr/lib/postgresql/${major}/lib`)}`,
    ...globSync(join(client, "usr/lib/*-linux-gnu")).map((folder) => `-L${folder}`),
    // Found by its soname where the package for developing is not installed.
    existsSync(join(client, "usr/include/postgresql/libpq-fe.h")) && client === "/" ? "-lpq" : "-l:libpq.so.5",
    "-lpgcommon",
    "-lpgport",
  ];
  run(["gcc", "-O2", ...headers, "-o", join(target, "libpq_pipeline"), program, ...libraries], target);
}

function run(command: readonly string[], cwd: string): void {
  const result = Bun.spawnSync([...command], { cwd, stdout: "pipe", stderr: "pipe" });
  if (result.exitCode === 0) return;
  throw new Missing(`${command.join(" ")}:\n${result.stdout.toString()}${result.stderr.toString()}`);
}

function text(command: readonly string[]): string {
  return Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe" }).stdout.toString();
}
