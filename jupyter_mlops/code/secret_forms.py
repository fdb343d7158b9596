"""How a secret is told from other text: by the name it is given to, or by its own form."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["password", "token"]


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Words that end a name whose text is a secret whatever it looks like.
_PASSWORDS = words(
    """
    password passwords passwd passphrase passcode pwd secret secrets apikey apikeys credential credentials
    """
)
_GLUED = (
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "apitoken",
    "authtoken",
    "accesstoken",
    "secretkey",
    "accesskey",
    "privatekey",
    "clientsecret",
)
# `<word> key` and `<word> token` are secrets with these words before them; `sort_key` and `pad_token` are not.
_KEY_OWNERS = words(
    """
    api access secret private auth account signing encryption master storage subscription client ssh license consumer app
    application shared admin openai anthropic mistral cohere groq wandb kaggle comet neptune azure google gcp aws hf stripe
    sendgrid deploy functions service server
    """
)
_TOKEN_OWNERS = words(
    """
    auth access api bearer refresh session csrf github gh gitlab hf huggingface hub slack bot telegram discord personal
    oauth security secret admin deploy npm pypi x app db databricks sas azure aws gcp google notion kaggle mlflow dagshub
    jupyter jupyterhub vault openai login jwt service wandb user my private write read
    """
)
_NOT_SECRET_TOKENS = words(
    """
    pad eos bos unk mask sep cls special start end stop next prev image audio video first last additional prefix suffix
    middle begin sos new word sub blank padding unknown separator target source input output
    """
)
_PASS_OWNERS = words(
    """
    db user my smtp mysql pg postgres ftp ssh root admin login mail email redis mongo sudo proxy http
    """
)
# What may follow in a name without changing what it holds: `DB_PASSWORD_PROD`, `token2`.
_QUALIFIERS = words(
    """
    prod production dev development test testing staging live local value str string text plain raw new old main default b64
    encoded env
    """
)

_PLACEHOLDER = re.compile(
    r"""(?isx) \s* (?: <.*> | \[.*\] | \{.*\} | \$\{?\w+\}? | %\(\w+\)s | [*•x.\-_]{3,} | your\b.* | your[-_].* | none | null | true | false
    | redacted | hidden | string | str | optional.* | required | «secret.* )? \s*"""
)
_PATH = re.compile(r"(?:[~.]{0,2}[\\/]|[A-Za-z]:\\)[\w./\\ -]*|[\w./\\-]+\.(?:json|pem|key|txt|ya?ml|toml|ini|cfg|env|csv|p12|pfx|crt|cer)")
_SCHEME = re.compile(r"(?i)\s*(?:bearer|basic|token|apikey|digest|key)\s+")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=4096)
def kind_of_name(name: str) -> Kind | None:
    """What a name promises: `password` (any text is the secret), `token` (text that looks random is), or None."""
    parts = [word.lower() for word in _WORDS.findall(name)]
    while parts and (parts[-1].isdigit() or (len(parts) > 1 and parts[-1] in _QUALIFIERS)):
        parts.pop()
    if not parts:
        return None
    *before, last = parts
    previous = before[-1] if before else ""
    if last == "id" and before[-2:] == ["access", "key"]:
        return "password"
    if last in _PASSWORDS or last.endswith(_GLUED) or (last.endswith("secret") and last != "nosecret"):
        return "password"
    if last == "key":
        return "password" if previous in _KEY_OWNERS else None
    if last == "pass":
        return "password" if previous in _PASS_OWNERS or name.isupper() else None
    if last == "token":
        if previous in _NOT_SECRET_TOKENS:
            return None
        return "password" if previous in _TOKEN_OWNERS else "token"
    return "token" if last in ("auth", "authorization", "pw", "pat") else None


def secret_part(kind: Kind, value: str) -> str | None:
    """The part of a text given to a name of this kind that is secret (`Bearer abc` -> `abc`), or None."""
    scheme = _SCHEME.match(value)
    part = value[scheme.end() :] if scheme else value
    if len(part) < 3 or _PLACEHOLDER.fullmatch(part) or _is_name(part) or _is_reference(part):
        return None
    return part if kind == "password" or (scheme and len(part) >= 8) or looks_random(part) else None


def looks_random(value: str) -> bool:
    """Whether a text is more likely a key than words: no space, and digits among letters, mixed case within, or long."""
    if len(value) < 6 or " " in value.strip():
        return False
    letters = any(character.isalpha() for character in value)
    digits = any(character.isdigit() for character in value)
    mixed = value != value.lower() and value != value.upper() and value != value.capitalize()
    return letters and (digits or (mixed and len(value) >= 12) or len(value) >= 20)


def _is_name(value: str) -> bool:
    """Names of columns, keys and variables: `password`, `DB_PASSWORD`."""
    return (
        value.lower() in _PASSWORDS
        or (value.isidentifier() and value.isupper() and kind_of_name(value) is not None)
        or value in ("token", "api_key", "access_token")
    )


def _is_reference(value: str) -> bool:
    return bool(_PATH.fullmatch(value)) or ("://" in value and "@" not in value)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a text holds a secret, and the name that the secret goes by."""

    start: int
    end: int
    name: str


