/** All commands, in the order in which the help shows them. */
import { auditSearchCommand } from "./audit-search.ts";
import { auditKeysCommand, auditPruneCommand, auditRotateKeyCommand } from "./audit-keys.ts";
import { auditShowCommand, auditTailCommand } from "./audit.ts";
import { auditReplayCommand } from "./audit-replay.ts";
import { auditShredCommand } from "./audit-shred.ts";
import { auditUnsealCommand } from "./audit-unseal.ts";
import { auditEvidenceCommand } from "./audit-evidence.ts";
import { auditExportCommand } from "./audit-export.ts";
import { auditVerifyCommand } from "./audit-verify.ts";
import { checkCommand } from "./check.ts";
import { clockConfirmCommand } from "./clock.ts";
import type { Command } from "./command.ts";
import { demoCommand } from "./demo.ts";
import { policyCatalogPullCommand } from "./policy-catalog.ts";
import { policyCheckCommand } from "./policy.ts";
import { policyBacktestCommand } from "./policy-backtest.ts";
import { policyBundleCommand, policyVerifyBundleCommand } from "./policy-bundle.ts";
import { policyDiffCommand } from "./policy-diff.ts";
import { policyExplainCommand } from "./policy-explain.ts";
import { policyTestCommand } from "./policy-test.ts";
import { policyWhoCanCommand } from "./policy-who-can.ts";
import { psqlCommand } from "./psql.ts";
import { schemaConfigCommand, schemaPolicyCommand } from "./schema.ts";
import { sessionsKillCommand, sessionsListCommand, sessionsShowCommand } from "./sessions.ts";
import { sshCommand } from "./ssh.ts";
import { statusCommand } from "./status.ts";
import { targetsCheckCommand } from "./targets-check.ts";
import { targetsDiscoverCommand } from "./targets-discover.ts";
import { targetsListCommand } from "./targets-list.ts";
import { targetsPrepareCommand } from "./targets-prepare.ts";
import { tokenCreateCommand, tokenListCommand, tokenRevokeCommand } from "./token.ts";
import { upCommand } from "./up.ts";
import { versionCommand } from "./version.ts";
import { witnessCommand } from "./witness.ts";

export const COMMANDS: readonly Command[] = [
  upCommand,
  demoCommand,
  checkCommand,
  statusCommand,
  clockConfirmCommand,
  schemaConfigCommand,
  schemaPolicyCommand,
  tokenCreateCommand,
  tokenListCommand,
  tokenRevokeCommand,
  policyCheckCommand,
  policyTestCommand,
  policyCatalogPullCommand,
  policyExplainCommand,
  policyWhoCanCommand,
  policyDiffCommand,
  policyBacktestCommand,
  policyBundleCommand,
  policyVerifyBundleCommand,
  targetsListCommand,
  targetsPrepareCommand,
  targetsCheckCommand,
  targetsDiscoverCommand,
  auditTailCommand,
  auditShowCommand,
  auditKeysCommand,
  auditRotateKeyCommand,
  auditPruneCommand,
  auditSearchCommand,
  sessionsListCommand,
  sessionsShowCommand,
  sessionsKillCommand,
  auditVerifyCommand,
  auditReplayCommand,
  auditUnsealCommand,
  auditShredCommand,
  auditExportCommand,
  auditEvidenceCommand,
  witnessCommand,
  psqlCommand,
  sshCommand,
  versionCommand,
];
