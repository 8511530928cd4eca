/** The policy that the suite judges by, in the adapter's own words for the things that are asked for. */
import type { AdapterHarness } from "./harness.ts";

const POLICY_SET = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: contract\n";
export const OPEN = "open";
export const CLOSED = "closed";

/** `ann` may do what is permitted on the target `open`; `opal` may also do what cannot be read. */
export function policy(
  actions: AdapterHarness["actions"],
  more: { readonly permits?: string; readonly guards?: string } = {},
): Readonly<Record<string, string>> {
  const permits =
    more.permits ??
    `  - { id: contract-may, subject: { any: true }, target: { names: [${OPEN}] }, action: [${actions.permitted}, ${actions.held}] }
  - { id: contract-opaque, subject: { names: [opal] }, target: { names: [${OPEN}] }, action: { any: true }, allowOpaque: true }
`;
  return {
    "policy.yaml": POLICY_SET,
    "permits/contract.yaml": `apiVersion: weir.dev/v1\nkind: Permits\nrules:\n${permits}`,
    "guards/contract.yaml": `apiVersion: weir.dev/v1\nkind: Guards\nrules:\n  - { id: contract-never, subject: { names: [ann] }, action: ${actions.denied}, deny: "never through here" }\n${more.guards ?? ""}`,
  };
}
