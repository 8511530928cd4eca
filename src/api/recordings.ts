/** Routes about recordings: what is done to them is recorded by the gateway that keeps them. */
import { Hono } from "hono";
import * as v from "valibot";
import type { House } from "./house.ts";

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(500));
const shredSchema = v.strictObject({ by: text, reason: text });
const unsealSchema = v.strictObject({ by: text, reason: text, keys: v.array(text) });

export function recordingRoutes(house: House): Hono {
  const routes = new Hono();
  routes.post("/:id/unsealed", async (c) => {
    const order = v.safeParse(unsealSchema, await c.req.json().catch(() => null));
    if (!order.success) return c.json({ error: { message: "this does not say who opens a recording and why" } }, 400);
    const { keys, ...rest } = order.output;
    await house.recordUnsealing({ recording: c.req.param("id"), ...rest }, keys);
    return c.json({ recorded: true });
  });
  routes.post("/:id/shred", async (c) => {
    const order = v.safeParse(shredSchema, await c.req.json().catch(() => null));
    if (!order.success) return c.json({ error: { message: "this does not say who shreds a recording and why" } }, 400);
    const shredded = await house.shredRecording({ recording: c.req.param("id"), ...order.output });
    return c.json({ shredded });
  });
  return routes;
}
