-- The demo's shop: 60 customers, 24 products, 400 orders. Nothing here is random, so that every demo shows the same.
CREATE TABLE customers (
  id integer PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  phone text NOT NULL,
  joined_on date NOT NULL
);

CREATE TABLE products (
  id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  price numeric(8, 2) NOT NULL CHECK (price > 0)
);

CREATE TABLE orders (
  id integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers,
  product_id integer NOT NULL REFERENCES products,
  quantity integer NOT NULL CHECK (quantity > 0),
  status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped')),
  ordered_at timestamptz NOT NULL
);

INSERT INTO customers
SELECT
  id,
  first || ' ' || last,
  lower(first) || '.' || lower(last) || '@example.com',
  '+1 555 01' || lpad(id::text, 2, '0'),
  date '2025-01-01' + id * 6
FROM
  generate_series(1, 60) AS id,
  LATERAL (
    SELECT
      (ARRAY['Ada', 'Bela', 'Chidi', 'Dana', 'Emre', 'Freya', 'Goran', 'Hana', 'Ines', 'Jonas'])[1 + (id - 1) % 10],
      (ARRAY['Abara', 'Berg', 'Costa', 'Diallo', 'Endo', 'Fischer'])[1 + (id - 1) / 10]
  ) AS names (first, last);

INSERT INTO products
SELECT id, material || ' ' || thing, 15 + (id * 37) % 180 + 0.90
FROM
  generate_series(1, 24) AS id,
  LATERAL (
    SELECT
      (ARRAY['Oak', 'Walnut', 'Steel', 'Linen'])[1 + (id - 1) % 4],
      (ARRAY['desk', 'lamp', 'chair', 'shelf', 'mirror', 'stool'])[1 + (id - 1) / 4]
  ) AS words (material, thing);

INSERT INTO orders
SELECT
  id,
  1 + (id * 7) % 60,
  1 + (id * id + id / 5) % 24,
  1 + (id * 3) % 4,
  (ARRAY['open', 'paid', 'shipped'])[1 + id % 3],
  timestamptz '2026-01-01 08:00:00+00' + id * interval '7 hours'
FROM generate_series(1, 400) AS id;

CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (product_id);
ANALYZE;
