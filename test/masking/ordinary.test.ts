/** What tools send by themselves before their user has asked anything, and how people write, is answered while columns are masked. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { eventsOf } from "./answers.ts";
import { play } from "./player.ts";
import { gatewayRoad, type Mode, Pair } from "./roads.ts";

setDefaultTimeout(240_000);

const STATEMENTS = [
  // Django, and whoever sets by a function.
  "SELECT set_config('TimeZone', 'UTC', false)",
  // pgAdmin
  "SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'",
  "SELECT gss_authenticated, encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()",
  "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
  // DBeaver
  `SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description
   FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
   LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
   LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
   WHERE NOT a.attisdropped AND c.oid = 'app.customers'::regclass ORDER BY a.attnum`,
  `SELECT p.oid AS poid, p.*, pg_catalog.pg_get_expr(p.proargdefaults, 0) AS arg_defaults
   FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'app'::regnamespace ORDER BY p.proname`,
  `SELECT i.*, c.relname, pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans
   FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'app.orders'::regclass`,
  "SELECT p FROM pg_proc p WHERE p.proname = 'get_email'",
  "SELECT srv.oid, srv.* FROM pg_catalog.pg_foreign_server srv",
  "SELECT * FROM information_schema.routines WHERE routine_schema = 'app'",
  // DataGrip
  "SELECT N.oid::bigint AS id, N.xmin AS state_number, nspname AS name FROM pg_catalog.pg_namespace N ORDER BY 3",
  "SELECT PR.oid, PR.xmin AS state_number, PR.prosrc FROM pg_catalog.pg_proc PR WHERE pronamespace = 'app'::regnamespace",
  // Metabase
  `SELECT n.nspname, c.relname, NULLIF(stat.n_live_tup, 0) AS estimated_row_count
   FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
   LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname
   WHERE n.nspname = 'app' AND c.relkind IN ('r', 'p')`,
  // People
  "SELECT id FROM customers WHERE id NOT /* these */ IN (1, 2)",
  "SELECT id, email FROM customers WHERE full_name NOT -- nobody\n LIKE 'x%' ORDER BY email NULLS /* or */ FIRST, id",
  "SELECT x, email FROM customers, unnest(ARRAY['a', 'b']) WITH /* its */ ORDINALITY AS t(x, place) WHERE id = 1",
  "SELECT U&'!0061' /* a */ UESCAPE '!', email FROM customers WHERE id = 1",
] as const;

const MODES: readonly Mode[] = ["plain", "guarded", "inline"];

test.each(MODES)("%s: none is refused, and none shows a source or a secret", async (mode) => {
  const road = await gatewayRoad(mode);
  try {
    const { original } = await Pair.original(road.server).fresh();
    const stage = road.stage(original, "gw_agent");
    for (const sql of STATEMENTS) {
      const events = eventsOf(await play([sql], "extended", stage));
      expect({ sql, errors: events.filter((event) => "error" in event) }).toEqual({ sql, errors: [] });
      expect(events.some((event) => "rows" in event)).toBe(true);
      if (mode !== "plain") expect(JSON.stringify(events)).not.toMatch(/SELECT email FROM app\.customers|canary-/u);
    }
    const [reported] = eventsOf(
      await play(["SELECT set_config('TimeZone', 'Asia/Tokyo', false)", "SHOW TimeZone"], "simple", stage),
    ).flatMap((event) => ("cols" in event && event.cols?.[0] === "TimeZone" ? event.rows.flat() : []));
    expect(reported).toBe("Asia/Tokyo");
  } finally {
    await road.stop();
  }
});
