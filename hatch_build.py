"""Builds the explanation's kernel when Bedside is installed, if there is a C compiler; without one the graph explains.

Called by hatchling (https://hatch.pypa.io/latest/plugins/build-hook/custom/). `BEDSIDE_COMPILE=no` leaves it out.
"""

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNEL = Path("serving/explainer")
# No fused multiply-add: the same sums on every machine.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-shared", "-fPIC")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Compile kernel.c beside itself, and make the wheel one of this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile, or say why not."""
        folder = Path(self.root) / KERNEL
        target = folder / "_kernel.so"
        target.unlink(missing_ok=True)
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[:1]
        if os.environ.get("BEDSIDE_COMPILE") == "no" or not compiler or shutil.which(compiler[0]) is None:
            self.app.display_warning("No C compiler: explanations will come from the graph, more slowly.")
            return
        command = [*compiler, *FLAGS, "-o", str(target), str(folder / "kernel.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own source
        if done.returncode != 0:
            self.app.display_warning(f"The kernel was not compiled; the graph explains.\n{done.stderr[-2000:]}")
            return
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(KERNEL / "_kernel.so"))
