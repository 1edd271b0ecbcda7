"""What the SQL endpoint answers with: forms, types, parameters, limits."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time
from decimal import Decimal

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.sql.conftest import MAX_BYTES, MAX_ROWS, Sql

EVERYTHING = """
SELECT
    true AS flag, 7::int2 AS small, -8 AS whole, 9007199254740993::int8 AS large, 1.5::float4 AS single, 0.1::float8 AS double,
    12345678901234567890.123456789::numeric AS exact, 12.50::numeric(10, 2) AS money,
    timestamptz '2026-01-31 12:00:00.123456+02' AS at, timestamp '2026-01-31 12:00:00' AS local,
    date '2026-01-31' AS day, time '12:30:00.5' AS clock,
    'a "quoted", Ünï text' AS words, '{"b": [1, null], "a": 1.50}'::jsonb AS document, '\\x00ff'::bytea AS raw,
    '0af76519-16cd-43dd-8448-eb211c80319c'::uuid AS id, interval '1 day 02:03:04' AS span,
    ARRAY[1, NULL, 3]::int8[] AS numbers, ARRAY['a,b', 'NULL', '', NULL, '{"x"}'] AS texts, NULL::int AS nothing
UNION ALL
SELECT NULL, NULL, NULL, NULL, 'NaN', '-Infinity', 'NaN', NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, '{}', NULL, NULL
"""
AT = datetime(2026, 1, 31, 10, 0, 0, 123456, UTC)


async def test_json_keeps_every_digit_and_every_type(sql: Sql) -> None:
    answer = await sql(EVERYTHING)
    schema = (await sql.http.get("/api/openapi.json")).json()
    described = schema["paths"]["/api/v1/sql"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    document = answer.json()
    jsonschema.validate(document, described | {"components": schema["components"]})
    names = [column["name"] for column in document["columns"]]
    first, second = (dict(zip(names, row, strict=True)) for row in document["rows"])
    assert first == {
        "flag": True,
        "small": 7,
        "whole": -8,
        "large": 9007199254740993,
        "single": 1.5,
        "double": 0.1,
        "exact": 12345678901234567890.123456789,
        "money": 12.5,
        "at": "2026-01-31T10:00:00.123456Z",
        "local": "2026-01-31T12:00:00",
        "day": "2026-01-31",
        "clock": "12:30:00.5",
        "words": 'a "quoted", Ünï text',
        "document": {"a": 1.50, "b": [1, None]},
        "raw": "\\x00ff",
        "id": "0af76519-16cd-43dd-8448-eb211c80319c",
        "span": "1 day 02:03:04",
        "numbers": [1, None, 3],
        "texts": ["a,b", "NULL", "", None, '{"x"}'],
        "nothing": None,
    }
    assert b"12345678901234567890.123456789" in answer.content
    assert b"12.50" in answer.content
    assert (second["single"], second["double"], second["exact"], second["numbers"]) == ("NaN", "-Infinity", "NaN", [])
    types = {column["name"]: column["type"] for column in document["columns"]}
    assert (types["money"], types["at"], types["texts"]) == ("numeric", "timestamp with time zone", "text[]")
    assert document["row_count"] == 2
    assert document["truncated"] is None


async def test_arrow_and_parquet_have_the_types_and_values(sql: Sql) -> None:
    table = await sql.arrow(EVERYTHING)
    parquet = pq.read_table(io.BytesIO((await sql(EVERYTHING, format="parquet")).content))
    for each in (table, parquet):
        assert {field.name: field.type for field in each.schema} == {
            "flag": pa.bool_(),
            "small": pa.int16(),
            "whole": pa.int32(),
            "large": pa.int64(),
            "single": pa.float32(),
            "double": pa.float64(),
            "exact": pa.string(),
            "money": pa.string(),
            "at": pa.timestamp("us", "UTC"),
            "local": pa.timestamp("us"),
            "day": pa.date32(),
            "clock": pa.time64("us"),
            "words": pa.string(),
            "document": pa.string(),
            "raw": pa.binary(),
            "id": pa.string(),
            "span": pa.string(),
            "numbers": pa.list_(pa.int64()),
            "texts": pa.list_(pa.string()),
            "nothing": pa.int32(),
        }
        first, second = each.to_pylist()
        assert first["large"] == 9007199254740993
        assert first["exact"] == "12345678901234567890.123456789"
        assert (first["at"], first["local"], first["day"], first["clock"]) == (
            AT,
            AT.replace(hour=12, microsecond=0, tzinfo=None),
            date(2026, 1, 31),
            time(12, 30, 0, 500_000),
        )
        assert first["raw"] == b"\x00\xff"
        assert first["numbers"] == [1, None, 3]
        assert first["texts"] == ["a,b", "NULL", "", None, '{"x"}']
        assert second["double"] == float("-inf")
        assert second["single"] != second["single"]
        assert (second["words"], second["flag"], second["numbers"]) == ("", None, [])


async def test_declared_numbers_are_decimals_and_others_doubles_where_asked_for(sql: Sql) -> None:
    asked = "SELECT sum(n) AS total, 12.50::numeric(10, 2) AS money FROM generate_series(1::int8, 3) n"
    assert (await sql.arrow(asked)).to_pylist() == [{"total": "6", "money": Decimal("12.50")}]
    table = await sql.arrow(asked, numeric="double")
    assert table.to_pylist() == [{"total": 6.0, "money": Decimal("12.50")}]
    assert table.schema.field("total").metadata == {b"postgresql.type": b"numeric"}


async def test_what_arrow_cannot_say_is_refused(sql: Sql) -> None:
    problem = await sql.refused("SELECT 'infinity'::timestamptz AS at", 400, format="arrow")
    assert "'at'" in problem["detail"]
    assert await sql.rows("SELECT 'infinity'::timestamptz AS at") == [["infinity"]]


async def test_csv_tells_null_from_nothing(sql: Sql) -> None:
    answer = await sql("""SELECT 1 AS a, NULL AS "b,c", '' AS d, E'x"\\ny' AS e, timestamptz '2026-01-31 12:00+00' AS f""", format="csv")
    assert answer.content == b'a,"b,c",d,e,f\r\n1,,"","x""\ny",2026-01-31T12:00:00Z\r\n'
    assert list(csv.reader(io.StringIO(answer.text, newline="")))[1] == ["1", "", "", 'x"\ny', "2026-01-31T12:00:00Z"]


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("text/csv", "text/csv"),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("application/json;q=0.5, application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_accept_says_the_form(sql: Sql, accept: str, found: str) -> None:
    answer = await sql.post("SELECT 1", accept=accept)
    assert answer.headers["content-type"].startswith(found)
    assert (await sql.post("SELECT 1", accept=accept, format="json")).json()["rows"] == [[1]]


async def test_values_are_bound_and_have_the_type_of_their_place(sql: Sql) -> None:
    hostile = "'; DROP TABLE x; --"
    asked = """SELECT $1 AS a, $2 + 1 AS b, $3::jsonb ->> 'k' AS c, 5 = ANY ($4) AS d, $5::int IS NULL AS e, $6 * interval '1 h' AS f,
        NOT $7 AS g"""
    assert await sql.rows(asked, [hostile, 2, {"k": "v"}, [5, 6], None, 1.5, False]) == [[hostile, 3, "v", True, True, "01:30:00", True]]
    named = """SELECT :a || ':a' AS a, :n::int8 + :n AS n, (ARRAY[1, 2, 3])[1:2] AS s -- :comment
        /* :a /* :b */ */, $$:c$$ AS d, ":e" FROM (SELECT 1) q(":e")"""
    assert await sql.rows(named, {"a": hostile, "n": 2**40}) == [[f"{hostile}:a", 2**41, [1, 2], ":c", 1]]
    assert await sql.rows("SELECT x FROM unnest(:texts::text[]) x", {"texts": ['a"b\\', None, "c,d"]}) == [['a"b\\'], [None], ["c,d"]]


@pytest.mark.parametrize(
    ("asked", "parameters", "said"),
    [
        ("SELECT :a", {"b": 1}, ":a has no value"),
        ("SELECT 1", {"b": 1}, ":b does not stand in the statement"),
        ("SELECT $1, $2", [1], "parameter"),
        ("SELECT :a::int", {"a": "x"}, "invalid input syntax"),
        ("SELECT $1::text", ["a\0b"], "NUL"),
    ],
)
async def test_parameters_that_do_not_fit_are_refused(sql: Sql, asked: str, parameters: object, said: str) -> None:
    assert said in (await sql.refused(asked, 400, parameters))["detail"]


async def test_an_error_says_where_it_is(sql: Sql) -> None:
    problem = await sql.refused("SELECT 1,\n  nothing_of_that_name", 400)
    assert problem["errors"] == [
        {"parameter": "sql", "message": 'column "nothing_of_that_name" does not exist', "sqlstate": "42703", "position": 13}
    ]
    assert (await sql.refused("SELECT 1 FROM WHERE", 400))["errors"][0]["position"] == 15
    assert (await sql.refused("SELECT 1 / 0", 400))["detail"] == "division by zero"


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'{"sql": 1}', b'{"sql": "SELECT 1", "rows": 1}', b'{"sql": "  "}', b'{"sql": "SELECT 1", "format": "xml"}']
)
async def test_bodies_that_cannot_be_read_are_refused(sql: Sql, body: bytes) -> None:
    answer = await sql.http.post("/api/v1/sql", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_has_a_limit(sql: Sql) -> None:
    answer = await sql.http.post("/api/v1/sql", content=b" " * (1 << 20) + b"{}")
    assert answer.status_code == 413


@pytest.mark.parametrize("form", ["json", "csv", "arrow", "parquet"])
async def test_too_many_rows_are_cut_and_said_to_be(sql: Sql, form: str) -> None:
    answer = await sql("SELECT n FROM generate_series(1, 100000) n", format=form, max_rows=777)
    assert answer.headers["tidegauge-rows"] == "777"
    assert answer.headers["tidegauge-truncated"] == "rows"
    found = {
        "json": lambda: len(answer.json()["rows"]),
        "csv": lambda: answer.text.count("\r\n") - 1,
        "arrow": lambda: pa.ipc.open_stream(io.BytesIO(answer.content)).read_all().num_rows,
        "parquet": lambda: pq.read_table(io.BytesIO(answer.content)).num_rows,
    }
    assert found[form]() == 777
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_exactly_as_many_rows_as_there_may_be_are_all(sql: Sql) -> None:
    answer = await sql(f"SELECT n FROM generate_series(1, {MAX_ROWS}) n")
    assert (answer.json()["row_count"], answer.json()["truncated"]) == (MAX_ROWS, None)
    assert "tidegauge-truncated" not in answer.headers
    assert (await sql(f"SELECT n FROM generate_series(1, {MAX_ROWS + 1}) n")).json()["truncated"] == "rows"
    await sql.refused("SELECT 1", 400, max_rows=MAX_ROWS + 1)


async def test_too_many_bytes_are_cut(sql: Sql) -> None:
    answer = await sql("SELECT n, repeat('x', 100000) FROM generate_series(1, 100) n")
    assert (answer.json()["row_count"], answer.json()["truncated"]) == (10, "bytes")


async def test_a_row_that_is_too_large_for_an_answer_is_refused(sql: Sql) -> None:
    problem = await sql.refused(f"SELECT repeat('x', {MAX_BYTES + 1})", 422)
    assert "too large" in problem["detail"]


async def test_no_rows_and_no_columns(sql: Sql) -> None:
    assert await sql.rows("SELECT 1 WHERE false") == []
    assert await sql.rows("SELECT FROM generate_series(1, 2)") == [[], []]
    assert (await sql.arrow("SELECT 1 AS a WHERE false")).schema.names == ["a"]
    assert await sql.rows("VALUES (1), (2);") == [[1], [2]]
    assert await sql.rows("/* a */ (WITH q AS (SELECT 1 AS a) SELECT a FROM q) -- b") == [[1]]


async def test_names_are_found_in_analytics_and_public(sql: Sql) -> None:
    assert await sql.rows("SELECT count(*) >= 0 FROM traces") == [[True]]
    assert await sql.rows("SELECT time_bucket('1 hour', timestamptz '2026-01-31 12:34+00')") == [["2026-01-31T12:00:00Z"]]
    # Domains are what they are made from.
    assert await sql.rows("SELECT 1::information_schema.cardinal_number") == [[1]]
