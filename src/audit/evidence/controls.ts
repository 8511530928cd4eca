/** Which file of an evidence folder speaks to which control of a framework. */

export const FRAMEWORKS = ["soc2", "nist-800-53"] as const;
export type Framework = (typeof FRAMEWORKS)[number];

export type Control = {
  readonly id: string;
  readonly title: string;
  /** Files of the folder. */
  readonly artefacts: readonly string[];
  /** What they show, in one sentence. */
  readonly shows: string;
};

const SOC2: readonly Control[] = [
  {
    id: "CC6.1",
    title: "Logical access is restricted",
    artefacts: ["policies/", "entries.csv", "coverage.json"],
    shows: "Each operation was decided by a policy whose digest its entry names; refusals are entries too.",
  },
  {
    id: "CC6.2",
    title: "Credentials are issued to registered users, and removed",
    artefacts: ["tokens.jsonl"],
    shows: "Every token's creation and revocation, with who did it.",
  },
  {
    id: "CC6.3",
    title: "Access is authorised by role and least privilege",
    artefacts: ["policies/", "policies.jsonl", "entries.csv"],
    shows: "The rules that each permitted operation rests on, and every change of the rules.",
  },
  {
    id: "CC6.6",
    title: "Threats from outside the boundaries are met",
    artefacts: ["logins.jsonl", "entries.csv"],
    shows: "Logins that worked and failed with their addresses, and sessions that were refused.",
  },
  {
    id: "CC6.7",
    title: "Movement of information is restricted",
    artefacts: ["entries.csv", "policies/"],
    shows: "Rows and bytes that each operation returned, and the masks and limits that policy laid on it.",
  },
  {
    id: "CC7.2",
    title: "Components are monitored for anomalies",
    artefacts: ["alerts.jsonl", "coverage.json"],
    shows: "Alerts that policy raised, failures and gaps of the log, and silence that is proved by heartbeats.",
  },
  {
    id: "CC7.3",
    title: "Security events are evaluated",
    artefacts: ["alerts.jsonl", "unsealing.jsonl"],
    shows: "What was raised, and which sealed recordings were opened, by whom and why.",
  },
  {
    id: "CC8.1",
    title: "Changes are authorised and recorded",
    artefacts: ["policies.jsonl", "policies/"],
    shows:
      "Every policy and configuration that was active, with its digest and commit, and changes that were rejected.",
  },
];

const NIST: readonly Control[] = [
  control("AC-2", "Account management", ["tokens.jsonl"], "Every token's creation and revocation, with who did it."),
  control(
    "AC-3",
    "Access enforcement",
    ["entries.csv", "policies/"],
    "The decision on each operation, and the policy it rests on.",
  ),
  control(
    "AC-6",
    "Least privilege",
    ["policies/", "entries.csv"],
    "What was permitted to whom, by which rule, and how far it was used.",
  ),
  control("AU-2", "Event logging", ["coverage.json"], "How many entries of each kind the period has."),
  control(
    "AU-3",
    "Content of audit records",
    ["samples/", "entries.csv"],
    "Whole entries: who, what, when, where from, decision and outcome.",
  ),
  control(
    "AU-5",
    "Response to logging failures",
    ["coverage.json"],
    "Each failure of the log is an entry with the number of records lost; nothing was let through meanwhile.",
  ),
  control(
    "AU-6",
    "Review, analysis and reporting",
    ["entries.csv", "alerts.jsonl"],
    "The period as a table, and the alerts raised in it.",
  ),
  control(
    "AU-8",
    "Time stamps",
    ["stamps/", "coverage.json"],
    "Stamps of an outside authority over checkpoints, and jumps of the clock.",
  ),
  control(
    "AU-9",
    "Protection of audit information",
    ["verification.json", "checkpoints/", "tile/"],
    "The hash tree over all entries, signed and cosigned.",
  ),
  control(
    "AU-10",
    "Non-repudiation",
    ["samples/", "checkpoint"],
    "A proof of each sampled entry up to a signed checkpoint.",
  ),
  control("AU-11", "Audit record retention", ["coverage.json"], "The lowest entry that is kept, and every pruning."),
  control(
    "AU-12",
    "Audit record generation",
    ["coverage.json", "entries.csv"],
    "Every intent with its one outcome; sequences without gaps.",
  ),
  control(
    "IA-2",
    "Identification and authentication",
    ["logins.jsonl", "entries.csv"],
    "Logins, and the credential behind each operation.",
  ),
  control(
    "SC-8",
    "Transmission confidentiality and integrity",
    ["gateways.jsonl"],
    "The listeners of each start; whether they use TLS is in the configuration, which is not in this folder.",
  ),
  control(
    "SC-28",
    "Protection of information at rest",
    ["recipients.txt", "unsealing.jsonl"],
    "Who could open sealed recordings, and who did.",
  ),
  control("SI-4", "System monitoring", ["alerts.jsonl", "logins.jsonl"], "Alerts, failed logins and refused sessions."),
  control(
    "CM-3",
    "Configuration change control",
    ["policies.jsonl", "policies/"],
    "Every change of policy and configuration with digest and commit.",
  ),
];

export function controlsOf(framework: Framework): readonly Control[] {
  return framework === "soc2" ? SOC2 : NIST;
}

function control(id: string, title: string, artefacts: readonly string[], shows: string): Control {
  return { id, title, artefacts, shows };
}
