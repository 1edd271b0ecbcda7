"""Named queries and their fragments: what is filled in, what survives, what is refused."""

import pytest

from tidegauge.storage import sqlfiles

PART = """-- fragment: part
SELECT d.bucket, coalesce(d.counts, '{}'), d.labels ->> '{a}' FROM tidegauge.metrics_${tier} d
WHERE d.bucket >= %(${tier}${n}_from)s AND d.count %% 2 = $1 AND d.bucket < now() - INTERVAL '1 ${unit}'
"""


def test_words_fill_the_placeholders_wherever_they_stand_and_nothing_else() -> None:
    found = sqlfiles.parsed(PART + "-- name: parts\n-- include: part tier=hourly unit=hour n=2\nUNION ALL SELECT 1", "file.sql")
    assert found["parts"] == (
        "SELECT d.bucket, coalesce(d.counts, '{}'), d.labels ->> '{a}' FROM tidegauge.metrics_hourly d\n"
        "WHERE d.bucket >= %(hourly2_from)s AND d.count %% 2 = $1 AND d.bucket < now() - INTERVAL '1 hour'\nUNION ALL SELECT 1"
    )


def test_each_use_of_a_fragment_has_words_of_its_own_through_other_fragments_too() -> None:
    text = """-- fragment: one
SELECT ${value}
-- fragment: both
-- include: one value=first
FROM ${place} UNION
    -- include: one value=last
FROM ${place}
-- name: here
-- include: both place=a
-- name: there
-- include: both place=b
"""
    found = sqlfiles.parsed(text, "file.sql")
    assert {name: query.split() for name, query in found.items()} == {
        "here": ["SELECT", "first", "FROM", "a", "UNION", "SELECT", "last", "FROM", "a"],
        "there": ["SELECT", "first", "FROM", "b", "UNION", "SELECT", "last", "FROM", "b"],
    }


def test_a_fragment_hands_its_placeholders_on() -> None:
    text = """-- fragment: points
FROM tidegauge.${kind} WHERE at >= %(raw${n}_from)s
-- fragment: summaries
SELECT ${n} -- include: no line of its own
-- include: points kind=summaries n=${n}
-- name: asked
-- include: summaries n=1
-- include: summaries n=2
"""
    assert sqlfiles.parsed(text, "file.sql")["asked"].replace("-- include: no line of its own", "").split("\n") == [
        "SELECT 1 ",
        "FROM tidegauge.summaries WHERE at >= %(raw1_from)s",
        "SELECT 2 ",
        "FROM tidegauge.summaries WHERE at >= %(raw2_from)s",
    ]
    with pytest.raises(ValueError, match="does not fill what summaries has: n"):
        sqlfiles.parsed(text + "-- name: other\n-- include: summaries", "file.sql")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param(
            "-- include: part tier=${tier} n=1 unit=day", r"has the placeholder \$\{tier\}, but is no fragment", id="handed on by none"
        ),
        pytest.param("-- include: part tier=hourly n=1", "does not fill what part has: unit", id="not filled"),
        pytest.param(
            "-- include: part tier=hourly n=1 unit=day view=x other=y", "fills what part does not have: other, view", id="no such"
        ),
        pytest.param("-- include: part tier=hourly n=1 unit=day n=2", "fills a placeholder of part twice", id="twice"),
        pytest.param("-- include: whole tier=hourly", "the fragment whole does not stand before", id="no fragment"),
        pytest.param("-- include: part tier=x;drop n=1 unit=day", "are understood", id="SQL"),
        pytest.param("-- include: part tier=stündlich n=1 unit=day", "are understood", id="other letters"),
        pytest.param("-- include: part tier='hourly' n=1 unit=day", "are understood", id="quotes"),
        pytest.param("-- include: part tier= n=1 unit=day", "are understood", id="empty"),
        pytest.param("-- include:part", "are understood", id="no space"),
        pytest.param("SELECT '${tier}'", r"has the placeholder \$\{tier\}, but is no fragment", id="outside of a fragment"),
    ],
)
def test_what_does_not_fit_its_fragment_is_refused_with_its_place(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=rf"^file\.sql: asked\b.*{what}"):
        sqlfiles.parsed(f"{PART}-- name: asked\n{text}\n", "file.sql")


def test_a_placeholder_that_no_word_can_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fill what odd has: the tier"):
        sqlfiles.parsed("-- fragment: odd\nSELECT ${the tier}\n-- name: asked\n-- include: odd\n", "file.sql")


def test_a_fragment_does_not_include_itself_nor_what_comes_later() -> None:
    for included in ("first", "second"):
        with pytest.raises(ValueError, match=f"first: the fragment {included} does not stand before"):
            sqlfiles.parsed(f"-- fragment: first\n-- include: {included}\n-- fragment: second\nSELECT 1\n", "file.sql")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n", "a is defined twice"),
        ("SELECT 1;\n-- name: a\nSELECT 2\n", "a statement stands before"),
    ],
)
def test_a_file_says_once_what_a_name_means(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        sqlfiles.parsed(text, "file.sql")


def test_every_query_of_the_program_is_whole_and_known_by_its_text() -> None:
    topics = [path.stem for path in (sqlfiles.folder("sql") / "queries").glob("*.sql")]
    queries = {f"{topic}.{name}": text for topic in topics for name, text in sqlfiles.queries(topic).items()}
    assert queries
    assert [name for name, text in queries.items() if "${" in text or "-- include" in text or "-- fragment" in text] == []
    assert {name: sqlfiles.names()[text] for name, text in queries.items()} == {name: name for name in queries}
