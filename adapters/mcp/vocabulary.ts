/** The words of MCP that policy may use under `action.mcp`; README.md says which operation has which of them. */
import { OBLIGATION_KINDS } from "../../src/core/obligation.ts";
import type { Vocabulary } from "../../src/core/vocabulary.ts";

/** Requests of the specifications 2025-11-25 and 2026-07-28 and of the extension for tasks. */
const METHODS = [
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "tools/call",
  "prompts/list",
  "prompts/get",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "subscriptions/listen",
  "completion/complete",
  "logging/setLevel",
  "tasks/get",
  "tasks/list",
  "tasks/result",
  "tasks/update",
  "tasks/cancel",
  /** Asked by the server. */
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
] as const;

/** A tool's annotations, as they were pinned: without `Hint`, as the specification calls them. */
const HINTS = ["readOnly", "destructive", "idempotent", "openWorld"] as const;

export const MCP_VOCABULARY: Vocabulary = {
  name: "mcp",
  keys: {
    servers: { kind: "names", description: "Servers behind the target, as it declares them.", ofSession: true },
    methods: { kind: "enum", description: "JSON-RPC methods.", values: METHODS },
    tools: { kind: "names", description: "Tools that are called.", guardsIgnoreCase: true },
    hints: {
      kind: "enum",
      description:
        "What the pinned manifest says of the tool. A permit lists all that may be said of it, a guard what must not.",
      values: HINTS,
    },
    args: {
      kind: "fields",
      description:
        "Arguments by name (`a.b` inside another), each with the values that it may have; of prompts/get `name` too, of resources/read `uri`.",
      guardsIgnoreCase: true,
    },
    contains: {
      kind: "contains",
      description: "Texts that stand somewhere in the arguments, or $patterns that match a part of them.",
      guardsIgnoreCase: true,
    },
  },
  sets: {},
  keeps: OBLIGATION_KINDS,
};
