"""TIDEGAUGE_TRACES_PROMOTED_ATTRIBUTES: what it takes, and what it says of what it does not."""

from __future__ import annotations

import pytest

from tidegauge import config
from tidegauge.errors import ConfigurationError
from tidegauge.model.promotion import AttributeType, PromotedAttribute

NAME = "TIDEGAUGE_TRACES_PROMOTED_ATTRIBUTES"


def test_keys_with_and_without_a_type() -> None:
    settings = config.load({NAME: "http.route, http.response.status_code:double,,aws:ecs:text"}, env_file=None)
    assert settings.traces.promoted_attributes == (
        PromotedAttribute("http.route"),
        PromotedAttribute("http.response.status_code", AttributeType.DOUBLE),
        PromotedAttribute("aws:ecs"),
    )
    shown = config.effective(settings)[NAME]
    assert config.load({NAME: shown}, env_file=None) == settings
    assert config.load({}, env_file=None).traces.promoted_attributes == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http.status:int", "'int' of 'http.status:int' is not a type"),
        (":text", "not a key"),
        ("a b", "not a key"),
        ("x" * 201, "not a key"),
        ("\udcff", "not a key"),
        ("a,b:double,a:bigint", "a stands there twice"),
        (",".join(f"k{number}" for number in range(21)), "at most 20"),
    ],
)
def test_what_is_wrong_is_said(value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=NAME) as raised:
        config.load({NAME: value}, env_file=None)
    assert said in str(raised.value)
