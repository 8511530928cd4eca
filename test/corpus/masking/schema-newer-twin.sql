-- Turns a copy with schema-newer.sql into its twin: only the secrets differ.
SET client_min_messages = warning;
SELECT current_setting('server_version_num')::int >= 180000 AS is18 \gset
UPDATE app.staff SET email = 'twin-staff-' || (900 - (id + 1) / 2) || '@b.example', salary = 70 - id;
BEGIN;
UPDATE app.badges SET code = 'twin-badge-' || (77 - right(code, 1)::int);
UPDATE app.badge_uses SET code = 'twin-badge-' || (77 - right(code, 1)::int);
COMMIT;
\if :is18
ALTER TABLE app.stays DROP CONSTRAINT stayed;
UPDATE app.bookings SET guest = 'twin-guest-' || (88 - right(guest, 1)::int);
UPDATE app.stays SET guest = 'twin-guest-' || (88 - right(guest, 1)::int);
ALTER TABLE app.stays ADD CONSTRAINT stayed FOREIGN KEY (guest, PERIOD valid_at) REFERENCES app.bookings (guest, PERIOD valid_at);
\endif
VACUUM FULL app.staff; VACUUM FULL app.badges; VACUUM FULL app.badge_uses;
ANALYZE;
