"""The table of settings in docs/operations.md is the one that the program reads."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from tests.docs.generated import DOCS, check, table
from tidegauge import config
from tidegauge.config import Settings

_FOLDERS = {
    platformdirs.user_data_dir("tidegauge", appauthor=False): "the platform's folder for data",
    platformdirs.user_cache_dir("tidegauge", appauthor=False): "the platform's folder for caches",
}


def test_every_setting_with_its_default() -> None:
    defaults = config.effective(config.load({}, env_file=None))
    rows = []
    for name, section, field in config.variables():
        model = Settings.model_fields[section].annotation
        assert isinstance(model, type)
        said = model.model_fields[field].description  # type: ignore[attr-defined]
        assert said, f"{name} has no description"
        shown = _FOLDERS.get(defaults[name]) or (f"`{defaults[name]}`" if defaults[name] else "none")
        rows.append([f"`{name}`", shown, said])
    check(DOCS / "operations.md", "settings", table(["variable", "default", "what it is"], rows))


def test_every_alias_is_named() -> None:
    text = Path(DOCS / "operations.md").read_text(encoding="utf-8")
    assert [name for name in config.ALIASES if f"`{name}`" not in text] == []
