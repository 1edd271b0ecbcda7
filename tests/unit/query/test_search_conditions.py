"""Conditions of span searches as parameters write them."""

from __future__ import annotations

import pytest

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter
from tidegauge.model.search import AttributeCondition, Comparison, Where
from tidegauge.query.matchers import parse_attributes, parse_matchers
from tidegauge.query.patterns import check_pattern
from tidegauge.query.search_conditions import parse_conditions, parse_text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("http.route=/cart", AttributeFilter("http.route", ("/cart",))),
        ("span:code=200", AttributeFilter("code", (200, "200"))),
        ('code="200"', AttributeFilter("code", ("200",))),
        ("code", AttributeFilter("code")),
        ('"a=b"=1', AttributeFilter("a=b", (1, "1"))),
        ('"resource:x"', AttributeFilter("resource:x")),
        ("other:x=1", AttributeFilter("other:x", (1, "1"))),
        ("a = b=c", AttributeFilter("a", ("b=c",))),
        ("empty=", AttributeFilter("empty", ("",))),
    ],
)
def test_a_spans_own_attributes_that_are_equal_or_present(written: str, expected: AttributeFilter) -> None:
    assert parse_conditions([written]) == ((expected,), ())


@pytest.mark.parametrize(
    ("written", "where", "name", "comparison", "values"),
    [
        ("code!=true", Where.SPAN, "code", Comparison.NOT_EQUAL, (True, "true")),
        ("code>=500", Where.SPAN, "code", Comparison.GREATER_OR_EQUAL, (500,)),
        ("code< -1.5", Where.SPAN, "code", Comparison.LESS, (-1.5,)),
        ("route=~/cart/.*", Where.SPAN, "route", Comparison.REGEX, ("/cart/.*",)),
        ('route!~"a b"', Where.SPAN, "route", Comparison.NOT_REGEX, ("a b",)),
        ("!code", Where.SPAN, "code", Comparison.ABSENT, ()),
        ("resource:host.name=web-1", Where.RESOURCE, "host.name", Comparison.EQUAL, ("web-1",)),
        ("event:exception.type", Where.EVENT, "exception.type", Comparison.PRESENT, ()),
        ("link:kind=retry", Where.LINK, "kind", Comparison.EQUAL, ("retry",)),
        ('!scope:"a b"', Where.SCOPE, "a b", Comparison.ABSENT, ()),
    ],
)
def test_all_other_conditions(written: str, where: Where, name: str, comparison: Comparison, values: tuple[object, ...]) -> None:
    assert parse_conditions([written]) == ((), (AttributeCondition(where, name, comparison, values),))  # type: ignore[arg-type]


@pytest.mark.parametrize("written", ["", "=1", "!a=1", "a>x", "a>true", "a>", "a<=~1", 'a"b=1', "a=~(", "a\0=1"])
def test_what_is_no_condition(written: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_conditions([written])
    assert refused.value.parameter == "attribute"


@pytest.mark.parametrize("written", [" " * 30_000 + '"', "!" + " " * 30_000 + '"', "a" + " " * 30_000 + '"', "a =" + " " * 30_000 + "\0"])
def test_long_ones_are_refused_at_once(written: str) -> None:
    # Were two parts of the pattern to take the same spaces, this would not end.
    for parse in (parse_conditions, parse_matchers, parse_attributes):
        with pytest.raises(InvalidArgument):
            parse([written])


def test_spaces_around_the_parts_mean_nothing() -> None:
    assert parse_conditions(["  !  event:  a b  "]) == parse_conditions(["!event:a b"])
    assert parse_conditions(['\ta  =~  "x y"  ']) == parse_conditions(['a=~"x y"'])


def test_there_are_not_too_many() -> None:
    with pytest.raises(InvalidArgument, match="17 times"):
        parse_conditions(["a"] * 17)


@pytest.mark.parametrize("pattern", [".*", r"\d+\.\w", "(?:a|b){2,10}", "[^a-z]", "a{1000}", r"\{x\}", ""])
def test_patterns_that_are_supported(pattern: str) -> None:
    check_pattern(pattern, "attribute")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1",
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?i)a",
        "(?P<n>a)",
        r"\bword",
        "(a{40}){40}",
        "a" * 257,
        "*",
        "\\",
        "a{4294967296}",
        "(" * 8000,
    ],
)
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        check_pattern(pattern, "attribute")


def test_text() -> None:
    assert (parse_text(None), parse_text("x")) == (None, "x")
    for text in ("", "x" * 201):
        with pytest.raises(InvalidArgument):
            parse_text(text)
