"""Compiles what is written in C when Bedside is installed, if there is a C compiler; without one Python does it.

Called by hatchling (https://hatch.pypa.io/latest/plugins/build-hook/custom/). `BEDSIDE_COMPILE=no` leaves it out.
"""

import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Each source, and the library beside it.
LIBRARIES = {
    Path("features/reading/scan/scan.c"): "_scan.so",
    Path("serving/explainer/kernel.c"): "_kernel.so",
}
# No fused multiply-add: the same sums on every machine.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-shared", "-fPIC")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Compile: beside the source for an editable installation, else into a wheel, then one of this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or say why not."""
        if version == "editable":
            for path, library in LIBRARIES.items():
                source = Path(self.root) / path
                source.with_name(library).unlink(missing_ok=True)  # one of another version must not stay
                self._compiled(source, source.with_name(library))
            return
        self._folder = Path(tempfile.mkdtemp(prefix="bedside-build-"))
        for path, library in LIBRARIES.items():
            target = self._folder / library
            if self._compiled(Path(self.root) / path, target):
                build_data["force_include"][str(target)] = str(path.with_name(library))
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was compiled outside the tree."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            shutil.rmtree(folder)

    def _compiled(self, source: Path, target: Path) -> bool:
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[:1]
        if os.environ.get("BEDSIDE_COMPILE") == "no" or not compiler or shutil.which(compiler[0]) is None:
            self.app.display_warning(f"No C compiler: {source.name} is left out, and Bedside slower.")
            return False
        command = [*compiler, *FLAGS, "-o", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own source
        if done.returncode != 0:
            self.app.display_warning(f"{source.name} was not compiled; Bedside is slower.\n{done.stderr[-2000:]}")
        return done.returncode == 0
