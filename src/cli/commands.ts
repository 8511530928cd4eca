/** All commands, in the order in which the help shows them. A call loads the one that it names. */
import type { Command } from "./command.ts";

/** A command by its words; what it does is loaded when it is called, since all of them together take several times as long as most do. */
export type Call = { readonly words: Command["words"]; readonly load: () => Promise<Command> };

export const COMMANDS: readonly Call[] = [
  call("up", async () => (await import("./up.ts")).upCommand),
  call("demo", async () => (await import("./demo.ts")).demoCommand),
  call("check", async () => (await import("./check.ts")).checkCommand),
  call("status", async () => (await import("./status.ts")).statusCommand),
  call("clock confirm", async () => (await import("./clock.ts")).clockConfirmCommand),
  call("schema config", async () => (await import("./schema.ts")).schemaConfigCommand),
  call("schema policy", async () => (await import("./schema.ts")).schemaPolicyCommand),
  call("token create", async () => (await import("./token.ts")).tokenCreateCommand),
  call("token list", async () => (await import("./token.ts")).tokenListCommand),
  call("token revoke", async () => (await import("./token.ts")).tokenRevokeCommand),
  call("policy check", async () => (await import("./policy.ts")).policyCheckCommand),
  call("policy test", async () => (await import("./policy-test.ts")).policyTestCommand),
  call("policy catalog pull", async () => (await import("./policy-catalog.ts")).policyCatalogPullCommand),
  call("policy explain", async () => (await import("./policy-explain.ts")).policyExplainCommand),
  call("policy who-can", async () => (await import("./policy-who-can.ts")).policyWhoCanCommand),
  call("policy diff", async () => (await import("./policy-diff.ts")).policyDiffCommand),
  call("policy backtest", async () => (await import("./policy-backtest.ts")).policyBacktestCommand),
  call("policy bundle", async () => (await import("./policy-bundle.ts")).policyBundleCommand),
  call("policy verify-bundle", async () => (await import("./policy-bundle.ts")).policyVerifyBundleCommand),
  call("targets list", async () => (await import("./targets-list.ts")).targetsListCommand),
  call("targets prepare", async () => (await import("./targets-prepare.ts")).targetsPrepareCommand),
  call("targets check", async () => (await import("./targets-check.ts")).targetsCheckCommand),
  call("targets discover", async () => (await import("./targets-discover.ts")).targetsDiscoverCommand),
  call("audit tail", async () => (await import("./audit.ts")).auditTailCommand),
  call("audit show", async () => (await import("./audit.ts")).auditShowCommand),
  call("audit keys", async () => (await import("./audit-keys.ts")).auditKeysCommand),
  call("audit rotate-key", async () => (await import("./audit-keys.ts")).auditRotateKeyCommand),
  call("audit prune", async () => (await import("./audit-keys.ts")).auditPruneCommand),
  call("audit search", async () => (await import("./audit-search.ts")).auditSearchCommand),
  call("sessions list", async () => (await import("./sessions.ts")).sessionsListCommand),
  call("sessions show", async () => (await import("./sessions.ts")).sessionsShowCommand),
  call("sessions kill", async () => (await import("./sessions.ts")).sessionsKillCommand),
  call("audit verify", async () => (await import("./audit-verify.ts")).auditVerifyCommand),
  call("audit replay", async () => (await import("./audit-replay.ts")).auditReplayCommand),
  call("audit unseal", async () => (await import("./audit-unseal.ts")).auditUnsealCommand),
  call("audit shred", async () => (await import("./audit-shred.ts")).auditShredCommand),
  call("audit export", async () => (await import("./audit-export.ts")).auditExportCommand),
  call("audit evidence", async () => (await import("./audit-evidence.ts")).auditEvidenceCommand),
  call("witness", async () => (await import("./witness.ts")).witnessCommand),
  call("psql", async () => (await import("./psql.ts")).psqlCommand),
  call("ssh", async () => (await import("./ssh.ts")).sshCommand),
  call("version", async () => (await import("./version.ts")).versionCommand),
];

/** The commands themselves, for a text or a check over several. */
export async function loadCommands(calls: readonly Call[]): Promise<readonly Command[]> {
  return Promise.all(calls.map(({ load }) => load()));
}

function call(words: string, load: () => Promise<Command>): Call {
  const [first = "", ...others] = words.split(" ");
  return { words: [first, ...others], load };
}
