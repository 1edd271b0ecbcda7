"""The compiled part: modules that are there only where they could be built (hatch_build.py), each beside the Python that it speeds up."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = (
    "tidegauge.otlp._logs",
    "tidegauge.otlp._metrics",
    "tidegauge.otlp._spans",
    "tidegauge.storage.postgres._attribute_filters",
    "tidegauge.storage.postgres._attribute_pairs",
    "tidegauge.storage.postgres._rows",
    "tidegauge.storage.postgres._rows_points",
)
"""All that belong to it."""


def module(name: str) -> Any:
    """A compiled module, or None where there is none that this Python can load."""
    try:
        return import_module(name)
    except ImportError:
        return None


def missing() -> str:
    """Why not everything is compiled that could be, in a few words; "" where it is."""
    for name in MODULES:
        try:
            import_module(name)
        except ModuleNotFoundError:
            return "when the package was installed it was not built, which takes a C compiler and Python's headers"
        except ImportError as error:
            return str(error)
    return ""


def described() -> str:
    """For people: which of the two reads requests and writes rows."""
    reason = missing()
    return f"python (no compiled part: {reason})" if reason else "compiled"
