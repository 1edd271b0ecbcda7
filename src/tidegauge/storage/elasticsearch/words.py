"""Text search on Elasticsearch: the analyzer that cuts words as ``model.text_search`` does, and its queries."""

from __future__ import annotations

from typing import Any

from tidegauge.model.text_search import Term, TextQuery

FIELD = "body.text"
ANALYZER = "tidegauge_words"
_LETTER = r"[\p{IsAlphabetic}\p{M}\p{Nd}]"
# A number of scientific notation at the beginning of a run ends where it ends.
_PATTERN = rf"[0-9]+[eE][0-9]+(?=[\p{{IsAlphabetic}}\p{{M}}\p{{Nd}}&&[^0-9]])|{_LETTER}+"
ANALYSIS: dict[str, Any] = {
    "tokenizer": {ANALYZER: {"type": "pattern", "pattern": _PATTERN, "group": 0}},
    "analyzer": {ANALYZER: {"type": "custom", "tokenizer": ANALYZER, "filter": ["lowercase"]}},
}


def query(wanted: TextQuery) -> dict[str, Any]:
    """What finds the records that match."""
    if not wanted.alternatives:
        return {"match_none": {}}
    found = [_all(terms) for terms in wanted.alternatives]
    return found[0] if len(found) == 1 else {"bool": {"should": found, "minimum_should_match": 1}}


def _all(terms: tuple[Term, ...]) -> dict[str, Any]:
    return {
        "bool": {
            "filter": [_term(term) for term in terms if not term.negated],
            "must_not": [_term(term) for term in terms if term.negated],
        }
    }


def _term(term: Term) -> dict[str, Any]:
    if len(term.words) == 1:
        return {"term": {FIELD: term.words[0]}}
    return {"match_phrase": {FIELD: " ".join(term.words)}}
