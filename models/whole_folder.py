"""Writes a folder whole or not at all."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files aside, then put the folder in its place; one that stood there before is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        aside.chmod(0o755)
        put_in_place(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def put_in_place(aside: Path, path: Path) -> None:
    """Rename, and delete what stood there only when the new one stands: at no time is there half a folder."""
    if not path.exists():
        aside.replace(path)
        return
    retired = aside.with_name(f"{aside.name}-replaced")
    path.replace(retired)
    try:
        aside.replace(path)
    except OSError:
        retired.replace(path)
        raise
    shutil.rmtree(retired)
