"""Secrets planted in a notebook in every form that people use: not a byte of them is in any file of the store, before or after delivery."""

from __future__ import annotations

import base64
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from jupyter_mlops.store import packs
from tests.conftest import Kernel
from tests.delivered import settled, with_database
from tests.faults.counting import Recorder

SETUP = """
%load_ext jupyter_mlops
import os, sys, getpass, numpy as np
import jupyter_mlops as mlops
from sklearn.linear_model import LogisticRegression
from sklearn.base import BaseEstimator, ClassifierMixin
X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2
def connect(*args, **keywords): return "connected"
"""
# What a user writes: § is the secret, ¤ the secret backwards (it is computed), ¢ the secret in a header's base64.
FORMS: dict[str, str] = {
    "code": 'password = "§"\nconnect("host", password)',
    "parameter": 'db_password = "§"\nclf = LogisticRegression(C=0.5).fit(X, y)\nmlops.log({"api_key": "§", "rows": 10})',
    "read by a fit": 'API_TOKEN = "§"\nmodel = LogisticRegression(C=len(API_TOKEN) / 7).fit(X, y)\nacc = model.score(X, y)',
    "dict": 'config = {"user": "bob", "db": {"password": "§"}}\nconfig',
    "url": 'dsn = "postgresql://bob:§@db.example.org:5432/x"\nprint(dsn)',
    "url token": 'remote = "https://§a1B2c3D4@git.example.org/x.git"\nremote',
    "environment": 'os.environ["SERVICE_TOKEN"] = "§"\nprint(os.environ["SERVICE_TOKEN"])',
    "env magic": "%env OTHER_API_KEY=§",
    "set_env magic": "%set_env DB_PASSWORD §",
    "command": '!echo curl -H "Authorization: Bearer §" http://localhost',
    "command flag": "out = !echo --password §\nout",
    "script": "%%bash\nexport PGPASSWORD=§\necho $PGPASSWORD",
    "stderr": 'client_secret = "§"\nprint("rejected", client_secret, file=sys.stderr)',
    "flushed halfway": 'secret_key = "§"\nprint(secret_key[:6], end="", flush=True)\nprint(secret_key[6:])',
    "traceback": 'access_token = "§"\nraise ConnectionError(f"cannot log in with {access_token}")',
    "failed fit": 'auth_token = "§"\nLogisticRegression(C=0.5).fit(X, [auth_token, 3])',
    "html": 'from IPython.display import HTML, display\nlogin_token = "§"\ndisplay(HTML(f"<b>{login_token}</b>"))',
    "comment": 'passphrase = "§"  # the passphrase is §\nconnect(passphrase)',
    "f-string": 'host = "h"\nurl = f"mysql://bob:§@{host}/x"\nurl',
    "bearer header": 'headers = {"Authorization": "Bearer §"}\nprint(headers)',
    "basic header": 'headers = {"Authorization": "Basic ¢"}\nheaders',
    "connection string": 'conn = "Server=db;Database=x;Uid=bob;Pwd=§;"\nconnect(conn)\nconn',
    "computed": 'password = "".join(reversed("¤"))\nprint(password)',
    "in a long output": 'login_secret = "".join(reversed("¤"))\nprint("x" * 50_000, login_secret)',
    "computed and raised": 'api_secret = "".join(reversed("¤"))\nraise ValueError(api_secret)',
    "computed for a fit": 'vault_token = "".join(reversed("¤"))\nclf = LogisticRegression(C=2.0).fit(X, y)\n'
    'mlops.log({"via": vault_token})',
    "keyword": 'connect(host="h", token="§")',
    "default": 'def login(user, password="§"):\n    return password\nlogin("bob")',
    "in a model": "class Remote(ClassifierMixin, BaseEstimator):\n"
    '    def __init__(self, api_key="x"):\n        self.api_key = api_key\n'
    "    def fit(self, X, y):\n        self.classes_ = [0, 1]\n        return self\n"
    'far = Remote(api_key="§").fit(X, y)',
    "tag and note": 'mlops.tag({"where": "https://bob:§@example.org"})\nmlops.note("it opens with password=§")',
    "tracked block": 'with mlops.track("block"):\n    webhook_token = "§"\n    length = len(webhook_token) / 3',
    "from another cell": 'later_password = "§"',
    "local module": "import local_settings\nlocal_settings.API_KEY",
}
ENTERED = "entered"
GIT = ("git remote", "git diff")


