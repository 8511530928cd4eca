/** The example policies of the folder `policies`, which were written for the demo's shop, as texts inside the program. */
import GUARDS_AGENTS from "../../../policies/guards/agents.yaml" with { type: "text" };
import PERMITS_AGENTS from "../../../policies/permits/agents.yaml" with { type: "text" };
import PERMITS_DBA from "../../../policies/permits/dba.yaml" with { type: "text" };
import POLICY from "../../../policies/policy.yaml" with { type: "text" };
import VOCABULARY from "../../../policies/vocabulary.yaml" with { type: "text" };

/** By path within a policy folder. */
export const EXAMPLE_POLICIES: Readonly<Record<string, string>> = {
  "policy.yaml": text(POLICY),
  "vocabulary.yaml": text(VOCABULARY),
  "permits/agents.yaml": text(PERMITS_AGENTS),
  "permits/dba.yaml": text(PERMITS_DBA),
  "guards/agents.yaml": text(GUARDS_AGENTS),
};

/** The compiler takes every YAML import for a parsed one. */
function text(contents: unknown): string {
  if (typeof contents !== "string") throw new Error("a policy file was not put in as text");
  return contents;
}
