"""Looks at one view by itself: `python -m tests.browser.gallery VIEW [DATA.json] [--width 300] [--height 600]`.

Builds the view, renders it in a plain page with DATA.json as the values of its model, in the light and in the dark theme of JupyterLab, and
writes a screenshot of each. What the view sends to its model, and errors, are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

from .conftest import SCREENSHOTS, SWITCHES, chromium_path

SOURCES = Path(__file__).parents[2] / "labextension"

THEMES = Path(sys.prefix) / "share" / "jupyter" / "lab" / "themes" / "@jupyterlab"

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Gallery</title>
<link rel="stylesheet" href="theme.css"><link rel="stylesheet" href="views.css">
<style>
body { margin: 0; background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); font-family: var(--jp-ui-font-family); }
#view { width: WIDTHpx; box-sizing: border-box; }
</style>
</head>
<body><main id="view"></main>
<script type="module">
import view from './view.js';
const values = await (await fetch('data.json')).json();
const handlers = {};
const model = {
  get: name => values[name],
  set: (name, value) => {
    values[name] = value;
    for (const event of [`change:${name}`, 'change']) (handlers[event] ?? []).forEach(handler => handler(model, value));
  },
  save_changes: () => undefined,
  on: (event, handler) => (handlers[event] ??= []).push(handler),
  off: (event, handler) => { handlers[event] = (handlers[event] ?? []).filter(item => handler && item !== handler); },
  send: content => console.log(`sent ${JSON.stringify(content)}`)
};
window.model = model;
try {
  await view.render({ model, el: document.getElementById('view') });
} finally {
  document.body.dataset.rendered = 'true';
}
</script>
</body>
</html>
"""


def build(view: str, folder: Path) -> None:
    """Build one view and the styles into a folder."""
    subprocess.run(["node", "views.cjs", str(folder), view], cwd=SOURCES, check=True)


def serve(page: Page, view: str, folder: Path, theme: str, data: Any, width: int) -> None:
    """Open a page with the view in it, built in `folder`; nothing of it comes from a server."""

    def answer(route: Route) -> None:
        match route.request.url.rsplit("/", 1)[-1]:
            case "":
                route.fulfill(body=PAGE.replace("WIDTH", str(width)), content_type="text/html")
            case "view.js":
                route.fulfill(path=folder / f"{view}.js", content_type="text/javascript")
            case "views.css":
                route.fulfill(path=folder / "views.css", content_type="text/css")
            case "theme.css":
                route.fulfill(path=THEMES / f"theme-{theme}-extension" / "index.css", content_type="text/css")
            case "data.json":
                route.fulfill(body=json.dumps(data), content_type="application/json")
            case _:
                route.fulfill(status=404)

    page.route("**/*", answer)
    page.goto("http://gallery/")
    page.wait_for_selector("body[data-rendered]", timeout=5_000)


def main() -> None:
    """Build, render, and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("view", help="the name of a file in labextension/src/views, without .ts")
    parser.add_argument("data", nargs="?", type=Path, help="a JSON file with the values of the view's model")
    parser.add_argument("--width", type=int, default=300, help="of the view, in pixels: 300 is a sidebar's, 900 the main area's")
    parser.add_argument("--height", type=int, default=600, help="of the page at least, in pixels")
    parser.add_argument("--out", type=Path, default=SCREENSHOTS / "gallery", help="folder for the screenshots")
    options = parser.parse_args()
    data = json.loads(options.data.read_text(encoding="utf-8")) if options.data else {}
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        build(options.view, folder)
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(SWITCHES))
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": options.width, "height": options.height})
            page.on("console", lambda message: print(message.text))
            page.on("pageerror", lambda error: print(error.stack or error.message))
            serve(page, options.view, folder, theme, data, options.width)
            file = options.out / f"{options.view}-{theme}.png"
            page.screenshot(path=file, full_page=True)
            print(file)
        browser.close()


if __name__ == "__main__":
    main()
