/** `weir check`: everything that can be found out before the gateway is started. */
import { accessSync, constants, existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { messageOf } from "../core/message-of.ts";
import { ADAPTERS, KEEPS, VOCABULARIES } from "../../adapters/index.ts";
import { ApiClient } from "../api/client.ts";
import { socketPath } from "../api/data-folder.ts";
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { bindReason } from "../gateway/bind-reason.ts";
import { loadPolicies } from "../policy/load.ts";
import type { LoadedSet } from "../policy/load.ts";
import { printable } from "./audit-lines.ts";
import { CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { readConfiguration } from "./configuration.ts";
import { masksOn } from "./guarded-target.ts";
import { guardedProblems, inlineWarnings, isGuarded, maskedTargets } from "./masked-targets.ts";
import { ownersDoor } from "./owners-door.ts";
import { fromHere, policyProblemLines } from "./policy-problems.ts";

const PROBE_TIME_MS_MAX = 15_000;

type Finding = { readonly isError: boolean; readonly line: string; readonly json: object };

/** What a target that could be reached shows of who it is. */
type Presented = { readonly target: string; readonly text: string };

export const checkCommand: Command = {
  words: ["check"],
  summary: "Validate the configuration and the policies, try the targets and the ports",
  positionals: [],
  options: [CONFIG_OPTION, { name: "offline", description: "only what the files say: try no targets and no ports" }],
  notes: [
    "Ends with 1 when there is an error; warnings alone end with 0. The log is not touched.",
    "",
    'JSON: {"ok", "problems": [{"severity", "code", "file", "line", "column", "message"}], "presented": [{"target", "text"}]}',
  ],
  run: async (args, terminal) => {
    const loaded = readConfiguration(args, terminal);
    const findings = configFindings(loaded.problems);
    const { config } = loaded;
    const presented: Presented[] = [];
    if (config !== null) {
      const policies = await loadPolicies(
        config.policies,
        VOCABULARIES,
        config.targets,
        KEEPS,
        config.audit.seal !== null,
      );
      findings.push(...policyFindings(policies, config, loaded), ...dataFindings(config, loaded));
      if (!args.flag("offline")) {
        const tried = [portFindings(config, loaded), targetFindings(policies, config, loaded, presented)];
        findings.push(...(await Promise.all(tried)).flat());
      }
    }
    const isGood = !findings.some((finding) => finding.isError);
    if (args.isJson) {
      terminal.out(JSON.stringify({ ok: isGood, problems: findings.map((finding) => finding.json), presented }));
    } else {
      for (const { target, text } of presented) terminal.out(printable(`${target}: ${text}`));
      for (const finding of findings) terminal.err(printable(finding.line));
      if (isGood) terminal.out("ok");
    }
    return isGood ? 0 : 1;
  },
};

function configFindings(problems: Loaded["problems"]): Finding[] {
  return problems.map((problem) => ({
    isError: problem.severity === "error",
    line: formatProblem(problem),
    json: problem,
  }));
}

function policyFindings({ problems, rules }: LoadedSet, config: Config, loaded: Loaded): Finding[] {
  const findings = problems.map((problem) => ({
    isError: problem.severity === "error",
    line: policyProblemLines([problem], config.policies)[0] ?? "",
    json: fromHere(problem, config.policies),
  }));
  return [...findings, ...configFindings(inlineWarnings(rules, config, loaded))];
}

/** A data folder that could not be made or written, or whose path is too long for the local socket. */
function dataFindings(config: Config, loaded: Loaded): Finding[] {
  const problems: string[] = [];
  try {
    socketPath(config.data);
  } catch (error) {
    problems.push(messageOf(error));
  }
  let folder = config.data;
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    problems.push(`${folder} may not be written by this user; change its owner, or name another folder`);
  }
  return configFindings(problems.map((message) => loaded.problemAt("error", "UNREADABLE", ["data"], message)));
}

/** Listeners that could not be bound. A gateway that runs from this configuration holds its own. */
async function portFindings(config: Config, loaded: Loaded): Promise<Finding[]> {
  const running = await ApiClient.connect(config.data).catch(() => null);
  const bound = (await running?.listeners()) ?? [];
  const findings: Finding[] = [];
  for (const { adapter, host, port } of config.listeners) {
    if (bound.some((each) => each.host === host && each.port === port)) continue;
    const problem = await bindProblem(host, port);
    if (problem === null) continue;
    findings.push(
      ...configFindings([loaded.problemAt("error", "PORT_IN_USE", ["listen", adapter], `${host}:${port}: ${problem}`)]),
    );
  }
  return findings;
}

async function bindProblem(host: string, port: number): Promise<string | null> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<string | null>();
  server.once("error", (error) => resolve(bindReason(error)));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  return promise;
}

/** `presented` gets what each target shows of who it is. */
async function targetFindings(
  policies: LoadedSet,
  config: Config,
  loaded: Loaded,
  presented: Presented[],
): Promise<Finding[]> {
  const { rules, author } = policies;
  const guarded = new Set(maskedTargets(rules, config.targets).filter((target) => isGuarded(target)));
  const door = ownersDoor(config, "weir check");
  const findings = config.targets.map(async (target): Promise<Finding[]> => {
    const adapter = ADAPTERS.find((each) => each.name === target.adapter);
    if (adapter === undefined) return [];
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => late.resolve("it did not answer in time"), PROBE_TIME_MS_MAX);
    try {
      const problem = await Promise.race([adapter.probe(door, target), late.promise]);
      if (problem === null) {
        const text = (await adapter.presented?.(door, target)) ?? null;
        if (text !== null) presented.push({ target: target.name, text });
        if (!guarded.has(target)) return [];
        const possible = masksOn(target, rules, author.patterns);
        return configFindings(await guardedProblems(config, target, possible, loaded));
      }
      return configFindings([
        loaded.problemAt("error", "TARGET_UNREACHABLE", ["targets", target.name], `${target.name}: ${problem}`),
      ]);
    } finally {
      clearTimeout(timer);
    }
  });
  return (await Promise.all(findings)).flat();
}
