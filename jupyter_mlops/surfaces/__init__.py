"""The typed verbs, once (commands), and what only translates them: command line, magics, display."""
