"""What the routes share. Each part is made when a request first needs it: JupyterLab starts without waiting for any of them."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hosts import Hosts
    from .jobs import Jobs
    from .watching import Watchers


class Parts:
    """The server's root, with no links in it, and what is made of it: the hosts, the jobs and the watchers."""

    def __init__(self, root: str, log: logging.Logger) -> None:
        self._root = root
        self._log = log

    @cached_property
    def root(self) -> Path:
        """The server's root."""
        return Path(self._root).expanduser().resolve()

    @cached_property
    def hosts(self) -> Hosts:
        """The processes that answer for projects."""
        from .hosts import Hosts

        return Hosts(self.root, self._log)

    @cached_property
    def jobs(self) -> Jobs:
        """The long work."""
        from .jobs import Jobs

        return Jobs()

    @cached_property
    def watchers(self) -> Watchers:
        """Those who look for changes while a page listens."""
        from .watching import Watchers

        return Watchers()

    async def close(self) -> None:
        """End what was made."""
        made = vars(self)
        if "watchers" in made:
            self.watchers.close()
        if "jobs" in made:
            await self.jobs.close()
        if "hosts" in made:
            await self.hosts.close()
