"""psycopg 3 against one server: prints one JSON object with what it got, for psycopg.test.ts (its own name must not be psycopg, or it would import itself)."""

import asyncio
import datetime
import json
import sys

import psycopg
from psycopg.types.json import Jsonb


def refusal(run):
    try:
        run()
    except psycopg.Error as error:
        return {"code": error.sqlstate, "detail": error.diag.message_detail}
    return None


def values(conn):
    born = datetime.datetime(2026, 5, 6, 7, 8, 9, 123000, tzinfo=datetime.timezone.utc)
    given = (7, "é", Jsonb({"a": [1, None]}), born, ["x", None], b"\x00\xff", None)
    got = {}
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            cur.execute("SELECT %s::int, %s::text, %s::jsonb, %s::timestamptz, %s::text[], %s::bytea, %s::text", given)
            row = cur.fetchone()
            got["binary" if binary else "text"] = row == (7, "é", {"a": [1, None]}, born, ["x", None], b"\x00\xff", None)
    return got


def prepared(conn):
    return [conn.execute("SELECT name FROM item WHERE id = %s", (n % 3 + 1,), prepare=True).fetchone()[0] for n in range(9)]


def transactions(conn):
    outer = None
    with conn.transaction():
        conn.execute("INSERT INTO item (name) VALUES ('kept')")

        def inner():
            with conn.transaction():
                conn.execute("INSERT INTO item (name) VALUES ('lost')")
                conn.execute("SELECT * FROM closed")

        outer = refusal(inner)
    return {"refusal": outer, "rows": [row[0] for row in conn.execute("SELECT name FROM item WHERE id > 3")]}


def pipeline(conn):
    results = []
    with conn.pipeline() as pipe:
        cursors = [conn.execute("SELECT %s::int", (n,)) for n in range(50)]
        pipe.sync()
        results = [cur.fetchone()[0] for cur in cursors]

    def refused():
        with conn.pipeline():
            conn.execute("INSERT INTO item (name) VALUES ('pipelined')")
            conn.execute("SELECT * FROM closed")
            conn.execute("SELECT 1")

    error = refusal(refused)
    left = conn.execute("SELECT count(*) FROM item WHERE name = 'pipelined'").fetchone()[0]
    return {"sum": sum(results), "refusal": error, "left": left}


def copies(conn):
    with conn.cursor() as cur:
        with cur.copy("COPY item (name) FROM STDIN") as copy:
            for n in range(500):
                copy.write_row((f"copied {n}",))
        with cur.copy("COPY (SELECT name FROM item WHERE name LIKE 'copied%') TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text"])
            count = sum(1 for _ in copy.rows())
    return count


def server_cursor(conn):
    with conn.transaction(), conn.cursor(name="big") as cur:
        cur.execute("SELECT n FROM generate_series(1, 1000) AS n")
        cur.itersize = 64
        return sum(row[0] for row in cur)


def notifications(conn):
    conn.execute("LISTEN news")
    conn.execute("NOTIFY news, 'hello'")
    return next(iter(conn.notifies())).payload


async def many(url):
    async def one(n):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            return (await (await conn.execute("SELECT %s::int", (n,))).fetchone())[0]

    return sum(await asyncio.gather(*(one(n) for n in range(20))))


def main():
    url = sys.argv[1]
    with psycopg.connect(url, autocommit=True) as conn:
        answer = {
            "values": values(conn),
            "prepared": prepared(conn),
            "transactions": transactions(conn),
            "pipeline": pipeline(conn),
            "copied": copies(conn),
            "cursor": server_cursor(conn),
            "notified": notifications(conn),
            "parameter": conn.info.parameter_status("server_version"),
            "many": asyncio.run(many(url)),
        }
    print(json.dumps(answer))


main()
