/**
 * What a well-formed file asks for that cannot be given, by this version or at all. A promise that would not be kept
 * is an error; a part whose absence only keeps people out is a warning.
 */
import { isSameKey } from "../core/ssh-public-key.ts";
import { certificateProblem } from "./certificates.ts";
import type { Problem } from "./problem.ts";
import { targetSections } from "./schema.ts";
import type { ConfigFile, TargetSchemas } from "./schema.ts";
import type { Source } from "./source.ts";

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "::1"]);

/** Every promise of the file that this version does not keep, and what it leaves alone. */
export function promiseProblems(file: ConfigFile, source: Source, adapters: TargetSchemas): Problem[] {
  const problems: Problem[] = [];
  const at: Teller = (severity, code, about, path, message) => {
    problems.push(source.at(severity, code, about, path, message));
  };
  lookAtParts(file, at);
  for (const [name, target] of Object.entries(file.targets)) lookAtTarget(name, target, adapters, at);
  lookAtIdentities(file.identity, at);
  lookAtListeners(file.listen, at);
  if (Object.keys(file.targets).length === 0) {
    at("warning", "NOT_SERVED", "key", ["targets"], "there are no targets: nobody can open a session");
  }
  return problems;
}

/** Tells one problem, as Source.at() makes it. */
type Teller = (...problem: Parameters<Source["at"]>) => void;

function lookAtParts({ audit, policies }: ConfigFile, at: Teller): void {
  if (audit.witnessLagSecondsMax !== undefined && audit.witnesses.length === 0) {
    const message = "there are no witnesses whose lag it could bound; name some, or take it out";
    at("error", "NOT_KEPT", "key", ["audit", "witnessLagSecondsMax"], message);
  }
  if (typeof policies !== "string") {
    at("error", "NOT_KEPT", "key", ["policies"], "this version reads policies from a folder only; name one");
  }
}

function lookAtTarget(name: string, target: ConfigFile["targets"][string], adapters: TargetSchemas, at: Teller): void {
  const sections: Readonly<Record<string, unknown>> = target;
  for (const section of Object.keys(targetSections(adapters))) {
    if (sections[section] === undefined) continue;
    const adapter = Object.hasOwn(adapters, section) ? adapters[section] : undefined;
    if (target.masking !== undefined && (adapter?.masking ?? null) === null) {
      at("error", "NOT_KEPT", "key", ["targets", name, "masking"], `masking is not for ${section}; take it out`);
    }
    if (adapter !== undefined) continue;
    const message = `this version does not speak ${section}: the target ${name} cannot be reached through it`;
    at("warning", "NOT_SERVED", "key", ["targets", name, section], message);
  }
}

function lookAtIdentities({ oidc, saml, keys }: ConfigFile["identity"], at: Teller): void {
  const only = "this version knows weir tokens and SSH keys only";
  if (oidc.length > 0) at("warning", "NOT_SERVED", "key", ["identity", "oidc"], `${only}: nobody can log in by OIDC`);
  if (saml.length > 0) at("warning", "NOT_SERVED", "key", ["identity", "saml"], `${only}: nobody can log in by SAML`);
  for (const [index, { publicKey }] of keys.entries()) {
    if (!keys.slice(0, index).some((other) => isSameKey(other.publicKey.blob, publicKey.blob))) continue;
    const path = ["identity", "keys", index, "publicKey"];
    at("error", "NOT_KEPT", "key", path, "this key is bound twice; a key is one subject's");
  }
}

function lookAtListeners({ http, postgres, ssh }: ConfigFile["listen"], at: Teller): void {
  if (http !== undefined) {
    at("warning", "NOT_SERVED", "key", ["listen", "http"], "this version does not speak http: nothing listens there");
  }
  if (postgres === undefined && ssh === undefined) {
    at("error", "MISSING_KEY", "key", ["listen"], "listen has no postgres and no ssh; weir would serve nobody");
  }
  if (postgres === undefined) return;
  const path = ["listen", "postgres", "tls"];
  if (postgres.tls === "off" && !isLoopback(postgres.host)) {
    const message = `without TLS only clients on this machine can log in, because tokens never cross a network in plain text; write tls: auto`;
    at("warning", "NOT_SERVED", "key", path, message);
  }
  if (typeof postgres.tls !== "object") return;
  const problem = certificateProblem(postgres.tls, Date.now());
  if (problem === null) return;
  const key = [...path, problem.key];
  at("error", "BAD_VALUE", "value", key, `${key.join(".")}: ${problem.message}`);
}

function isLoopback(host: string): boolean {
  return LOOPBACK_HOSTS.has(host) || host.startsWith("127.");
}
