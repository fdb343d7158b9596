"""From a result down to the files that it was made of, told apart by whole parts of their paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jupyter_mlops.records import Node
from jupyter_mlops.surfaces.origins import tree_of
from tests.replay.hand_made import event, recording, run

READ = tuple({"name": path, "source": f"/p/{path}", "digest": path} for path in ("data/x.csv", "data/max.csv", "old/x.csv"))


def files(node: Node) -> list[str]:
    """The files anywhere in a tree, by their digests."""
    return [item.ref for below in node.below for item in ([below] if below.kind == "file" else [])] + [
        path for below in node.below for path in files(below)
    ]


def test_a_statement_has_the_files_whose_paths_it_names() -> None:
    cell = "a = open('data/x.csv').read()\nb = open('max.csv').read()\nr = a + b + open('./../p/old/x.csv').read()"
    [tree] = tree_of(recording([event(1, cell, files_read=READ, writes=("a", "b", "r"))], [run()]), "r")
    assert sorted(files(tree)) == ["data/max.csv", "data/x.csv", "old/x.csv"]


def test_what_two_statements_share_is_told_once_and_marked() -> None:
    """`both` needs `base` only through the others; `right` shows where it stands."""
    cell = "base = list(range(9))\nleft = sum(base)\nright = max(base)\nboth = [left, right, base]"
    [tree] = tree_of(recording([event(1, cell, writes=("base", "left", "right", "both"))], [run()]), "both")
    told = [
        (1, "[1] both = [left, right, base]", ""),
        (2, "[1] right = max(base)", ""),
        (3, "[1] base = list(range(9))", ""),
        (2, "[1] left = sum(base)", ""),
        (3, "[1] base = list(range(9))", "see above"),
    ]
    assert list(_lines(tree.below, 1)) == told


def _lines(nodes: Iterable[Node], depth: int) -> Iterator[tuple[int, str, str]]:
    for node in nodes:
        yield depth, node.name, node.detail
        yield from _lines(node.below, depth + 1)
