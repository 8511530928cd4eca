/** Routes about tokens: make, list, revoke. */
import { Hono } from "hono";
import * as v from "valibot";
import type { House } from "./house.ts";

const DURATION_MS_MAX = 100 * 365 * 86_400_000;

const orderSchema = v.strictObject({
  subject: v.string(),
  kind: v.picklist(["human", "agent", "service"]),
  groups: v.array(v.string()),
  owner: v.nullable(v.string()),
  expiresInMs: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(DURATION_MS_MAX))),
});

export function tokenRoutes(house: House): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => c.json({ tokens: await house.listTokens() }));
  routes.post("/", async (c) => {
    const body: unknown = await c.req.json().catch(() => null);
    const order = v.safeParse(orderSchema, body);
    if (!order.success) return c.json({ error: { message: "this is no order for a token" } }, 400);
    return c.json(await house.createToken(order.output), 201);
  });
  routes.post("/:id/revoke", async (c) => {
    const record = await house.revokeToken(c.req.param("id"));
    return record === null ? c.json({ error: { message: "there is no such token" } }, 404) : c.json({ record });
  });
  return routes;
}
