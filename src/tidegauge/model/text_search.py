"""Text search: what the words of a text are, and what a search asks of them (docs/data-model.md, "Text search").

One definition for every log store: an adapter translates :class:`TextQuery`, and indexes words as :func:`words` cuts them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

SEARCHED_CHARACTERS = 200_000
"""Of a body, that many characters are searched."""
MAX_WORD_BYTES = 2046
"""Longer words are not found: PostgreSQL's limit."""

_RUNS = re.compile(r"[0-9A-Za-z\x80-\U0010ffff]+")
# PostgreSQL's parser ends a number of scientific notation where it ends, whatever letters follow.
_NUMBER_THEN_LETTER = re.compile(r"([0-9]+[eE][0-9]+)(?=[^0-9])")
# Letters in circles and squares: symbols that have Unicode's property Alphabetic.
_ALPHABETIC_SYMBOLS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
_TERMS = re.compile(r'(-?)(?:"([^"]*)(?:"|$)|([^\s"]+))')


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one behind the other; ``negated``: that must not be in the text."""

    words: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Alternatives, each of terms that must all hold. Without alternatives nothing is found."""

    alternatives: tuple[tuple[Term, ...], ...]

    def matches(self, text: str) -> bool:
        """Whether a body is found; its first :data:`SEARCHED_CHARACTERS` characters count."""
        found = list(words(text[:SEARCHED_CHARACTERS]))
        return any(all(_holds(term, found) for term in terms) for terms in self.alternatives)


def parse(text: str) -> TextQuery:
    """The query that a person wrote: words, ``"phrases"``, ``or``, ``-not``; never an error. ``or`` binds least."""
    alternatives: list[list[Term]] = [[]]
    for minus, phrase, term in _TERMS.findall(text):
        if term.lower() == "or" and not minus:
            alternatives.append([])
        elif found := tuple(words(phrase or term)):
            alternatives[-1].append(Term(found, bool(minus)))
    return TextQuery(tuple([tuple(terms) for terms in alternatives if terms]))


def words(text: str) -> Iterator[str]:
    """The words of a text in order, in lower case; without those that are too long to be found."""
    for run in _RUNS.findall(text):
        for word in (run,) if run.isascii() else _cut(run):
            yield from _parts(word)


def _parts(word: str) -> Iterator[str]:
    number = _NUMBER_THEN_LETTER.match(word)
    if number is not None:
        yield number[1].lower()
        word = word[number.end() :]
    if len(word) <= MAX_WORD_BYTES and (word.isascii() or len(word.encode(errors="replace")) <= MAX_WORD_BYTES):
        yield word.lower() if word.isascii() else "".join(map(_lower, word))


def _cut(run: str) -> Sequence[str]:
    return "".join([character if _belongs(character) else " " for character in run]).split()


@lru_cache(4096)
def _belongs(character: str) -> bool:
    category = unicodedata.category(character)
    if category[0] in "LM" or category in ("Nd", "Nl"):
        return True
    return category == "So" and any(first <= ord(character) <= last for first, last in _ALPHABETIC_SYMBOLS)


@lru_cache(4096)
def _lower(character: str) -> str:
    """Unicode's simple mapping: one character for one."""
    return "i" if character == "\u0130" else lower if len(lower := character.lower()) == 1 else character


def _holds(term: Term, found: Sequence[str]) -> bool:
    first, size = term.words[0], len(term.words)
    present = any(word == first and tuple(found[place : place + size]) == term.words for place, word in enumerate(found))
    return present is not term.negated