def render(text: str, spots: list[Spot], form: str) -> str:
    """The text with each spot replaced by `form`, formatted with the spot's name."""
    if not spots:
        return text
    pieces = []
    at = 0
    for spot in spots:
        pieces += [text[at : spot.start], form.format(spot.name)]
        at = spot.end
    return "".join((*pieces, text[at:]))


@dataclass(frozen=True, slots=True)
class Form:
    """A form that is a secret wherever it stands. A text without any of `anchors` cannot hold one; group `secret` is what is replaced."""

    name: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    example: str
    accept: Callable[[str], bool] = bool


def _basic(value: str) -> bool:
    try:
        return b":" in base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False


def _form(name: str, anchors: str, pattern: str, example: str, accept: Callable[[str], bool] = bool) -> Form:
    return Form(name, tuple(anchors.split()), re.compile(pattern), example, accept)


_START = r"(?<![A-Za-z0-9+/_=-])"

FORMS: tuple[Form, ...] = (
    _form(
        "private_key",
        "-----BEGIN",
        r"(?P<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z))",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
    ),
    _form(
        "aws_access_key_id",
        "AKIA ASIA ABIA ACCA",
        _START + r"(?P<secret>(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?![A-Za-z0-9])",
        "AKIA" + "A1B2" * 4,
    ),
    _form(
        "github_token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        _START + r"(?P<secret>gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,})",
        "ghp_" + "a1B2" * 9,
    ),
    _form("gitlab_token", "glpat- gldt- glrt-", _START + r"(?P<secret>gl(?:pat|dt|rt)-[\w-]{16,})", "glpat-" + "a1B2" * 5),
    _form("huggingface_token", "hf_", _START + r"(?P<secret>hf_[A-Za-z0-9]{20,})", "hf_" + "aBcD" * 8),
    _form("api_key", "sk-", _START + r"(?P<secret>sk-(?=[\w-]*\d)[A-Za-z0-9_-]{20,})", "sk-proj-" + "a1B2" * 8),
    _form(
        "slack_token",
        "xoxb- xoxa- xoxp- xoxr- xoxs- xoxe- xapp-",
        _START + r"(?P<secret>(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,})",
        "xoxb-" + "1234" * 4 + "-abcd",
    ),
    _form(
        "slack_webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9/_+-]{16,})",
        "https://hooks.slack.com/services/" + "T0A1/B0C2/" + "d3E4" * 6,
    ),
    _form(
        "stripe_key",
        "sk_live_ sk_test_ rk_live_ rk_test_ whsec_",
        _START + r"(?P<secret>(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,})",
        "sk_live_" + "a1B2" * 6,
    ),
    _form("google_api_key", "AIza", _START + r"(?P<secret>AIza[\w-]{35})(?![\w-])", "AIza" + "a1B2_" * 7),
    _form("google_oauth_token", "ya29. GOCSPX-", _START + r"(?P<secret>ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})", "ya29." + "a1B2_" * 6),
    _form(
        "jwt",
        "eyJ",
        _START + r"(?P<secret>eyJ[\w-]{8,8192}\.eyJ[\w-]{8,8192}\.[\w-]{8,8192})",
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0." + "a1B2" * 8,
    ),
    _form("sendgrid_key", "SG.", _START + r"(?P<secret>SG\.[\w-]{16,}\.[\w-]{16,})", "SG." + "a1B2" * 5 + "." + "c3D4" * 8),
    _form("package_index_token", "pypi-AgE npm_", _START + r"(?P<secret>pypi-AgE[\w-]{20,}|npm_[A-Za-z0-9]{36})", "npm_" + "a1B2" * 9),
    _form("databricks_token", "dapi", _START + r"(?P<secret>dapi[0-9a-f]{32}(?:-\d)?)(?![0-9a-f])", "dapi" + "0a1b" * 8),
    _form("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", _START + r"(?P<secret>do[opr]_v1_[0-9a-f]{32,})", "dop_v1_" + "0a1b" * 16),
    _form(
        "url_password",
        "://",
        r"://[^\s/:@\"'<>{}]{0,200}:(?P<secret>(?!\*+@)[^\s/@\"'<>{}]{1,500})@",
        "postgresql://user:" + "pa55word" + "@host/db",
    ),
    _form("url_token", "://", r"://(?P<secret>[^\s/:@\"'<>{}]{8,500})@", "https://" + "a1B2" * 6 + "@example.org/x.git", looks_random),
    _form(
        "bearer_token",
        "earer EARER",
        r"(?:earer|EARER)\s+(?P<secret>[A-Za-z0-9._~+/-]{8,}=*)",
        "Authorization: Bearer " + "a1b2c3d4",
        looks_random,
    ),
    _form(
        "basic_credentials",
        "asic ASIC",
        r"(?:asic|ASIC)\s+(?P<secret>[A-Za-z0-9+/]{6,}={0,2})(?![A-Za-z0-9+/=])",
        "Basic dXNlcjpwYTU1d29yZA==",
        _basic,
    ),
    _form(
        "account_key",
        "AccountKey SharedAccessKey SharedAccessSignature",
        r"\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=(?P<secret>[A-Za-z0-9+/=%&-]{8,})",
        "AccountName=x;AccountKey=" + "a1B2" * 10 + "==",
    ),
    _form(
        "sas_signature", "sig=", r"[?&]sig=(?P<secret>[A-Za-z0-9%+/=_-]{16,})", "https://x.blob.core.windows.net/c?sv=1&sig=" + "a1B2" * 8
    ),
)
