/** Conversations that nobody thought of: whatever messages a client sends in whatever order, the answers are the server's. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { array, asyncProperty, check, constantFrom } from "fast-check";
import { converse, step, STEP_ROADS } from "./random-steps.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(2 * TEST_TIME_MS_MAX);

const CONVERSATIONS = 120;
const MESSAGES_MAX = 40;

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start(STEP_ROADS);
});

afterAll(async () => {
  await roads.stop();
});

test("random conversations are answered as the server answers them", async () => {
  const conversation = asyncProperty(
    array(step, { minLength: 1, maxLength: MESSAGES_MAX }),
    constantFrom(1, 3, MESSAGES_MAX),
    async (steps, pieceSteps) => {
      const seen = await roads.compare((client) => converse(client, steps, pieceSteps));
      if (!seen.at(-1)?.includes("S=FATAL")) expect(seen.at(-3)).toBe("D the end");
    },
  );
  const details = await check(conversation, { numRuns: CONVERSATIONS, endOnFailure: true });
  if (!details.failed) return;
  const [steps = [], pieceSteps] = details.counterexample ?? [];
  throw new Error(
    `seed ${details.seed}, pieces of ${pieceSteps}:\n${steps.map(({ word }) => word).join("\n")}\n${String(details.errorInstance)}`,
  );
});
