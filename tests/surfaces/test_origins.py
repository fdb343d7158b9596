"""From a result down to the files that it was made of, told apart by whole parts of their paths."""

from __future__ import annotations

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
