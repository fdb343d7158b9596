"""The kernel manager and client that nbclient is given: jupyter_client's own, with another way to start, and none of its waiting."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from .ahead import LONGEST_SOCKET, PORTS, SIGNATURES, Spare
from .warm import Child, WarmKernels, ipython_arguments

_GREETING_SECONDS = 1.0
_ENDING_SECONDS = 2.0


class ShellChannel(AsyncZMQSocketChannel):
    """Remembers which request was answered last: what an execution shows is complete only when that has come, too."""

    answered = ""

    async def get_msg(  # type: ignore[override]  # as jupyter_client's own asynchronous channel has it
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """The next message, as jupyter_client gives it."""
        message = await super().get_msg(timeout)
        self.answered = message["parent_header"].get("msg_id", "")
        return message


class StepClient(AsyncKernelClient):
    """A client that is ready as soon as its kernel is, and lets as much wait in its sockets as the kernel shows."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(shell_channel_class=ShellChannel, **traits)
        self.greeting: dict[str, Any] = {}

    def connect_iopub(self, identity: bytes | None = None) -> zmq.Socket[bytes]:
        """The socket of what cells show, without a limit from which on messages are thrown away."""
        self.context.rcvhwm = 0
        return super().connect_iopub(identity)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and what it shows arrives. Raises RuntimeError when it dies first, or after `timeout` seconds.

        jupyter_client's own way ends with a fifth of a second in which nothing may come.
        """
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            request = self.kernel_info()
            try:
                reply = await self.shell_channel.get_msg(timeout=_GREETING_SECONDS)
                if reply["msg_type"] == "kernel_info_reply":
                    self._handle_kernel_info_reply(reply)
                    self.greeting = reply["content"]
                    # Anything that came is a sign of the connection; of another request than the last, it is passed over later.
                    await self.iopub_channel.get_msg(timeout=_GREETING_SECONDS / 5)
                    return
            except Empty:
                pass
            if not await self.is_alive():
                raise RuntimeError(f"Kernel died before replying to kernel_info ({getattr(self.parent, 'words', '')}).")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds ({request}).")


class StepKernelManager(AsyncKernelManager):
    """Has its kernel started by a server of warm kernels, and lets it listen on files that only this user can reach, where it can."""

    def __init__(self, server: WarmKernels, modules: Sequence[str] | None = (), **traits: Any) -> None:
        super().__init__(client_factory=StepClient, **traits)
        self.server, self.modules = server, modules
        self.kernel_id = uuid.uuid4().hex
        place = server.folder / self.kernel_id[:12]
        self.connection_file = f"{place}.json"
        self.log_file = Path(f"{place}.log")
        if len(str(place)) < LONGEST_SOCKET and ipython_arguments(self.format_kernel_cmd()) is not None:
            self.transport, self.ip = "ipc", str(place)
        if "kernel_provisioner" not in (self.kernel_spec.metadata if self.kernel_spec else {}):
            self.provisioner = StepProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)

    def take(self, environment: Mapping[str, str]) -> Spare | None:
        """Be the manager of a kernel that waits already, if there is one that serves this kernelspec and environment."""
        plain = self.transport == "ipc" and getattr(self, "transport_encryption", "disabled") in ("disabled", False)
        spec = self.kernel_spec
        alike = spec is not None and not spec.env and ipython_arguments(self.format_kernel_cmd()) == ["-f", self.connection_file]
        if not (plain and alike and self.session.signature_scheme == SIGNATURES):
            return None
        spare = self.server.take(environment, self.modules)
        if spare is not None:
            self.connection_file, self.log_file, self.ip = spare.file, spare.log, str(spare.place)
            self.session.key = spare.key.encode()
            for name, number in PORTS.items():
                setattr(self, name, number)
            spare.connection(environment.get("JPY_SESSION_NAME", ""))
            self._connection_file_written = True
        return spare

    @property
    def words(self) -> str:
        """How the kernel ended."""
        process = getattr(self.provisioner, "last", None)
        return process.words if process is not None else "it was not started"


class StepProvisioner(LocalProvisioner):
    """jupyter_client's care for a local process, of a process that the server started."""

    last: Child | None = None
    spare: Spare | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """What is to be started; a kernel that waits is taken, unless this is a restart, after which clients find it where it was."""
        if self.last is None and not kwargs.get("extra_arguments"):
            manager: Any = self.parent
            self.spare = manager.take(kwargs.get("env") or os.environ)
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Have the kernel started; the connection information for its manager."""
        manager: Any = self.parent
        cwd = str(kwargs.get("cwd") or os.getcwd())
        spare, self.spare = self.spare, None
        self.process = self.last = manager.server.start(cmd, kwargs["env"], cwd, manager.log_file, manager.modules, spare)
        self.pid, self.cwd = self.process.pid, cwd
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Give the kernel a moment to end by itself: jupyter_client looks only ten times a second."""
        deadline = time.monotonic() + _ENDING_SECONDS
        while self.process is not None and self.process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    async def cleanup(self, restart: bool = False) -> None:
        """Leave nothing of it on the disk."""
        await super().cleanup(restart)
        if not restart and self.parent is not None:
            self.parent.log_file.unlink(missing_ok=True)