def secret_of(form: str) -> str:
    """The secret of a form: it looks random, and tells where it leaked from."""
    return f"pLnt{form.title().replace(' ', '')}9xQ7"


def cell_of(form: str) -> str:
    secret = secret_of(form)
    return FORMS[form].replace("§", secret).replace("¤", secret[::-1]).replace("¢", base64.b64encode(f"bob:{secret}".encode()).decode())


def prepare(project: Path) -> None:
    """A repository with a remote, an uncommitted change, and a module of the project's own, each with a secret in it."""
    git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    script = project / "job.py"
    script.write_text("print('first')\n")
    remote = f"https://bob:{secret_of('git remote')}@git.example.org/x.git"
    for command in (["init", "-q"], ["add", "job.py"], ["commit", "-qm", "first"], ["remote", "add", "origin", remote]):
        subprocess.run([*git, *command], cwd=project, check=True, capture_output=True)
    script.write_text(f"password = '{secret_of('git diff')}'\nurl = 'https://bob:{secret_of('git diff')}@h/x'\n")
    (project / "local_settings.py").write_text(f"API_KEY = '{secret_of('local module')}'\n")


def enter_secret(kernel: Kernel) -> None:
    """A cell that asks for a secret, which is typed in, and shows it."""
    kernel.client.execute("db_passwd = getpass.getpass()\nprint(db_passwd)", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=60)
    kernel.client.input(secret_of(ENTERED))
    kernel.client.get_shell_msg(timeout=60)
    kernel.run("db_passwd")


def contents(project: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the store holds: each file as it is, and what is compressed inside of packs and archives."""
    places = [project / ".mlops", project / "mlruns", project / "mlartifacts", *project.glob("mlflow.db*")]
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if not path.is_file():
                continue
            data = path.read_bytes()
            yield str(path), data
            if path.suffix == packs.SUFFIX:
                size = packs.footer_size(data[-packs.TRAILER_SIZE :], path.name)
                end = len(data) - packs.TRAILER_SIZE
                for entry in packs.read_footer(data[end - size : end], data[end:], path.name):
                    yield f"{path}:{entry.key.hex()}", packs.restore(entry, data[entry.offset : entry.offset + entry.stored], path.name)
            elif zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path}:{name}", archive.read(name)) for name in archive.namelist())


def leaks(project: Path) -> set[tuple[str, str]]:
    """Which form's secret is in which file."""
    forms = {form: secret_of(form) for form in (*FORMS, ENTERED, *GIT)}
    spellings = {form: (secret.encode(), base64.b64encode(f"bob:{secret}".encode())) for form, secret in forms.items()}
    return {
        (form, where.removeprefix(f"{project}/"))
        for where, data in contents(project)
        for form, written in spellings.items()
        if any(spelling in data for spelling in written)
    }


def test_no_secret_of_a_notebook_is_in_any_file_of_its_store(project: Path, record_property: Recorder) -> None:
    prepare(with_database(project))
    kernel = Kernel(project)
    kernel.run(SETUP)
    shown = {form: kernel.run(cell_of(form)) for form in FORMS}
    kernel.run("print(later_password)\nlater_password")
    kernel.run("last = LogisticRegression().fit(X, y)")
    enter_secret(kernel)
    time.sleep(1.0)
    # What was handed to the operating system while the cells ran.
    assert leaks(project) == set()
    kernel.close()
    runs = settled(project)
    assert leaks(project) == set()
    assert len(runs) >= 7
    # The user's own view is untouched, and what was recorded is more than nothing.
    assert secret_of("url") in shown["url"].stdout
    assert secret_of("traceback") in shown["traceback"].error
    recorded = b"".join(data for _, data in contents(project))
    assert recorded.count("«secret ".encode()) + recorded.count(rb"\u00absecret ") >= len(FORMS)
    record_property("faults", len(FORMS))
