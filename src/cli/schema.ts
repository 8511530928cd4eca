/** `weir schema`: JSON Schemas for editors. */
import { TARGET_SCHEMAS, VOCABULARIES } from "../../adapters/index.ts";
import { configJsonSchema } from "../config/json-schema.ts";
import { policyJsonSchema } from "../policy/language/schema.ts";
import type { Command } from "./command.ts";

export const schemaConfigCommand: Command = {
  words: ["schema", "config"],
  summary: "Print the JSON Schema of weir.yaml",
  positionals: [],
  options: [],
  notes: [
    "An editor that knows YAML completes and checks weir.yaml with it, for instance by a first line",
    "  # yaml-language-server: $schema=weir.schema.json",
  ],
  run: async (args, terminal) => {
    const schema = configJsonSchema(TARGET_SCHEMAS);
    terminal.out(args.isJson ? JSON.stringify(schema) : JSON.stringify(schema, null, 2));
    return 0;
  },
};

export const schemaPolicyCommand: Command = {
  words: ["schema", "policy"],
  summary: "Print the JSON Schema of policy files, with the adapters' words in it",
  positionals: [],
  options: [],
  notes: [],
  run: async (args, terminal) => {
    const schema = policyJsonSchema(VOCABULARIES);
    terminal.out(args.isJson ? JSON.stringify(schema) : JSON.stringify(schema, null, 2));
    return 0;
  },
};
