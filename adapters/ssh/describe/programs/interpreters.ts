/** Shells and interpreters: a script in a file is judged as a word; code among the words, or from the input, is not. */
import { listedNames } from "./names.ts";
import { isDigits, readArguments, type OptionTable } from "./options.ts";

const SHELLS: ReadonlySet<string> = new Set(
  "sh bash dash ash zsh ksh ksh93 mksh lksh pdksh oksh loksh yash posh".split(" "),
);

/** Options, without value, that may stand before the file which is run. */
const INTERPRETERS: Readonly<Record<string, OptionTable>> = {
  python: { flags: "uBEIsSOqb" },
  perl: { flags: "wWtT" },
  ruby: { flags: "wW" },
  node: { longFlags: ["enable-source-maps", "no-warnings", "no-deprecation"] },
  nodejs: {},
  php: {},
  lua: {},
  luajit: {},
  tclsh: {},
  rscript: { longFlags: ["vanilla"] },
};

const LANGUAGES = Object.keys(INTERPRETERS);

/** Modules of Python that run what follows them. */
const RUNNING_MODULES: ReadonlySet<string> = new Set(
  (
    "timeit pdb profile cProfile trace code runpy asyncio doctest unittest idlelib bdb test zipapp venv ensurepip pip " +
    "webbrowser pty site zipfile tarfile pydoc sqlite3 pytest nose nox tox coverage debugpy ptvsd viztracer memray " +
    "IPython ptpython bpython xonsh jupyter notebook invoke fabric ansible easy_install pipx poetry uv virtualenv build " +
    "pickle pickletools inspect mailcap http wsgiref xmlrpc multiprocessing modulefinder turtledemo turtle tkinter antigravity cgi cgitb " +
    "smtpd socketserver concurrent ctypes importlib distutils lib2to3 imaplib sysconfig fire gunicorn uvicorn hypercorn daphne flask " +
    "django streamlit bokeh pylint mypy flake8 sphinx mkdocs nbconvert ipykernel rpyc dask distributed ray torch accelerate line_profiler " +
    "kernprof scalene pyinstrument pudb ipdb watchdog supervisor honcho luigi airflow locust robot behave twisted scrapy pyftpdlib " +
    "mitmproxy PyInstaller nuitka cython Cython numba setuptools wheel hatch pdm flit conda mamba cffi hy coconut aiohttp sanic " +
    "tornado cherrypy waitress mod_wsgi pyramid pex shiv zdaemon alembic black pre_commit"
  ).split(" "),
);

/** They read commands from their input. */
const NODE_DEBUGGERS: ReadonlySet<string> = new Set(["inspect", "debug"]);

/** Is it surely a file that a program would read its code from, and no device? */
export type IsFile = (word: string) => boolean;

/** Half a sentence on why this use cannot be judged; null: it can, or the program is none of these. */
export function interpreterRuns(name: string, words: readonly string[], isFile: IsFile): string | null {
  if (listedNames(name).some((each) => SHELLS.has(each))) {
    if (name === "bash" && words.length === 1 && words[0] === "--version") return null;
    const script = words[isHarmlessOption(words[0] ?? "") ? 1 : 0];
    if (script === undefined) return `${name}, which reads commands from its input`;
    return isScript(script, isFile) ? null : `${name} with options or code`;
  }
  if (name === "java") return javaRuns(words, isFile);
  const language = languageOf(name);
  const table = Object.hasOwn(INTERPRETERS, language) ? INTERPRETERS[language] : undefined;
  if (table === undefined || isVersion(language, words)) return null;
  const why = `${name} with code, or with options that are not known`;
  const module = language === "python" ? words.indexOf("-m") : -1;
  const options = module === -1 ? words : words.slice(0, module);
  const read = readArguments(options, table, true);
  if (read === null) return why;
  const [script] = read.operands;
  // Behind `--`, some take the first word for a file, and others all of them for what their input's code is given.
  if (options[options.length - read.operands.length - 1] === "--") return why;
  if (language.startsWith("node") && NODE_DEBUGGERS.has(script ?? "")) return why;
  if (script === undefined && module !== -1) return isModule(words[module + 1] ?? "") ? null : why;
  if (script === undefined) return `${name}, which reads code from its input`;
  return isScript(script, isFile) ? null : why;
}

/** `sh -eux FILE`: it stops early, or says what it does. */
function isHarmlessOption(word: string): boolean {
  if (!word.startsWith("-") || word.length < 2) return false;
  for (const letter of word.slice(1)) if (!"euxvn".includes(letter)) return false;
  return true;
}

/** `java [-Xmx512m] -jar FILE`. */
function javaRuns(words: readonly string[], isFile: IsFile): string | null {
  if (words.length === 1 && (words[0] === "-version" || words[0] === "--version")) return null;
  const start = words.findIndex((word) => !isMemoryOption(word));
  return words[start] === "-jar" && isScript(words[start + 1] ?? "", isFile)
    ? null
    : "java with options that are not known";
}

/** `-Xms1g`, `-Xmx512m` */
function isMemoryOption(word: string): boolean {
  if (!word.startsWith("-Xmx") && !word.startsWith("-Xms")) return false;
  return isDigits("kKmMgG".includes(word.at(-1) ?? " ") ? word.slice(4, -1) : word.slice(4));
}

/** python3.11, perl5.36, ruby2.7, php8.2, python3.11d */
function languageOf(name: string): string {
  const bare = listedNames(name).at(-1) ?? name;
  const known = LANGUAGES.find((each) => bare.startsWith(each) && isDigits(bare.charAt(each.length)));
  if (known !== undefined) return known;
  return bare === "pypy" ? "python" : bare;
}

/** What alone makes them say their version and end. tclsh reads code from its input then. */
const VERSION_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  python: ["--version", "-V"],
  perl: ["--version", "-v"],
  ruby: ["--version", "-v"],
  node: ["--version", "-v"],
  nodejs: ["--version", "-v"],
  php: ["--version", "-v", "-m", "-i", "--ini"],
  lua: ["-v"],
  luajit: ["-v"],
  rscript: ["--version"],
};

function isVersion(language: string, words: readonly string[]): boolean {
  const options = Object.hasOwn(VERSION_OPTIONS, language) ? VERSION_OPTIONS[language] : undefined;
  return words.length === 1 && options?.includes(words[0] ?? "") === true;
}

function isModule(module: string): boolean {
  return module !== "" && !module.startsWith("-") && !RUNNING_MODULES.has(module.split(".")[0] ?? "");
}

/** A file that holds the code, as far as its name tells. */
function isScript(word: string, isFile: IsFile): boolean {
  return word !== "" && !word.startsWith("-") && !word.startsWith("+") && isFile(word);
}
