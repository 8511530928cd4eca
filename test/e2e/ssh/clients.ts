/** The SSH clients of the tests, each with what it can do in the same words: run a command, and move files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, type Ran, run, type RunSettings } from "./programs.ts";
import type { Road } from "./roads.ts";

/** A step of a conversation about files; remote paths begin where the server lets SFTP begin. */
export type FileStep =
  | { readonly do: "put"; readonly local: string; readonly remote: string }
  | { readonly do: "get"; readonly remote: string; readonly local: string }
  | { readonly do: "rename"; readonly from: string; readonly to: string }
  | { readonly do: "remove" | "mkdir" | "rmdir"; readonly remote: string };

export type Client = {
  readonly name: string;
  /** The program that it needs and the machine lacks; null: it can be used. */
  readonly missing: string | null;
  /** What a command killed by SIGTERM is to whoever ran this client. */
  readonly ofSignal: number;
  exec(road: Road, command: string, settings?: RunSettings): Promise<Ran>;
  /** Does the steps over SFTP until one fails; status 0: all were done. */
  files(road: Road, steps: readonly FileStep[]): Promise<Ran>;
};

/** What every OpenSSH program is told about a road: `ssh` spells the port `-p`, the others `-P`. */
export function opensshOptions(road: Road, portFlag = "-p"): readonly string[] {
  const options = {
    BatchMode: "yes",
    IdentitiesOnly: "yes",
    UserKnownHostsFile: road.knownHostsFile,
    GlobalKnownHostsFile: "none",
    UpdateHostKeys: "no",
  };
  const written = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return ["-F", "none", ...written, portFlag, `${road.port}`, "-i", road.keyFile];
}

/** The command line of `ssh` on a road, e.g. `[...ssh(road, "-tt"), "uptime"]`. */
export function ssh(road: Road, ...options: readonly string[]): readonly string[] {
  return ["ssh", ...opensshOptions(road), ...options, `${road.user}@${road.host}`];
}

/** The same steps in the words of `sftp` and `psftp`. */
function batch(steps: readonly FileStep[], rename: "rename" | "mv"): string {
  const lines = steps.map((step) => {
    switch (step.do) {
      case "put":
        return `put ${step.local} ${step.remote}`;
      case "get":
        return `get ${step.remote} ${step.local}`;
      case "rename":
        return `${rename} ${step.from} ${step.to}`;
      case "remove":
        return `rm ${step.remote}`;
      default:
        return `${step.do} ${step.remote}`;
    }
  });
  return [...lines, ""].join("\n");
}

const openssh: Client = {
  name: "OpenSSH",
  missing: missing("ssh", "sftp"),
  ofSignal: 255,
  exec: (road, command, settings) => run([...ssh(road), command], settings),
  files: (road, steps) =>
    run(["sftp", "-q", ...opensshOptions(road, "-P"), "-b", "-", `${road.user}@${road.host}`], {
      stdin: batch(steps, "rename"),
    }),
};

const dropbear: Client = {
  name: "dropbear",
  missing: missing("dbclient", "dropbearconvert"),
  // It does not tell a signal from success.
  ofSignal: 0,
  exec: (road, command, settings) =>
    run([...dbclient(road), `${road.user}@${road.host}`, command], {
      ...settings,
      env: { HOME: road.folder, ...settings?.env },
    }),
  // It has no SFTP of its own; OpenSSH's program speaks it over any client that opens a subsystem.
  files: async (road, steps) => {
    const folder = mkdtempSync(join(tmpdir(), "weir-test-dbclient-"));
    const wrapper = join(folder, "dbclient");
    const unknown = "while :; do case $1 in -o|-F) shift 2 ;; -o*|-x|-a) shift ;; *) break ;; esac; done";
    writeFileSync(wrapper, `#!/bin/sh\n${unknown}\nexec ${dbclient(road).join(" ")} "$@"\n`, { mode: 0o755 });
    const ran = await run(["sftp", "-q", "-S", wrapper, "-b", "-", `${road.user}@${road.host}`], {
      stdin: batch(steps, "rename"),
      env: { HOME: road.folder },
    });
    rmSync(folder, { recursive: true });
    return ran;
  },
};

/** It keeps known hosts by name only, in the account's home: `-y -y` goes without. */
function dbclient(road: Road): readonly string[] {
  return ["dbclient", "-y", "-y", "-p", `${road.port}`, "-i", road.dropbearKeyFile];
}

const putty: Client = {
  name: "PuTTY",
  missing: missing("plink", "psftp", "puttygen"),
  ofSignal: 128,
  exec: (road, command, settings) =>
    run(["plink", "-batch", ...puttyOptions(road), `${road.user}@${road.host}`, command], {
      ...settings,
      env: { HOME: road.folder, ...settings?.env },
    }),
  files: async (road, steps) => {
    const file = join(road.folder, "psftp-batch");
    writeFileSync(file, batch(steps, "mv"));
    return run(["psftp", "-batch", "-b", file, ...puttyOptions(road), `${road.user}@${road.host}`], {
      env: { HOME: road.folder },
    });
  },
};

export function puttyOptions(road: Road): readonly string[] {
  return ["-P", `${road.port}`, "-hostkey", road.hostKeyFingerprint, "-i", road.puttyKeyFile];
}

const python = findParamiko();
const PARAMIKO_CLIENT = join(import.meta.dir, "paramiko_client.py");

const paramiko: Client = {
  name: "paramiko",
  missing: python === null ? "paramiko" : null,
  // Its name for "a signal, or nothing, came instead of a status", modulo 256.
  ofSignal: 255,
  exec: (road, command, settings) =>
    run([python ?? "", PARAMIKO_CLIENT, paramikoLogin(road), JSON.stringify({ exec: command })], settings),
  files: (road, steps) => run([python ?? "", PARAMIKO_CLIENT, paramikoLogin(road), JSON.stringify({ files: steps })]),
};

function paramikoLogin(road: Road): string {
  const { host, port, user, keyFile, knownHostsFile } = road;
  return JSON.stringify({ host, port, user, keyFile, knownHostsFile });
}

/** A Python that has paramiko; null: none has. */
function findParamiko(): string | null {
  for (const candidate of ["python3", "/usr/bin/python3"]) {
    if (missing(candidate) !== null) continue;
    if (Bun.spawnSync([candidate, "-c", "import paramiko"], { stderr: "ignore" }).exitCode === 0) return candidate;
  }
  return null;
}

const ssh2: Client = {
  name: "ssh2",
  missing: null,
  ofSignal: 143,
  exec: (road, command, settings) =>
    run([process.execPath, SSH2_CLIENT, ssh2Login(road), JSON.stringify({ exec: command })], settings),
  files: (road, steps) => run([process.execPath, SSH2_CLIENT, ssh2Login(road), JSON.stringify({ files: steps })]),
};

const SSH2_CLIENT = join(import.meta.dir, "ssh2-client.ts");

function ssh2Login(road: Road): string {
  const { host, port, user, keyFile, hostKeyFingerprint } = road;
  return JSON.stringify({ host, port, user, keyFile, hostKeyFingerprint });
}

export const CLIENTS: readonly Client[] = [openssh, dropbear, putty, paramiko, ssh2];
