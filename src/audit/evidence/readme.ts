/** The page that explains a folder of evidence, with the exact commands that check it. */
import { controlsOf, type Framework } from "./controls.ts";
import type { Written } from "./folder.ts";

export type ReadmeParts = {
  readonly framework: Framework;
  readonly fromMs: number;
  readonly toMs: number;
  readonly written: Written;
  /** Verifier keys of the witnesses that the gateway is configured with. */
  readonly witnesses: readonly string[];
  /** Witnesses that have really signed the newest checkpoint. */
  readonly cosignedBy: readonly string[];
  readonly recipients: readonly string[];
  /** What became of the policies that were active: where they are, or why they are not here. */
  readonly policies: readonly { readonly digest: string; readonly commit: string | null; readonly state: string }[];
  readonly isVerified: boolean;
  readonly version: string;
};

export function readmeOf(parts: ReadmeParts): string {
  const { written, framework, cosignedBy, recipients, policies } = parts;
  const { origin, from, to, checkpoint, root, seed, samples } = written;
  const keyOptions = written.keys.map((key) => ` --key '${key}'`).join("");
  const keyFlags = written.keys.map((key) => ` -key '${key}'`).join("");
  const sample = samples[0];
  const witnessOptions = cosignedBy.map((each) => ` --witness '${each}'`).join("");
  const witnessFlags = cosignedBy.map((each) => ` -witness '${each}'`).join("");
  const lines = [
    `# Evidence from the audit log of ${origin}`,
    "",
    `Period: ${iso(parts.fromMs)} to ${iso(parts.toMs)} (not included). Framework: ${framework}. Written by weir ${parts.version}.`,
    "",
    `The period is the entries ${from} to ${to - 1}: ${to - from} of them, out of ${checkpoint.size} in the tree whose root is`,
    `\`${root}\`. Entries are numbered without gaps and the signed tree has a place for each, so these are all there were.`,
    parts.isVerified
      ? "When this folder was written, weir verified it: see verification.json."
      : "**When this folder was written, weir found something wrong with it: see verification.json.**",
    "",
    "## Check it",
    "",
    "First compare the log's verifier keys (those it had before come last) with what you got when the gateway was set up; by itself what stands here proves nothing:",
    "",
    ...written.keys.map((key) => `    ${key}`),
    "",
    "With weir, in this folder:",
    "",
    "```sh",
    `weir audit verify .${keyOptions}${witnessOptions}`,
    "```",
    "",
    "Without weir: with the program in test/independent of weir's sources (Go, on golang.org/x/mod/sumdb), or any other that reads",
    "C2SP tlog-tiles and tlog-proof:",
    "",
    "```sh",
    `independent tiles .${keyFlags}${witnessFlags}`,
    ...samples.map(
      ({ index }) => `independent proof samples/${index}.tlog-proof${keyFlags} -leaf samples/${index}.json`,
    ),
    "```",
  ];
  if (sample !== undefined) {
    lines.push(
      "",
      "With a shell alone: the leaf hash of a sampled entry is the SHA-256 of a zero byte and the entry.",
      "",
      "```sh",
      ...samples.map(
        ({ index, leafHash }) => `(printf '\\000'; cat samples/${index}.json) | sha256sum | grep -q ${leafHash}`,
      ),
      "```",
    );
  }
  if (written.stamps.length > 0) {
    lines.push(
      "",
      "Stamps of the time stamping authority, with its certificate in ca.pem (which is not in this folder):",
      "",
      ...written.stamps.map(
        (size) => `    openssl ts -verify -token_in -in stamps/${size}.tsr -data stamps/${size}.note -CAfile ca.pem`,
      ),
    );
  }
  lines.push(
    "",
    "## The sample",
    "",
    `${samples.length} entries, drawn with the seed \`${seed}\`: the i-th draw is the first six bytes of SHA-256 of the seed, a colon and i (from 0),`,
    `modulo ${to - from}, plus ${from}; what was drawn before is drawn again. ${seed === root ? "The seed is the tree's root, which nobody could choose." : "The seed was given by whoever asked for this folder."}`,
    "",
    "## Who signed",
    "",
    cosignedBy.length === 0
      ? "No witness has cosigned the newest checkpoint: this folder proves nothing against whoever holds the log's own key."
      : `Cosigned by ${cosignedBy.join(", ")}.`,
    ...(parts.witnesses.length > cosignedBy.length
      ? [
          `Configured as witnesses, but not among the signatures: ${parts.witnesses.filter((each) => !cosignedBy.includes(each)).join(", ")}.`,
        ]
      : []),
    "",
    "## Policies",
    "",
    "| digest | commit | where |",
    "|---|---|---|",
    ...policies.map(({ digest, commit, state }) => `| ${digest} | ${commit ?? "not in git"} | ${state} |`),
    "",
    "## Sealed data",
    "",
    recipients.length === 0
      ? "No recipients are configured: nothing is sealed now."
      : `Can be opened by (age recipients, as configured now): ${recipients.join(", ")}. Who did open some: unsealing.jsonl.`,
    "",
    "## Controls",
    "",
    "| control | | files | what they show |",
    "|---|---|---|---|",
    ...controlsOf(framework).map(
      ({ id, title, artefacts, shows }) =>
        `| ${id} | ${title} | ${artefacts.map((each) => `\`${each}\``).join(", ")} | ${shows} |`,
    ),
    "",
    "## What is not here",
    "",
    "- Texts of statements and commands: the log has their SHA-256 only. Recordings, where policy asked for them, are kept apart.",
    "- Grants and approvals: this version of weir has none; operations that policy would have asked for were refused, and are entries.",
    "- What bypassed the gateway: the log knows what went through it.",
    "",
  );
  return lines.join("\n");
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
