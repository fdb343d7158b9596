"""Small notebooks for tests of pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(
    path: Path, parameters: str | None = None, outputs: str | None = None, code: str = "pass", language: str = "python", **metadata: Any
) -> Path:
    """A notebook of up to three cells: the one tagged `parameters`, one with code, the one tagged `outputs`."""
    tagged = [(parameters, ["parameters"]), (code, []), (outputs, ["outputs"])]
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {"tags": tags}, "source": text, "execution_count": None, "outputs": []}
        for number, (text, tags) in enumerate(tagged)
        if text is not None
    ]
    kernel = {"name": {"python": "python3"}.get(language, language), "language": language, "display_name": language}
    head = {"kernelspec": kernel, "language_info": {"name": language}, **metadata}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": head, "cells": cells}))
    return path
