"""Builds the optional compiled part while the package is installed: Cython sources that stand beside the Python they speed up.

An installation never fails for it. Where there is no C compiler, no headers of Python's or no Cython, or where TIDEGAUGE_BUILD_COMPILED=0
asks for none, one line says so, and everything runs on Python alone.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "TIDEGAUGE_BUILD_COMPILED"
"""0 leaves the compiled part out."""
FLAGS = "TIDEGAUGE_BUILD_FLAGS"
"""Further flags for the C compiler and the linker, as of a sanitizer."""


class CompiledPart(BuildHookInterface[Any]):
    """Compiles src/tidegauge/**/*.pyx: into the tree for an editable installation, else into the wheel alone."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is put together; ``version`` is "editable" for the one that points to the clone."""
        root = Path(self.root)
        is_editable = version == "editable"
        if is_editable:
            for stale in _modules_in(root / "src"):
                stale.unlink()
        if os.environ.get(SWITCH) == "0":
            self.app.display_info(f"tidegauge: no compiled part, as {SWITCH}=0 says")
            return
        try:
            built = build(root)
        except (Exception, SystemExit) as error:
            self.app.display_warning(f"tidegauge: no compiled part ({_reason(error)}): everything runs on Python, only slower")
            return
        if is_editable:
            for place, module in built.items():
                # Whoever imports meanwhile finds a whole module, and whoever runs one keeps it: written over in place, it would crash.
                new = root / "src" / f"{place}.new"
                shutil.copy2(module, new)
                new.replace(root / "src" / place)
        else:
            build_data["force_include"].update({str(module): place for place, module in built.items()})
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def build(root: Path, sources: str = "*.pyx") -> dict[str, Path]:
    """Compile what has changed; the modules by their places below src. Raises what Cython, setuptools and the compiler raise.

    ``sources``: a pattern of names, where not all are wanted.
    """
    from Cython.Build import cythonize
    from setuptools import Extension  # type: ignore[import-untyped]
    from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]
    from setuptools.dist import Distribution  # type: ignore[import-untyped]

    source = root / "src"
    flags = os.environ.get(FLAGS, "").split()
    # What another Python, or other flags, made is of no use here.
    kind = f"{sys.implementation.cache_tag}-{platform.machine()}" + "".join(flags).replace("/", "_")
    folder = root / "build" / f"compiled-{kind}"
    extensions = [
        Extension(
            ".".join(path.relative_to(source).with_suffix("").parts),
            [str(path.relative_to(root))],
            extra_compile_args=["-O2", "-g0", *flags],
            extra_link_args=flags,
        )
        for path in sorted(source.rglob(sources))
    ]
    before = Path.cwd()
    os.chdir(root)
    try:
        found = cythonize(  # type: ignore[no-untyped-call]
            extensions,
            include_path=["src"],
            build_dir=str(folder / "c"),
            language_level=3,
            quiet=True,
        )
        command = build_ext(Distribution({"name": "tidegauge", "ext_modules": found}))
        command.build_temp, command.build_lib = str(folder / "objects"), str(folder / "modules")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    modules = [root / path for path in command.get_outputs()]
    return {path.relative_to(folder / "modules").as_posix(): path for path in modules}


def _reason(error: BaseException) -> str:
    """Why nothing was compiled, in a few words. What a compiler cannot do is said by its command line, which tells nobody anything."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
    if compiler and shutil.which(compiler.split()[0]) is None:
        return f"there is no C compiler: {compiler.split()[0]} was not found"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are missing: Debian and Ubuntu have them in python3-dev, Fedora in python3-devel"
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return "the C compiler failed, which said why" if reason.startswith("Command ") else reason


def _modules_in(folder: Path) -> list[Path]:
    """Compiled modules of this Python."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return sorted(folder.rglob(f"*{suffix}"))
