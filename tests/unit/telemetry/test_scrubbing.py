"""Secrets stay out of what the program tells about itself."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tidegauge import config
from tidegauge.telemetry.scrubbing import MASK, Scrubber, secrets_of


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("connection to postgresql://owner:hunter2@db:5432/x failed", "hunter2"),
        ("redis://:hunter2@cache/0", "hunter2"),
        ("https://elastic:hunt@er2@es:9200", "er2"),
        ("https://0123abc@sentry.example/4", "0123abc"),
        ("host=db user=owner password=hunter2 dbname=x", "hunter2"),
        ("password='hunter two' sslmode=disable", "two"),
        ("?api_key=hunter2&x=1", "hunter2"),
        ('{"password": "hunter2", "x": 1}', "hunter2"),
        ("{'token': 'hunter2'}", "hunter2"),
        ("PGPASSWORD=hunter2 psql", "hunter2"),
        ("TIDEGAUGE_API_TOKEN=hunter2hunter2", "hunter2"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("ApiKey VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==", "VnVhQ2ZHY0"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    scrubbed = Scrubber().text(text)
    assert secret not in scrubbed
    assert MASK in scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "GET http://127.0.0.1:4320/api/v1/traces",
        'send Authorization: Bearer realm="tidegauge"',
        "tokens: 3",
        "12:00:01 user@example.com",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Scrubber().text(text) == text


def test_every_secret_setting_is_masked_wherever_it_stands() -> None:
    values = {
        "TIDEGAUGE_API_TOKEN": "t0ken-of-sixteen-and-more",
        "DATABASE_URL": "postgresql://owner:p%40ss-w0rd@db/telemetry",
        "ELASTICSEARCH_URL": "http://one:first-pass1@a:9200,http://two:second-pass2@b:9200",
        "TIDEGAUGE_LOGS_ELASTICSEARCH_API_KEY": "a-key-of-elasticsearch-1",
        "REDIS_URL": "redis://:redis-pass-3@cache/0",
        "SENTRY_DSN": "https://0123456789abcdef@sentry.example/4",
    }
    scrubber = Scrubber(secrets_of(config.load(values, env_file=None)))
    for secret in (
        "t0ken-of-sixteen-and-more",
        "p%40ss-w0rd",
        "p@ss-w0rd",
        "first-pass1",
        "second-pass2",
        "a-key-of-elasticsearch-1",
        "redis-pass-3",
    ):
        assert scrubber.text(f"<{secret}>") == f"<{MASK}>"
    assert MASK in scrubber.text(values["SENTRY_DSN"])


def test_a_password_that_is_a_word_does_not_mask_the_word() -> None:
    scrubber = Scrubber(["postgresql://tidegauge:tidegauge@db/tidegauge"])
    assert (
        scrubber.text("tidegauge.ingest failed at postgresql://tidegauge:tidegauge@db/x")
        == f"tidegauge.ingest failed at postgresql://{MASK}@db/x"
    )


def test_values_are_scrubbed_all_the_way_down_and_become_json() -> None:
    value = {"a": [{"b": "redis://:x@h"}, ("password=y",)], "c": {1: True, "s": SecretStr("hidden")}, "n": 1.5, "none": None}
    assert Scrubber().value(value) == {
        "a": [{"b": f"redis://{MASK}@h"}, [f"password={MASK}"]],
        "c": {"1": True, "s": "**********"},
        "n": 1.5,
        "none": None,
    }
