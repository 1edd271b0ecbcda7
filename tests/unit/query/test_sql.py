"""Text of SQL, values of its answers: what needs no database."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument, SqlFailed, SqlForbidden
from tidegauge.model.sql import Column, Kind, Parameter
from tidegauge.query import sql_parameters, sql_values
from tidegauge.query.sql_text import refuse_by_name, with_numbers


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1"),
        ("SELECT :a::int, ':a', \":a\", E'\\':a', x[1:2]", "SELECT $1::int, ':a', \":a\", E'\\':a', x[1:2]"),
        ("SELECT $$:b$$, $t$:b $$ $t$, :a -- :b\n, :b /* :c /* */ :d */", "SELECT $$:b$$, $t$:b $$ $t$, $1 -- :b\n, $2 /* :c /* */ :d */"),
        ("SELECT 'it''s :b', (:a)", "SELECT 'it''s :b', ($1)"),
    ],
)
def test_names_become_numbers_outside_of_strings_and_comments(text: str, numbered: str) -> None:
    values = {"a": 1, "b": 2} if "$2" in numbered else {"a": 1}
    assert with_numbers(text, values) == (numbered, list(values))


def test_quotes_without_an_end_are_left_to_postgresql() -> None:
    # Were the end of each looked for behind it, these would take minutes.
    many = " ".join([f"$a{n:x}$" for n in range(13_000)])
    assert with_numbers(f"SELECT :a, {many}", {"a": 1}) == (f"SELECT $1, {many}", ["a"])


def test_names_without_values_and_values_without_names_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=":b has no value"):
        with_numbers("SELECT :a, :b", {"a": 1})
    with pytest.raises(InvalidArgument, match=":c does not stand"):
        with_numbers("SELECT :a", {"a": 1, "c": 1})
    with pytest.raises(InvalidArgument):
        sql_parameters.statement("SELECT 1", [0] * (sql_parameters.MAX_PARAMETERS + 1))


def test_values_that_are_nested_too_deeply_are_refused() -> None:
    deep: list[object] = []
    for _ in range(1_000):
        deep = [deep]
    for value in ({"a": deep}, deep):
        with pytest.raises(InvalidArgument, match="nested too deeply"):
            sql_parameters.statement("SELECT $1", [value])


def test_values_have_the_types_that_json_tells() -> None:
    values = [True, 1, 2**31, 2**63, 0.1, "a", None, {"k": [1]}, [1, None, 'a"b\\', [True]]]
    assert sql_parameters.statement("", values).parameters == [
        Parameter("true", 16),
        Parameter("1", 23),
        Parameter("2147483648", 20),
        Parameter("9223372036854775808", 1700),
        Parameter("0.1", 701),
        Parameter("a"),
        Parameter(None),
        Parameter('{"k":[1]}'),
        Parameter('{"1",NULL,"a\\"b\\\\",{"true"}}'),
    ]


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_an_array_is_read_as_it_was_written(texts: list[str | None]) -> None:
    (written,) = sql_parameters.statement("", [texts]).parameters
    assert written.text is not None
    assert sql_values.elements_of(written.text.encode()) == [None if text is None else text.encode() for text in texts]


@pytest.mark.parametrize(
    ("column", "text", "document"),
    [
        (Column("", "", Kind.FLOAT64), b"1e+20", 1e20),
        (Column("", "", Kind.FLOAT64), b"-Infinity", "-Infinity"),
        (Column("", "", Kind.DECIMAL), b"NaN", "NaN"),
        (Column("", "", Kind.TIMESTAMPTZ), b"2026-01-31 12:00:00.5+00", "2026-01-31T12:00:00.5Z"),
        (Column("", "", Kind.TIMESTAMPTZ), b"0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
        (Column("", "", Kind.TIMESTAMPTZ), b"-infinity", "-infinity"),
        (Column("", "", Kind.TEXT), 'a"\n\x7fß'.encode(), 'a"\n\x7fß'),
        (Column("", "", Kind.JSON), b'{"a": [1]}', {"a": [1]}),
        (Column("", "", Kind.INT32, is_array=True), b"[0:1]={{1,NULL},{3,4}}", [[1, None], [3, 4]]),
        (Column("", "", Kind.BOOLEAN, is_array=True), b"{t,f}", [True, False]),
        (Column("", "", Kind.TEXT, is_array=True, delimiter=";"), b"{(1,2);(3,4)}", ["(1,2)", "(3,4)"]),
    ],
)
def test_values_are_json_as_postgresql_has_it(column: Column, text: bytes, document: object) -> None:
    assert orjson.loads(sql_values.to_json(column)(text)) == document


def test_what_is_no_array_is_said_to_be_none() -> None:
    with pytest.raises(SqlFailed):
        sql_values.elements_of(b"1,2")


@given(
    st.sampled_from(["pg_sleep", "set_config", "dblink", "pg_advisory_lock"]),
    st.text("aé0$_ .\"'(,\n", max_size=3),
    st.text("aé0$_ .\"'(,\n", max_size=3),
)
def test_a_name_is_found_wherever_it_stands_alone(name: str, before: str, after: str) -> None:
    """Beside what cannot be part of an identifier, as PostgreSQL cuts text into tokens."""
    alone = not (before[-1:].isalnum() or before[-1:] in ("_", "$")) or not before
    alone = alone and (not after or not (after[0].isalnum() or after[0] in "_$"))
    if alone:
        with pytest.raises(SqlForbidden):
            refuse_by_name(f"{before}{name.upper()}{after}")
