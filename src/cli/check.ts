/** `weir check`: everything that can be found out before the gateway is started. */
import { accessSync, constants, existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { ADAPTERS } from "../../adapters/index.ts";
import { ApiClient } from "../api/client.ts";
import { socketPath } from "../api/data-folder.ts";
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { refusal } from "../core/decision.ts";
import type { Door, Policy } from "../core/ports.ts";
import { DirectDialer } from "../dial/direct.ts";
import { GateDoor } from "../gate/door.ts";
import { bindReason } from "../main.ts";
import { checkPolicies } from "../policy/check.ts";
import { printable } from "./audit-lines.ts";
import { CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { readConfiguration } from "./configuration.ts";
import { DryLog } from "./dry-log.ts";
import { fromHere, policyProblemLines } from "./policy-problems.ts";

const PROBE_TIME_MS_MAX = 15_000;

type Finding = { readonly isError: boolean; readonly line: string; readonly json: object };

export const checkCommand: Command = {
  words: ["check"],
  summary: "Validate the configuration and the policies, try the targets and the ports",
  positionals: [],
  options: [CONFIG_OPTION, { name: "offline", description: "only what the files say: try no targets and no ports" }],
  notes: [
    "Ends with 1 when there is an error; warnings alone end with 0. The log is not touched.",
    "",
    'JSON: {"ok", "problems": [{"severity", "code", "file", "line", "column", "message"}]}',
  ],
  run: async (args, terminal) => {
    const loaded = readConfiguration(args, terminal);
    const findings = configFindings(loaded.problems);
    const { config } = loaded;
    if (config !== null) {
      findings.push(...(await policyFindings(config)), ...dataFindings(config, loaded));
      if (!args.flag("offline"))
        findings.push(...(await Promise.all([portFindings(config, loaded), targetFindings(config, loaded)])).flat());
    }
    const isGood = !findings.some((finding) => finding.isError);
    if (args.isJson) {
      terminal.out(JSON.stringify({ ok: isGood, problems: findings.map((finding) => finding.json) }));
    } else {
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

async function policyFindings(config: Config): Promise<Finding[]> {
  const vocabularies = ADAPTERS.flatMap((adapter) => adapter.vocabularies);
  const problems = await checkPolicies(config.policies, vocabularies, config.targets);
  return problems.map((problem) => ({
    isError: problem.severity === "error",
    line: policyProblemLines([problem], config.policies)[0] ?? "",
    json: fromHere(problem, config.policies),
  }));
}

/** A data folder that could not be made or written, or whose path is too long for the local socket. */
function dataFindings(config: Config, loaded: Loaded): Finding[] {
  const problems: string[] = [];
  try {
    socketPath(config.data);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
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

async function targetFindings(config: Config, loaded: Loaded): Promise<Finding[]> {
  const door = ownersDoor(config);
  const findings = config.targets.map(async (target): Promise<Finding[]> => {
    const adapter = ADAPTERS.find((each) => each.name === target.adapter);
    if (adapter === undefined) return [];
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => late.resolve("it did not answer in time"), PROBE_TIME_MS_MAX);
    try {
      const problem = await Promise.race([adapter.probe(door, target), late.promise]);
      if (problem === null) return [];
      return configFindings([
        loaded.problemAt("error", "TARGET_UNREACHABLE", ["targets", target.name], `${target.name}: ${problem}`),
      ]);
    } finally {
      clearTimeout(timer);
    }
  });
  return (await Promise.all(findings)).flat();
}

/** A door for the gateway's own probes only: nobody can log in through it. */
function ownersDoor(config: Config): Door {
  const nobody = refusal("denied", "weir check lets nobody in");
  const policy: Policy = {
    epoch: 1,
    digest: "",
    commit: null,
    decide: () => ({ kind: "deny", rules: [], refusal: nobody }),
    mayConnect: () => ({ kind: "deny", rules: [], refusal: nobody }),
    nextEdge: () => Infinity,
  };
  return new GateDoor({
    policy,
    audit: new DryLog(),
    durability: "strict",
    authenticator: { authenticate: async () => nobody, stillValid: () => false },
    approvals: { ask: async () => nobody },
    dialer: new DirectDialer(),
    clock: { now: () => Date.now() },
    targets: new Map(config.targets.map((target) => [target.name, target])),
    limits: config.limits,
    keeps: () => [],
    say: () => {},
  });
}
