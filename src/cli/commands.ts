/** All commands, in the order in which the help shows them. */
import { auditShowCommand, auditTailCommand } from "./audit.ts";
import { checkCommand } from "./check.ts";
import type { Command } from "./command.ts";
import { demoCommand } from "./demo.ts";
import { policyCheckCommand } from "./policy.ts";
import { psqlCommand } from "./psql.ts";
import { schemaConfigCommand, schemaPolicyCommand } from "./schema.ts";
import { statusCommand } from "./status.ts";
import { tokenCreateCommand, tokenListCommand, tokenRevokeCommand } from "./token.ts";
import { upCommand } from "./up.ts";
import { versionCommand } from "./version.ts";

export const COMMANDS: readonly Command[] = [
  upCommand,
  demoCommand,
  checkCommand,
  statusCommand,
  schemaConfigCommand,
  schemaPolicyCommand,
  tokenCreateCommand,
  tokenListCommand,
  tokenRevokeCommand,
  policyCheckCommand,
  auditTailCommand,
  auditShowCommand,
  psqlCommand,
  versionCommand,
];
