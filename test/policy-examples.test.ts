/** The sets that weir brings along, its own and the three example companies: they load, their tests hold, and no rule is untested. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ADAPTERS, KEEPS, VOCABULARIES } from "../adapters/index.ts";
import { RuleIndex } from "../src/policy/engine/index.ts";
import { loadPolicies } from "../src/policy/load.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { runTests } from "../src/policy/tests/test-run.ts";

const POLICIES = join(import.meta.dir, "../policies");
const COMPANIES = readdirSync(join(POLICIES, "examples")).toSorted();
const TOOLS = new Map(ADAPTERS.map((adapter) => [adapter.name, adapter.policy]));
/** Windows and validities of the sets were written for it. */
const NOW = Date.UTC(2027, 2, 1, 12);

test("there are three companies", () => expect(COMPANIES).toEqual(["bank", "factory", "saas"]));

describe("the company", () => {
  for (const company of COMPANIES) {
    test(company, async () => {
      const set = await loadPolicies(join(POLICIES, "examples", company), VOCABULARIES, null, KEEPS);
      const wrong = set.problems.filter(({ code }) => code !== "NOT_KEPT_YET");
      expect(wrong.map(formatProblem)).toEqual([]);
      const index = new RuleIndex(set.rules, VOCABULARIES, set.author.patterns);
      const report = await runTests(set, index, TOOLS, { now: NOW });
      expect(report.errors.map(formatProblem)).toEqual([]);
      expect(report.warnings.map(formatProblem)).toEqual([]);
      expect(report.untested.map(({ id }) => id)).toEqual([]);
      expect(report.results.length).toBeGreaterThan(20);
    });
  }
});
