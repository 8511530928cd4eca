/**
 * What a well-formed file asks for that cannot be given, by this version or at all. A promise that would not be kept
 * is an error; a part whose absence only keeps people out is a warning.
 */
import { certificateProblem } from "./certificates.ts";
import type { Problem } from "./problem.ts";
import { targetSections } from "./schema.ts";
import type { ConfigFile, TargetSchemas } from "./schema.ts";
import type { Path, Source } from "./source.ts";

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "::1"]);

/** Every promise of the file that this version does not keep, and what it leaves alone. */
export function promiseProblems(file: ConfigFile, source: Source, adapters: TargetSchemas): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Path, message: string): void => {
    problems.push(source.at("error", "NOT_KEPT", "key", path, message));
  };
  const warn = (path: Path, message: string): void => {
    problems.push(source.at("warning", "NOT_SERVED", "key", path, message));
  };

  if (file.audit.seal !== undefined) refuse(["audit", "seal"], "this version does not seal recordings; take it out");
  if (file.audit.witnesses.length > 0) refuse(["audit", "witnesses"], "this version has no witnesses; take them out");
  if (typeof file.policies !== "string") {
    refuse(["policies"], "this version reads policies from a folder only; name one");
  }

  for (const [name, target] of Object.entries(file.targets)) {
    if (target.masking !== undefined) refuse(["targets", name, "masking"], "this version does not mask; take it out");
    const sections: Readonly<Record<string, unknown>> = target;
    for (const section of Object.keys(targetSections(adapters))) {
      if (sections[section] === undefined || Object.hasOwn(adapters, section)) continue;
      warn(
        ["targets", name, section],
        `this version does not speak ${section}: the target ${name} cannot be reached through it`,
      );
    }
  }

  if (file.listen.ssh !== undefined) warn(["listen", "ssh"], "this version does not speak ssh: nothing listens there");
  if (file.listen.http !== undefined) {
    warn(["listen", "http"], "this version does not speak http: nothing listens there");
  }
  if (file.identity.oidc.length > 0) {
    warn(["identity", "oidc"], "this version knows weir tokens only: nobody can log in by OIDC");
  }
  if (file.identity.saml.length > 0) {
    warn(["identity", "saml"], "this version knows weir tokens only: nobody can log in by SAML");
  }
  if (file.identity.keys.length > 0) {
    warn(["identity", "keys"], "this version knows weir tokens only: nobody can log in by key");
  }

  const postgres = file.listen.postgres;
  if (postgres === undefined) {
    problems.push(
      source.at("error", "MISSING_KEY", "key", ["listen"], "listen has no postgres; weir would serve nobody"),
    );
  } else if (postgres.tls === "off" && !isLoopback(postgres.host)) {
    const message = `without TLS only clients on this machine can log in, because tokens never cross a network in plain text; write tls: auto`;
    problems.push(source.at("warning", "NOT_SERVED", "key", ["listen", "postgres", "tls"], message));
  }
  if (typeof postgres?.tls === "object") {
    const problem = certificateProblem(postgres.tls, Date.now());
    if (problem !== null) {
      const path = ["listen", "postgres", "tls", problem.key];
      problems.push(source.at("error", "BAD_VALUE", "value", path, `${path.join(".")}: ${problem.message}`));
    }
  }
  if (Object.keys(file.targets).length === 0) warn(["targets"], "there are no targets: nobody can open a session");
  return problems;
}

function isLoopback(host: string): boolean {
  return LOOPBACK_HOSTS.has(host) || host.startsWith("127.");
}
