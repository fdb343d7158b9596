"""The kernel process of a replay, spoken to through its shell channel alone: what cells show is in the journal."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..store.client import finding
from .inside import LAUNCH
from .sandbox import Sandbox

_START_SECONDS = 120.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.2
_LONGEST_SOCKET = 80


class ReplayFailed(MlopsError):
    """The replay's kernel could not be started or asked."""


class Kernel:
    """A fresh IPython kernel in the sandbox: `start` and, when there is something for it to do, `wait`."""

    def __init__(self, sandbox: Sandbox, python: Path | None) -> None:
        self._sandbox = sandbox
        self._python = python
        self._manager: Any = None
        self._client: Any = None
        self._greeting = ""

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._manager is not None and bool(self._manager.is_alive())

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process; it gets ready while we do something else."""
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import KernelManager

        root = self._sandbox.root
        command = [str(self._python or sys.executable), "-c", LAUNCH, str(root / "scene.json"), "-f", "{connection_file}"]
        manager = self._manager = KernelManager(kernel_name="", connection_file=str(root / "kernel.json"))
        manager._kernel_spec = KernelSpec(argv=command, display_name="replay", language="python")
        if len(str(root)) < _LONGEST_SOCKET:
            manager.transport, manager.ip = "ipc", str(root / "kernel")
        # A rebuilt environment holds this package.
        variables = dict(environment) if self._python else finding(environment)
        with (root / "kernel.log").open("wb") as log:
            manager.start_kernel(cwd=str(self._sandbox.cwd), env=variables, stdout=log, stderr=log)
        self._client = manager.client()
        self._client.start_channels(iopub=False, stdin=False, hb=False)
        self._greeting = self._client.kernel_info()

    def wait(self) -> None:
        """Wait until it is ready. Raises ReplayFailed, with its last words, when it does not get so."""
        if self._await(self._greeting, _START_SECONDS) is None:
            raise ReplayFailed(f"The replay's kernel did not start: {self._last_words()}")

    def run(self, source: str, cell: str, seconds: float) -> bool:
        """Run a cell; whether it ended by itself in time, else it was interrupted."""
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self._client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else None)
        self._client.shell_channel.send(message)
        request = message["header"]["msg_id"]
        if self._await(request, seconds) is not None:
            return True
        if self.alive:
            self._manager.interrupt_kernel()
            if self._await(request, _END_SECONDS) is None and self.alive:
                self._manager.shutdown_kernel(now=True)
        return False

    def run_silently(self, source: str, seconds: float) -> None:
        """Run code of ours that leaves no trace in the history. Raises ReplayFailed when it fails."""
        reply = self._await(self._client.execute(source, silent=True, store_history=False, allow_stdin=False), seconds)
        if reply is None or reply["content"]["status"] != "ok":
            told = f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}" if reply else self._last_words()
            raise ReplayFailed(f"The replay's kernel failed: {told}")

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self._client is not None:
            self._client.stop_channels()
        if self._manager is not None:
            self._manager.shutdown_kernel(now=True)

    def _await(self, request: str, seconds: float) -> dict[str, Any] | None:
        """The reply to a request; None when it did not come in time, or the kernel died."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                reply: dict[str, Any] = self._client.get_shell_msg(timeout=min(left, _POLL_SECONDS))
            except queue.Empty:
                if not self.alive:
                    return None
                continue
            if reply["parent_header"].get("msg_id") == request:
                return reply
        return None

    def _last_words(self) -> str:
        try:
            lines = (self._sandbox.root / "kernel.log").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it does not answer."
