"""Pure functions over the source text of cells: what it reads and writes, which literals, fits and paths it holds. No kernel, no disk."""
