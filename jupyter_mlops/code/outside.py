"""What code names outside the kernel: the network, databases, other programs, and texts that may be paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from .literals import dotted, words
from .notebook_syntax import Magic, magic_of, split_words

MOST_TEXTS = 200
URL = re.compile(
    r"(?:https?|s?ftp|ssh|s3[an]?|gs|gcs|hdfs|abfss?|azure|az|wasbs?|hf|redis|snowflake|bigquery|"
    r"(?:postgres|postgresql|mysql|mssql|mongodb)(?:\+\w+)?)://",
    re.IGNORECASE,
)
_CALLS = words(
    "DataReader Ticker connect connect_async create_engine download_file execute execute_query executemany fetch_df fetchall fetchdf "
    "fetchmany fetchnumpy fetchone from_pretrained get_rdataset hf_hub_download load_dataset read_database read_database_uri read_gbq "
    "read_html read_sql read_sql_query read_sql_table retrieve snapshot_download sql sqldf urlopen urlretrieve wget"
)
_ROOTS = words(
    "aiohttp bigquery boto3 gspread httpx huggingface_hub kagglehub opendatasets psycopg psycopg2 pymongo pymysql requests urllib "
    "urllib3 wget yf yfinance"
)
_MAGICS = frozenset({"sql", "bigquery", "bq", "spark_sql"})
_COMMANDS = frozenset({"wget", "curl", "kaggle", "git", "aws", "gsutil", "gdown", "huggingface-cli", "scp", "rsync"})
# Words of code that starts other programs, or processes that share its work.
_PROGRAMS = re.compile(
    r"subprocess|multiprocessing|concurrent\.futures|ProcessPool|\bParallel\b|parallel_(?:backend|config)|n_jobs|loky|dask|spark|\bray\b|Popen"
    r"|\bos\.(?:system|popen|spawn|exec|fork)|(?:^|\")\s*(?:!|%%(?:bash|sh|script|perl|ruby|sx|system)|%(?:sx|system|run))",
    re.MULTILINE,
)
_FILE = re.compile(r"[^\n\t<>|?*\"']*\.[A-Za-z][A-Za-z0-9]{0,9}(?:\.(?:gz|bz2|zip|xz|zst))?")
_PLAIN = re.compile(r"[A-Za-z0-9_][\w\- ]{0,63}")


def starts_programs(text: str) -> bool:
    """Whether code speaks of other processes, which may do some of its work."""
    return _PROGRAMS.search(text) is not None


def uses_network(nodes: Iterable[ast.AST], magics: Iterable[Magic]) -> bool:
    """Whether the executed nodes read from the network or a database, as far as names and URLs tell."""
    for magic in magics:
        if _magic_uses_network(magic):
            return True
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and URL.match(node.value):
            return True
        if isinstance(node, ast.Call) and _call_uses_network(node):
            return True
    return False


def _call_uses_network(call: ast.Call) -> bool:
    magic = magic_of(call)
    if magic is not None:
        return _magic_uses_network(magic)
    name = dotted(call.func)
    root, last = name.split(".")[0], name.rsplit(".", 1)[-1]
    return last in _CALLS or last.startswith("fetch_") or (root in _ROOTS and not name.startswith("urllib.parse"))


def _magic_uses_network(magic: Magic) -> bool:
    given = split_words(magic.text + "\n" + magic.body)
    command = magic.kind == "shell" or magic.name in {"bash", "sh", "sx", "system", "script"}
    return magic.name in _MAGICS or (command and (bool(_COMMANDS & set(given)) or any(URL.search(word) for word in given)))


def path_texts(nodes: Iterable[ast.AST], magics: Iterable[Magic]) -> tuple[str, ...]:
    """Texts that may be paths, in the order of the source: string constants, and the words of commands. At most `MOST_TEXTS`."""
    found: dict[str, None] = {}
    for magic in magics:
        found.update(dict.fromkeys(_words(magic)))
    for node in nodes:
        if len(found) >= MOST_TEXTS:
            break
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and may_be_path(node.value):
            found[node.value] = None
        elif isinstance(node, ast.Call) and (command := magic_of(node)):
            found.update(dict.fromkeys(_words(command)))
    return tuple(found)[:MOST_TEXTS]


def _words(magic: Magic) -> list[str]:
    text = f"{magic.text}\n{magic.body}" if magic.kind != "cell" or magic.name not in {"time", "capture"} else magic.text
    return [word for word in split_words(text)[: 2 * MOST_TEXTS] if may_be_path(word)]


def may_be_path(text: str) -> bool:
    """Whether a text looks like the path of a file or folder: a separator, an extension, or a plain word of at most 64 characters."""
    if not text or len(text) > 1_000 or "\n" in text or "\0" in text or text.startswith("-"):
        return False
    return "/" in text or "\\" in text or bool(_FILE.fullmatch(text)) or bool(_PLAIN.fullmatch(text))
