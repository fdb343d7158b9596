"""This package as a wheel, so that an exported folder has the very code that was tried here: the pages of the format are few."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator

from ... import __version__
from ...store.client import PACKAGE

_LEFT_OUT = ("__pycache__",)
_SUFFIXES = (".pyc", ".pyo")
_DATE = (1980, 1, 1, 0, 0, 0)
NAME = f"{PACKAGE.name}-{__version__}-py3-none-any.whl"


def wheel() -> bytes:
    """The wheel's bytes, the same for the same code. It names no requirements: the folder's lock has them all, with their versions."""
    info = f"{PACKAGE.name}-{__version__}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {PACKAGE.name}\nVersion: {__version__}\n"
    files = dict(_code()) | {
        f"{info}/METADATA": head.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: jupyter_mlops\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\nmlops = {PACKAGE.name}.__main__:main\n".encode(),
    }
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _code() -> Iterator[tuple[str, bytes]]:
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE.parent)
        if path.is_file() and path.suffix not in _SUFFIXES and not any(part in _LEFT_OUT or part[0] == "." for part in inside.parts):
            yield inside.as_posix(), path.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
