"""Conditions on labels and attributes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter, Matcher, MatchOperator
from tidegauge.query.matchers import parse_attributes, parse_matchers

EQUAL, UNEQUAL, REGEX, NOT_REGEX = MatchOperator


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http.route=/cart", Matcher("http.route", EQUAL, "/cart")),
        ('http.route = "/cart"', Matcher("http.route", EQUAL, "/cart")),
        ("status!=200", Matcher("status", UNEQUAL, "200")),
        ("status=~5..|4..", Matcher("status", REGEX, "5..|4..")),
        ('status!~"5.."', Matcher("status", NOT_REGEX, "5..")),
        ("a=b=c", Matcher("a", EQUAL, "b=c")),
        ("a=", Matcher("a", EQUAL, "")),
        ('"odd=name"="x \\"y\\" \\\\ \\n"', Matcher("odd=name", EQUAL, 'x "y" \\ \n')),
        ("a=!x", Matcher("a", EQUAL, "!x")),
    ],
)
def test_forms_of_a_matcher(text: str, expected: Matcher) -> None:
    assert parse_matchers([text]) == (expected,)


@pytest.mark.parametrize(
    "text", ["", "http.route", "=x", '""x=1', "a\0=b", r"a=~(x+)\1", 'a!~"(?=x)"', "a=~(", "a=~" + "(" * 4000, "a=~" + "b" * 4097]
)
def test_what_is_no_matcher_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_matchers([text])
    assert caught.value.parameter == "match"


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("http.route=/cart", "http.route", ("/cart",)),
        ("n=200", "n", (200, "200")),
        ("n=-1.5e3", "n", (-1500.0, "-1.5e3")),
        ("n=007", "n", ("007",)),
        ("n=9223372036854775807", "n", (9223372036854775807, "9223372036854775807")),
        ("n=1e999", "n", ("1e999",)),
        ("ok=true", "ok", (True, "true")),
        ('ok="true"', "ok", ("true",)),
        ("empty=", "empty", ("",)),
        ("present", "present", ()),
        ('"odd=name"', "odd=name", ()),
        ('"odd=name"=1', "odd=name", (1, "1")),
    ],
)
def test_forms_of_an_attribute_condition(text: str, name: str, values: tuple[object, ...]) -> None:
    (found,) = parse_attributes([text])
    assert found == AttributeFilter(name, found.values)
    assert [(type(value), value) for value in found.values] == [(type(value), value) for value in values]


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_every_name_and_value_can_be_asked_for_in_quotes(name: str, value: str) -> None:
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in (name, value)]
    assert parse_matchers([f'"{quoted[0]}"="{quoted[1]}"']) == (Matcher(name, EQUAL, value),)
    assert parse_attributes([f'"{quoted[0]}"="{quoted[1]}"']) == (AttributeFilter(name, (value,)),)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_matchers, parse_attributes):
        try:
            assert len(parse([text])) == 1
        except InvalidArgument:
            continue


def test_too_many_conditions() -> None:
    with pytest.raises(InvalidArgument, match="17 times"):
        parse_matchers(["a=b"] * 17)


def test_a_number_beyond_64_bits_is_still_one() -> None:
    (found,) = parse_attributes(["n=" + "9" * 30])
    assert json.loads(json.dumps(found.values[0])) == pytest.approx(1e30)
