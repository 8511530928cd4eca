-- What PostgreSQL 16 to 18 have that 15 has not, beside schema.sql: run as superuser behind it, by psql.
-- Masked: app.staff.{email,salary}, app.bookings.guest, app.badges.code (masked-newer.json), and what derives from them.
SET client_min_messages = warning;
SELECT current_setting('server_version_num')::int >= 180000 AS is18,
  current_setting('server_version_num')::int >= 170000 AS is17 \gset
SET ROLE app_owner;

CREATE TABLE app.staff (
  id int PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL DEFAULT 'none@example.com',
  salary int NOT NULL DEFAULT 0,
  grade int NOT NULL DEFAULT 1,
  stored text GENERATED ALWAYS AS (upper(email)) STORED,
  nick text GENERATED ALWAYS AS (lower(name)) STORED,
  -- Whether a grade may be written tells of the salary.
  spread int GENERATED ALWAYS AS (nullif(grade, salary)) STORED NOT NULL,
  team int NOT NULL,
  UNIQUE (team, email) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO app.staff (id, name, email, salary, grade, team)
SELECT g, 'Staff ' || g, 'canary-staff-' || (g + 1) / 2 || '@secret.example', 4000 + g, g, g FROM generate_series(1, 6) g;

CREATE TABLE app.badges (code text PRIMARY KEY, colour text NOT NULL);
INSERT INTO app.badges SELECT 'canary-badge-' || g, (ARRAY['red','blue'])[1 + g % 2] FROM generate_series(1, 4) g;
-- Refers to what is masked; whether it does is looked at when the transaction ends.
CREATE TABLE app.badge_uses (id int PRIMARY KEY, code text NOT NULL REFERENCES app.badges DEFERRABLE INITIALLY DEFERRED);
INSERT INTO app.badge_uses SELECT g, 'canary-badge-' || g FROM generate_series(1, 3) g;

-- A type whose values are checked by what reads a masked column.
CREATE FUNCTION app.is_known(text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
  AS 'SELECT EXISTS (SELECT FROM app.staff WHERE email = $1)';
CREATE DOMAIN app.known AS text CHECK (app.is_known(VALUE));
CREATE TYPE app.wrapped AS (known app.known);
GRANT EXECUTE ON FUNCTION app.is_known(text) TO gw_agent;

\if :is18
ALTER TABLE app.staff
  ADD COLUMN shout text GENERATED ALWAYS AS (upper(email)) VIRTUAL,
  ADD COLUMN plainly text GENERATED ALWAYS AS (email),
  ADD COLUMN tag text GENERATED ALWAYS AS (lower(name)) VIRTUAL,
  ADD COLUMN gap int GENERATED ALWAYS AS (nullif(grade, salary)) VIRTUAL NOT NULL,
  ADD CONSTRAINT cheap CHECK (salary > 100) NOT ENFORCED;
CREATE VIEW app.staff_tags AS SELECT id, tag, shout FROM app.staff;
RESET ROLE;
CREATE EXTENSION btree_gist SCHEMA ext;
ALTER ROLE app_owner SET search_path = app, ext, public;
SET ROLE app_owner;
SET search_path = app, ext, public;
CREATE TABLE app.bookings (
  room int, valid_at daterange, guest text NOT NULL,
  PRIMARY KEY (room, valid_at WITHOUT OVERLAPS)
);
INSERT INTO app.bookings VALUES (1, '[2024-01-01,2024-02-01)', 'canary-guest-1'), (2, '[2024-01-01,2024-02-01)', 'canary-guest-2'),
  (1, '[2024-02-01,2024-03-01)', 'canary-guest-3');
CREATE TABLE app.stays (
  id int, valid_at daterange, guest text NOT NULL, note text,
  PRIMARY KEY (id, valid_at WITHOUT OVERLAPS)
);
ALTER TABLE app.bookings ADD CONSTRAINT booked UNIQUE (guest, valid_at WITHOUT OVERLAPS);
INSERT INTO app.stays VALUES (1, '[2024-01-05,2024-01-10)', 'canary-guest-1', 'first');
ALTER TABLE app.stays ADD CONSTRAINT stayed FOREIGN KEY (guest, PERIOD valid_at) REFERENCES app.bookings (guest, PERIOD valid_at);
RESET search_path;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.bookings, app.stays, app.staff_tags TO gw_agent;
\endif
GRANT SELECT, INSERT, UPDATE, DELETE ON app.staff, app.badges, app.badge_uses TO gw_agent;
RESET ROLE;
\if :is17
-- What runs before anybody has asked for anything, and fails for whoever is called so.
CREATE FUNCTION app.on_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$
DECLARE first text; BEGIN
  SELECT email INTO first FROM app.staff WHERE id = 1;
  PERFORM set_config('app.first', first, false);
  IF current_setting('application_name') = 'loud' THEN RAISE WARNING '%', first USING DETAIL = first; END IF;
  IF current_setting('application_name') = 'failing' THEN RAISE EXCEPTION '%', first USING DETAIL = first; END IF;
END $f$;
CREATE EVENT TRIGGER greets ON login EXECUTE FUNCTION app.on_login();
ALTER EVENT TRIGGER greets ENABLE ALWAYS;
\endif
ANALYZE;
