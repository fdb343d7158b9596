"""`python -m tests.docs` writes what is generated in docs/ anew."""

from __future__ import annotations

from . import generated


def main() -> None:
    """Write the pages, and say which changed."""
    for page, text in generated.pages().items():
        old = page.read_text(encoding="utf-8") if page.exists() else ""
        page.write_text(text, encoding="utf-8")
        print(f"{page.name}: {'as it was' if old == text else 'written anew'}")


if __name__ == "__main__":
    main()
