"""The image of a model's service, and a compose file that starts it. Pure."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import yaml

from ...records import ModelVersion
from .wheel import NAME as WHEEL

PORT = 8000
USER = 10001
PLACE = "/service"
TOKEN = "MLOPS_SERVE_TOKEN"


@dataclass(frozen=True, slots=True)
class Image:
    """How a version's image is called: `name` of letters, digits and dashes, `tag` its version and the beginning of its hash."""

    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


def image_of(version: ModelVersion) -> Image:
    """The image of a version. Its tag differs whenever the model's files do."""
    name = re.sub(r"[^a-z0-9]+", "-", version.name.lower()).strip("-")[:50].strip("-")
    return Image(name or "model", f"{version.version}-{version.digest[:12]}")


def texts(version: ModelVersion) -> dict[str, str]:
    """Dockerfile, .dockerignore and compose.yaml."""
    return {"Dockerfile": _dockerfile(version), ".dockerignore": _IGNORED, "compose.yaml": _compose(version)}


def _dockerfile(version: ModelVersion) -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"""\
# {line(version.name)}, version {version.version}: docker build -t {image_of(version)} .
FROM python:{python}-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME={PLACE}
WORKDIR {PLACE}
# The packages come first: another version of the model with the same requirements builds in a moment.
COPY requirements.txt {WHEEL} /tmp/
RUN python -m pip install --no-cache-dir --no-deps -r /tmp/requirements.txt /tmp/{WHEEL} && rm /tmp/requirements.txt /tmp/{WHEEL}
COPY model.json SHA256SUMS ./
COPY model model
RUN sha256sum --check --quiet SHA256SUMS && mkdir .mlops && chown {USER}:{USER} .mlops
USER {USER}:{USER}
EXPOSE {PORT}
# Where predictions are logged: put a volume there to keep them.
VOLUME {PLACE}/.mlops
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD \
["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/ready', timeout=3)"]
STOPSIGNAL SIGTERM
# Other machines need the token that {TOKEN} holds.
CMD ["mlops", "serve", "{PLACE}", "--host", "0.0.0.0", "--port", "{PORT}"]
"""


_IGNORED = "*\n!model\n!model.json\n!SHA256SUMS\n!requirements.txt\n!*.whl\n"


def _compose(version: ModelVersion) -> str:
    image = image_of(version)
    service = {
        "build": ".",
        "image": str(image),
        # Compose fills it from the environment or from a file .env, and stops where neither has it.
        "environment": {TOKEN: f"${{{TOKEN}:?set it to a secret of your own}}"},
        "ports": [f"127.0.0.1:{PORT}:{PORT}"],
        "volumes": [f"predictions:{PLACE}/.mlops"],
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": "40s",
        "restart": "unless-stopped",
    }
    head = f"# {line(version.name)}, version {version.version}: {TOKEN}=... docker compose up --build\n"
    return head + yaml.safe_dump({"services": {image.name: service}, "volumes": {"predictions": None}}, sort_keys=False)


def line(text: str) -> str:
    """A name in a comment: nothing in it may end the line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
