"""The extension of the Jupyter server: its routes while it runs, and the end of all that they started when it stops."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from .handlers import HANDLERS, PARTS
from .parts import Parts


class MlopsServer(ExtensionApp):
    """The routes of jupyter_mlops."""

    name = "jupyter_mlops"
    description = "What the sidebar of jupyter_mlops asks the server for."

    def initialize_settings(self) -> None:
        """Make what the routes share."""
        assert self.serverapp is not None
        self._parts = self.settings[PARTS] = Parts(self.serverapp.root_dir, self.log)

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend(HANDLERS)

    async def stop_extension(self) -> None:
        """End what was started, before the server ends."""
        await self._parts.close()
