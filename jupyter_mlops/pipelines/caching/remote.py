"""Which version of its content a URL has, told without fetching the content where its server says so."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from blake3 import blake3

_CHUNK = 2**20
_WEB = ("http://", "https://")


def version(url: str, seconds: float) -> str:
    """`etag ...`, else `modified ...`, else `content ...` with the BLAKE3 of the bytes. `seconds` is how long each answer may take.

    Other URLs than the web's are asked through fsspec. Raises OSError, FileNotFoundError for what is not there.
    """
    return _web_version(url, seconds) if url.startswith(_WEB) else _stored_version(url)


def _web_version(url: str, seconds: float) -> str:
    try:
        with closing(_answer(url, "HEAD", seconds)) as answer:
            if found := _told(answer.headers):
                return found
    except urllib.error.HTTPError as error:
        # Servers may refuse to answer without content, some in odd ways; what the content's own request gives is what counts.
        error.close()
    try:
        with closing(_answer(url, "GET", seconds)) as answer:
            return _told(answer.headers) or _content(lambda: answer.read(_CHUNK))
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 410):
                raise FileNotFoundError(url) from None
            raise OSError(f"the server answers {error.code} {error.reason}") from None
    except http.client.HTTPException as error:
        raise OSError(f"the answer is broken: {error!r}") from None


def _answer(url: str, method: str, seconds: float) -> Any:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "jupyter-mlops", "Accept-Encoding": "identity"})
    try:
        return urllib.request.urlopen(request, timeout=seconds)
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason)) from None
    except http.client.HTTPException as error:
        raise OSError(f"the answer is broken: {error!r}") from None


def _told(headers: Mapping[str, str]) -> str:
    if etag := headers.get("ETag"):
        return f"etag {etag}"
    if modified := headers.get("Last-Modified"):
        return f"modified {modified} {headers.get('Content-Length', '')}".rstrip()
    return ""


def _content(read: Callable[[], bytes]) -> str:
    hasher = blake3()
    while part := read():
        hasher.update(part)
    return f"content {hasher.hexdigest()}"


def _stored_version(url: str) -> str:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
        details = system.info(path)
    except (ImportError, ValueError) as error:
        raise OSError(f"{error}; install the fsspec package for such URLs") from None
    for name in ("ETag", "etag", "md5Hash", "VersionId", "generation"):
        if details.get(name):
            return f"etag {details[name]}"
    with system.open(path, "rb") as file:
        return _content(lambda: file.read(_CHUNK))
