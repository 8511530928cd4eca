/** Routes about sessions that are open: list, kill. */
import { Hono } from "hono";
import * as v from "valibot";
import type { House } from "./house.ts";

const USER_UNITS_MAX = 128;
const REASON_UNITS_MAX = 500;

const orderSchema = v.strictObject({
  user: v.nullable(v.pipe(v.string(), v.maxLength(USER_UNITS_MAX))),
  reason: v.nullable(v.pipe(v.string(), v.maxLength(REASON_UNITS_MAX))),
});

export function sessionRoutes(house: House): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => c.json({ sessions: await house.listSessions() }));
  routes.post("/:id/kill", async (c) => {
    const body: unknown = await c.req.json().catch(() => null);
    const order = v.safeParse(orderSchema, body);
    if (!order.success) {
      const message = `this is no order to end a session: a reason has at most ${REASON_UNITS_MAX} characters`;
      return c.json({ error: { message } }, 400);
    }
    const session = await house.killSession(c.req.param("id"), order.output);
    return session === null ? c.json({ error: { message: "there is no such session" } }, 404) : c.json({ session });
  });
  return routes;
}
