/** What the gate is asked about: a client's message as an operation, and one of the gateway's own. */
import type { Meter } from "../../src/core/obligation.ts";
import type { Operation, OperationParameters } from "../../src/core/operation.ts";
import type { Door } from "../../src/core/ports.ts";
import type { Session } from "../../src/core/session.ts";
import type { Analysis } from "./analysis.ts";

export function clientOperation(
  door: Door,
  session: Session,
  kind: string,
  analysis: Analysis,
  parameters: OperationParameters | null,
  meters: readonly Meter[] = [],
): Operation {
  const operation: { -readonly [Key in keyof Operation]: Operation[Key] } = {
    id: door.operationId(),
    session,
    kind,
    accesses: analysis.accesses,
    understood: analysis.understood,
    text: analysis.text,
    textSha256: analysis.textSha256,
    catalogDigest: analysis.catalogDigest,
  };
  if (parameters !== null) operation.parameters = parameters;
  if (meters.length > 0) operation.meters = meters;
  return operation;
}

/** Of the gateway's own, for the session that it serves. */
export function houseOperation(door: Door, session: Session, kind: string, text: string): Operation {
  return {
    id: door.operationId(),
    session,
    kind,
    accesses: [{ class: "connect", facts: {}, ambient: true }],
    understood: true,
    text,
    textSha256: null,
    catalogDigest: null,
  };
}
