/** Routes about the log itself: its key is exchanged, its oldest entries are taken away. */
import { Hono } from "hono";
import * as v from "valibot";
import type { House } from "./house.ts";

const orderSchema = v.strictObject({ before: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) });

export function logRoutes(house: House): Hono {
  const routes = new Hono();
  routes.post("/rotate-key", async (c) => c.json(await house.rotateLogKey()));
  routes.post("/prune", async (c) => {
    const body: unknown = await c.req.json().catch(() => null);
    const order = v.safeParse(orderSchema, body);
    if (!order.success) return c.json({ error: { message: "this is no order to prune the log" } }, 400);
    return c.json(await house.pruneLog(order.output.before));
  });
  return routes;
}
