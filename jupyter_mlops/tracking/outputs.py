"""What a cell shows: streams, displays, results and errors, taken from the kernel's own hooks without slowing a print.

In an ipykernel the streams' hooks run in the thread that sends them, as whole messages that name the request they belong to; so output
of a thread is given to its own cell, and what was shown before a kernel died is in the journal. In plain IPython the shell's history
keeps the outputs, and they are read as the cell ends.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..records import Output

METADATA_KEY = "jupyter_mlops"
INLINE_LIMIT = 32_000
CELL_LIMIT = 50_000_000

Keep = Callable[[bytes], str]
Emit = Callable[[int, list[Output]], None]


class KernelOutputs:
    """Hooks on the streams, displays and results of an ipykernel; `emit(seq, outputs)` is called as they pass."""

    def __init__(self, shell: Any, emit: Emit, keep: Keep) -> None:
        self._shell, self._emit, self._keep = shell, emit, keep
        self._cells: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._partial: dict[tuple[int, str], str] = {}
        self._lock = threading.Lock()

    def install(self) -> None:
        self._shell.display_pub.register_hook(self._display)
        if hasattr(self._shell.displayhook, "register_hook"):
            self._shell.displayhook.register_hook(self._display)
        self._each_stream("register_hook")

    def remove(self) -> None:
        self._shell.display_pub.unregister_hook(self._display)
        if hasattr(self._shell.displayhook, "unregister_hook"):
            self._shell.displayhook.unregister_hook(self._display)
        self._each_stream("unregister_hook")

    def begin(self, seq: int) -> None:
        self._cells[self._request()] = seq
        if len(self._cells) > 1000:
            self._cells.pop(next(iter(self._cells)))

    def end(self, seq: int, info: Any) -> None:
        """Nothing is left to read: what is still on its way is given to its cell when it is sent."""

    def _request(self) -> str:
        header = self._shell.display_pub.parent_header
        return str(header.get("msg_id", "") or header.get("header", {}).get("msg_id", ""))

    def _each_stream(self, method: str) -> None:
        import sys

        for stream in (sys.stdout, sys.stderr):
            thread = getattr(stream, "pub_thread", None)
            if thread is not None and hasattr(stream, method):
                # Hooks of a stream belong to the thread that sends its messages.
                thread.schedule(lambda stream=stream: getattr(stream, method)(self._stream))

    def _seq(self, message: Mapping[str, Any]) -> int | None:
        return self._cells.get(str(message.get("parent_header", {}).get("msg_id", "")))

    def _stream(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            seq = self._seq(message)
            if seq is not None:
                self._text(seq, message["content"]["name"], message["content"]["text"])
        except Exception:
            # The message must be sent whatever happens here.
            return message
        return message

    def _text(self, seq: int, name: str, text: str) -> None:
        # A secret may stand across two messages: only whole lines are passed on, the rest waits for its line's end.
        with self._lock:
            text = self._partial.pop((seq, name), "") + text
            head, newline, tail = text.rpartition("\n")
            if tail and len(tail) < INLINE_LIMIT:
                self._partial[(seq, name)] = tail
                text = head + newline
        if text:
            self._pass(seq, [Output(kind="stream", name=name, data={"text/plain": text})])

    def flush(self, before: int) -> None:
        """Pass on the unfinished last lines of the cells before `before`."""
        with self._lock:
            ready = [key for key in self._partial if key[0] < before]
            waiting = [(key, self._partial.pop(key)) for key in ready]
        for (seq, name), text in waiting:
            self._pass(seq, [Output(kind="stream", name=name, data={"text/plain": text})])

    def _display(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            seq, content = self._seq(message), message["content"]
            if seq is not None and "data" in content and METADATA_KEY not in (content.get("metadata") or {}):
                kind = "result" if message["header"]["msg_type"] == "execute_result" else "display"
                self._pass(seq, [Output(kind=kind, data=content["data"])])
        except Exception:
            # The message must be sent whatever happens here.
            return message
        return message

    def _pass(self, seq: int, outputs: list[Output]) -> None:
        kept = []
        for output in outputs:
            size = sum(len(str(value)) for value in output.data.values())
            self._sizes[seq] = self._sizes.get(seq, 0) + size
            if self._sizes[seq] > CELL_LIMIT:
                if self._sizes[seq] - size <= CELL_LIMIT:
                    kept.append(
                        Output(kind="stream", name="stderr", data={"text/plain": "[the rest of this cell's outputs was not recorded]\n"})
                    )
                continue
            kept.append(Output(kind=output.kind, name=output.name, data=shorten(output.data, self._keep)))
        if kept:
            self._emit(seq, kept)


class HistoryOutputs:
    """The same for plain IPython, from the shell's own record of outputs."""

    def __init__(self, shell: Any, emit: Emit, keep: Keep) -> None:
        self._shell, self._emit, self._keep = shell, emit, keep

    def install(self) -> None:
        """The shell records by itself."""

    remove = install

    def begin(self, seq: int) -> None:
        """The shell records by itself."""

    def flush(self, before: int) -> None:
        """Nothing waits."""

    def end(self, seq: int, info: Any) -> None:
        recorded = getattr(self._shell.history_manager, "outputs", {}).get(info.execution_count, [])
        kinds = {
            "out_stream": ("stream", "stdout"),
            "err_stream": ("stream", "stderr"),
            "execute_result": ("result", ""),
            "display_data": ("display", ""),
        }
        outputs = []
        for item in recorded:
            kind, name = kinds.get(item.output_type, ("display", ""))
            data = {"text/plain": "".join(item.bundle["stream"])} if "stream" in item.bundle else item.bundle
            outputs.append(Output(kind=kind, name=name, data=shorten(data, self._keep)))
        if outputs:
            self._emit(seq, outputs)


def shorten(data: Mapping[str, Any], keep: Keep) -> dict[str, Any]:
    """A mime bundle in which whatever is longer than `INLINE_LIMIT` is kept by content."""
    short: dict[str, Any] = {}
    for mime, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value, default=repr)
        if len(text) > INLINE_LIMIT:
            raw = text.encode("utf-8", "surrogatepass")
            short[mime] = {"object": keep(raw), "size": len(raw)}
        else:
            short[mime] = value if isinstance(value, str) else json.loads(text)
    return short
