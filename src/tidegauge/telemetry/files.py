"""Numbers of several processes, in files of a private folder, which any of them can add up.

Each process has files of its own name; a worker's successor has its name, too, and counts on where it ended, however it ended: what
prometheus_client keeps in a file survives the process. Its classes look for where values are kept in one place of that library, once
(``prometheus_client.values.ValueClass``, for its own several processes as well); its own way to set that is a variable of the environment,
read at import.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

from prometheus_client import mmap_dict, values

_SUFFIX = ".pid"


def keep_in(folder: Path, process: str, pid: int) -> None:
    """Keep this process' numbers in files of ``folder``; to be called once, before there is any metric.

    Gauges of a process of the same name that has ended are forgotten, its counters go on.

    Args:
        folder: exists, and is readable for nobody else.
        process: this process' name; letters, digits and hyphens.
        pid: its id.

    """
    forget(folder, process)
    values.ValueClass = _file_values(folder, process)
    (folder / f"{process}{_SUFFIX}").write_text(str(pid), encoding="ascii")


def forget(folder: Path, process: str) -> None:
    """A process has ended: what it had at the time is no more, what it has counted stays."""
    for path in (*folder.glob(f"gauge_*_{process}.db"), folder / f"{process}{_SUFFIX}"):
        path.unlink(missing_ok=True)


def processes(folder: Path) -> dict[str, int]:
    """Name → id of those that have not ended."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found[path.stem] = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            # It is just being written, or has just gone.
            continue
    return found


def _file_values(folder: Path, process: str) -> Any:
    """A class of values, as :class:`prometheus_client.values.MutexValue` is one."""
    # The library says nothing of the types of this class.
    opened: Any = mmap_dict.MmapedDict
    files: dict[str, Any] = {}
    lock = Lock()

    class FileValue:
        _multiprocess = True

        def __init__(
            self,
            typ: str,
            metric_name: str,
            name: str,
            labelnames: Any,
            labelvalues: Any,
            help_text: str,
            multiprocess_mode: str = "",
            **_: Any,
        ) -> None:
            kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
            self._key = mmap_dict.mmap_key(metric_name, name, labelnames, labelvalues, help_text)
            with lock:
                if kind not in files:
                    files[kind] = opened(str(folder / f"{kind}_{process}.db"))
                self._file = files[kind]
                self._value = self._file.read_value(self._key)[0]

        def inc(self, amount: float) -> None:
            with lock:
                self._value += amount
                self._file.write_value(self._key, self._value, 0.0)

        def set(self, value: float, timestamp: float | None = None) -> None:
            with lock:
                self._value = value
                self._file.write_value(self._key, value, timestamp or 0.0)

        def get(self) -> float:
            return float(self._value)

        def set_exemplar(self, exemplar: object) -> None:
            """None is ever given."""

        def get_exemplar(self) -> None:
            return None

    return FileValue
