/** What every adapter owes the house, as one suite that each runs unchanged against a real target of its own. */
import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { testDecisions } from "./contract/decisions.ts";
import { testDetails } from "./contract/details.ts";
import { testDrain, testVanishing } from "./contract/endings.ts";
import { testFailingLog } from "./contract/failing-log.ts";
import type { AdapterHarness } from "./contract/harness.ts";
import { testLimits } from "./contract/limits.ts";
import { testLogin } from "./contract/logins.ts";
import { testOpenSessions } from "./contract/open-sessions.ts";
import { testSecrets } from "./contract/secrets.ts";
import { Suite } from "./contract/suite.ts";

/** Longer than any promise that is waited for here. */
const TEST_TIME_MS_MAX = 240_000;

/** Runs the whole suite. Call it once, at the top of a test file of the adapter. */
export function describeAdapter(harness: AdapterHarness): void {
  setDefaultTimeout(TEST_TIME_MS_MAX);
  describe(`contract of the adapter ${harness.adapter}`, () => {
    const suite = new Suite(harness);
    beforeAll(() => suite.start());
    afterAll(() => suite.stop());
    testLogin(suite);
    testDecisions(suite);
    testOpenSessions(suite);
    testLimits(suite);
    testVanishing(suite);
    testDrain(suite);
    testDetails(suite);
    testFailingLog(suite);
    testSecrets(suite);
  });
}
