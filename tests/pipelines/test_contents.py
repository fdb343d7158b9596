"""What inputs hold: files, folders, URLs, databases, and what a step was seen to use."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jupyter_mlops import errors
from jupyter_mlops.pipelines.caching import contents
from jupyter_mlops.pipelines.caching.contents import Contents


@pytest.fixture
def seen(project: Path) -> Contents:
    """The contents of the empty project."""
    return contents.opened(project, project / ".mlops")


def make(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_csv", ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def aged(path: Path, seconds: float = 100.0) -> None:
    """As if the file had been written a while ago."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - int(seconds * 1e9)))


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose bytes are read from now on."""
    read: list[str] = []
    original = contents._bytes_digest
    monkeypatch.setattr(contents, "_bytes_digest", lambda path: read.append(Path(path).name) or original(path))
    return read


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda folder: None, False),
        (lambda folder: (folder / "a.csv").write_text("1"), False),
        (lambda folder: (folder / "a.csv").write_text("2"), True),
        (lambda folder: (folder / "a.csv").rename(folder / "c.csv"), True),
        (lambda folder: make(folder, new_csv=""), True),
        (lambda folder: (folder / "deep" / "b.csv").unlink(), True),
        (lambda folder: (folder / "deep").rename(folder / "deeper"), True),
        (lambda folder: os.utime(folder / "a.csv"), False),
        (lambda folder: make(folder, **{"__pycache__/x.pyc": "1"}), False),
        (lambda folder: (folder / "loop").symlink_to(folder), False),
        (lambda folder: ((folder / "a.csv").rename(folder.parent / "x"), (folder / "a.csv").symlink_to(folder.parent / "x")), False),
    ],
)
def test_a_folder_counts_by_its_names_and_bytes(change: Callable[[Path], object], counts: bool, seen: Contents, project: Path) -> None:
    folder = make(project / "data", a_csv="1", deep__b_csv="2")
    before = seen.file("data")
    change(folder)
    assert (seen.file(folder) != before) is counts


def test_an_unchanged_file_is_read_once(seen: Contents, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, a_csv="1")
    monkeypatch.setattr(contents, "_RACY_SECONDS", -3600.0)
    read = reads(monkeypatch)
    digests = {seen.file("a.csv") for _ in range(3)}
    seen.memory.close()
    again = contents.opened(project, project / ".mlops")
    assert (digests, read) == ({again.file("a.csv")}, ["a.csv"])


def test_a_file_younger_than_two_seconds_is_read_again(seen: Contents, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, a_csv="1")
    read = reads(monkeypatch)
    seen.file("a.csv"), seen.file("a.csv")
    assert read == ["a.csv", "a.csv"]


def test_an_edit_that_keeps_size_and_time_is_noticed(seen: Contents, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, a_csv="1")
    aged(project / "a.csv")
    monkeypatch.setattr(contents, "_RACY_SECONDS", -3600.0)
    before, status = seen.file("a.csv"), (project / "a.csv").stat()
    (project / "a.csv").write_text("2")
    os.utime(project / "a.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert seen.file("a.csv") != before


def test_a_memory_that_is_damaged_is_only_slower(project: Path) -> None:
    make(project, a_csv="1")
    before = contents.opened(project, project / ".mlops")
    digest = before.file("a.csv")
    before.memory.put("file", "x", "stamp", 1)
    before.memory.close()
    (file,) = (project / ".mlops").glob("memory-*.db")
    file.write_bytes(b"damaged" * 1000)
    after = contents.opened(project, project / ".mlops")
    assert (after.file("a.csv"), after.memory.get("file", "x", "stamp")) == (digest, None)
    after.memory.put("file", "x", "stamp", 2)
    after.memory.close()
    assert contents.opened(project, project / ".mlops").memory.get("file", "x", "stamp") == 2


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A web server of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.csv"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(body: bytes = b"1", status: int = 200, head: int | None = None, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(head if head and handler.command == "HEAD" else status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)

    return answer


MONDAY, TUESDAY = "Mon, 01 Jun 2026 00:00:00 GMT", "Tue, 02 Jun 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (answering(ETag='"1"'), answering(b"2", ETag='"1"', Last_Modified=TUESDAY), False),
        (answering(ETag='"1"'), answering(ETag='"2"'), True),
        (answering(Last_Modified=MONDAY), answering(Last_Modified=MONDAY), False),
        (answering(Last_Modified=MONDAY), answering(Last_Modified=TUESDAY), True),
        (answering(b"1"), answering(b"1"), False),
        (answering(b"1"), answering(b"2"), True),
        (answering(b"1", head=405), answering(b"2", head=405), True),
        (answering(head=403, ETag='"1"'), answering(ETag='"1"'), False),
    ],
)
def test_a_url_counts_by_what_its_server_says_of_it_else_by_its_content(
    before: Callable[[BaseHTTPRequestHandler], None], after: Callable[[BaseHTTPRequestHandler], None], counts: bool, seen: Contents
) -> None:
    with served(before) as url:
        one = seen.given(url, "step", "flights")
    with served(after) as url:
        assert (seen.given(url, "step", "flights") != one) is counts


def test_a_url_of_another_kind_is_asked_through_its_file_system(seen: Contents) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/a.csv", b"1")
    one = seen.given("memory://bucket/a.csv", "step", "flights")
    memory.pipe_file("/bucket/a.csv", b"2")
    assert seen.given("memory://bucket/a.csv", "step", "flights") != one


@pytest.fixture
def database(project: Path) -> Iterator[sqlite3.Connection]:
    """A database in the project."""
    connection = sqlite3.connect(project / "flights.db", isolation_level=None)
    connection.execute("CREATE TABLE flights (delay INTEGER, updated TEXT)")
    connection.execute("INSERT INTO flights VALUES (5, '2026-01-01')")
    yield connection
    connection.close()


QUERY = {"query": "SELECT * FROM flights", "connection": "sqlite:///flights.db", "fingerprint": "SELECT max(updated) FROM flights"}


def test_a_query_counts_by_its_fingerprint(seen: Contents, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    before = seen.given(QUERY, "step", "flights")
    database.execute("UPDATE flights SET delay = 6")
    assert seen.given(QUERY, "step", "flights") == before
    monkeypatch.setenv("FLIGHTS", "sqlite:///flights.db")
    assert seen.given(QUERY | {"connection": "FLIGHTS"}, "step", "flights") == before
    database.execute("UPDATE flights SET updated = '2026-01-02'")
    assert seen.given(QUERY, "step", "flights") != before
    assert seen.given(QUERY | {"query": "SELECT 1"}, "step", "flights") != seen.given(QUERY, "step", "flights")
    assert seen.given({name: QUERY[name] for name in ("query", "connection")}, "step", "flights") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("data/gone.csv", ": there is no data/gone.csv for the input 'flights': put it there, or correct the path."),
        ("file:///gone/x.csv", ": there is no file:///gone/x.csv for the input 'flights': put it there, or correct the path."),
        ("pipe", ": the input 'flights' cannot be read from pipe (it is neither a file nor a folder): check that it is reachable."),
        (
            "http://127.0.0.1:9/a.csv",
            ": the input 'flights' cannot be read from http://127.0.0.1:9/a.csv (Connection refused): check that it is reachable.",
        ),
        (
            "nonsense://a.csv",
            ": the input 'flights' cannot be read from nonsense://a.csv (Protocol not known: nonsense; install the fsspec package for such "
            "URLs): check that it is reachable.",
        ),
        (
            QUERY | {"connection": "sqlite:///gone.db"},
            ": the input 'flights' cannot be read from its database (there is no file gone.db): check that it is reachable.",
        ),
        (
            QUERY | {"fingerprint": "SELECT missing FROM flights"},
            ": the input 'flights' cannot be read from its database (no such column: missing): check that it is reachable.",
        ),
        (
            QUERY | {"connection": "NOT_SET"},
            ", input 'flights': there is no environment variable 'NOT_SET' with the connection of a query: set it to an SQLAlchemy URL.",
        ),
        (
            QUERY | {"connection": "://geheim"},
            ", input 'flights': the connection of a query cannot be used: write an SQLAlchemy URL, or a variable's name.",
        ),
    ],
)
@pytest.mark.usefixtures("database")
def test_an_input_that_cannot_be_had_is_named_with_what_to_do(given: object, message: str, seen: Contents, project: Path) -> None:
    os.mkfifo(project / "pipe")
    with pytest.raises(errors.PipelineError) as caught:
        seen.given(given, "train", "flights")
    assert str(caught.value) == f"step 'train'{message}"


@pytest.mark.parametrize(("status", "why"), [(404, "there is no"), (500, "the server answers 500 Internal Server Error")])
def test_a_server_that_refuses_is_told(status: int, why: str, seen: Contents) -> None:
    with served(answering(status=status)) as url, pytest.raises(errors.PipelineError, match=why):
        seen.given(url, "train", "flights")


def test_what_was_observed_is_told_once_it_changed(seen: Contents, project: Path, tmp_path: Path) -> None:
    make(project, a_csv="1", deep__b_csv="2")
    make(tmp_path / "elsewhere", c_csv="3")
    (project / "helpers.py").write_text("X = 1\n")
    used = [project / "a.csv", "deep", tmp_path / "elsewhere" / "c.csv", project / "helpers.py", project / "gone.csv"]
    observed = seen.observe(used, ["pandas", "pandas.core", "json", "helpers"])
    assert list(observed) == sorted(["a.csv", "deep", str(tmp_path / "elsewhere" / "c.csv"), "helpers.py", "package pandas"])
    assert seen.changed(observed) is None
    (project / "helpers.py").write_text("# a constant\nX = 1\n")
    assert seen.changed(observed) is None
    for path, text in {"helpers.py": "X = 2", "deep/b.csv": "x", "a.csv": "x"}.items():
        before = (project / path).read_text()
        (project / path).write_text(text)
        assert seen.changed(observed) == path.removesuffix("/b.csv")
        (project / path).write_text(before)
        assert seen.changed(observed) is None
    (project / "a.csv").unlink()
    assert seen.changed(observed) == "a.csv"
    assert seen.changed({"package pandas": "0.1"}) == "package pandas"
