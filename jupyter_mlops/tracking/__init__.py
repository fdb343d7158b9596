"""From the execution of a cell to an event, and from events to runs; lives in the user's kernel and imports nothing heavy."""
