"""Takes secrets out of what the program tells about itself, whoever has written it there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

MASK = "********"
_USERINFO = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{1,20}://)([^\s/\"'<>]{1,1000})@")
_AUTHORIZATION = re.compile(r"\b(bearer|basic|apikey)(\s+)(?!realm)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
# libpq's conninfo, query strings, JSON and reprs of mappings.
_NAMED = re.compile(
    r"\b((?:[a-z0-9]+[_-])*(?:password|passwd|pgpassword|secret|token|api[_-]?key)[\"']?\s?[=:]\s?)(?:'[^']*'|\"[^\"]*\"|[^\s,;&\"'}\])]+)",
    re.IGNORECASE,
)
# A shorter one, or one that is a word, may well stand somewhere for another reason.
_SHORTEST = 8


class Scrubber:
    """Masks what looks like a secret, and the secrets that it was told.

    Args:
        secrets: whole settings: tokens, keys, addresses with passwords.

    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets for form in _forms(secret)}
        # The longest first: an address before the password in it.
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if "://" in text:
            text = _USERINFO.sub(rf"\1{MASK}@", text)
        return _NAMED.sub(rf"\1{MASK}", _AUTHORIZATION.sub(rf"\1\2{MASK}", text))

    def value(self, value: object) -> object:
        """A value of JSON without secrets in its strings; what is not JSON becomes a string."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case Mapping():
                return {str(name): self.value(each) for name, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(each) for each in value]
        return self.text(str(value))


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret among settings and their sections."""
    for name in type(settings).model_fields:
        match getattr(settings, name):
            case SecretStr() as secret:
                yield secret.get_secret_value()
            case BaseModel() as section:
                yield from secrets_of(section)


def _forms(secret: str) -> Iterator[str]:
    """A secret and, where it is an address, the password in it as it is written and as it is meant."""
    for part in secret.split(","):
        password = re.match(r"[^:/]+://(?:[^/@:]*:)?(.+)@", part)
        for form in (part, password[1], unquote(password[1])) if password else (part,):
            if len(form) >= _SHORTEST and not form.isalpha():
                yield form
