"""Model folders that somebody made to run code, or to reach out of their folder. Each would leave a mark where it succeeds."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np

MLMODEL = """
flavors:
  sklearn:
    pickled_model: {file}
    serialization_format: {form}
    skops_trusted_types: [os.system, posix.system, builtins.exec]
"""


class Touch:
    """Makes the mark as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


class Import:
    """Makes the mark by code that is compiled as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.mark)!r}, 'w')",)


Make = Callable[[Path, Path], None]
"""Fills a folder; the second path is the mark."""


def sklearn(form: str, file: str = "model.skops") -> str:
    """An MLmodel of the scikit-learn flavor that trusts everything."""
    return MLMODEL.format(form=form, file=file)


def written(form: str, content: Callable[[Path], bytes], file: str = "model.skops") -> Make:
    """A folder of the scikit-learn flavor whose model file holds this."""

    def make(folder: Path, mark: Path) -> None:
        (folder / "MLmodel").write_text(sklearn(form, file))
        (folder / file).write_bytes(content(mark))

    return make


def archive(schema: Callable[[Path], Any], extra: Callable[[Path], dict[str, bytes]] = lambda mark: {}) -> Callable[[Path], bytes]:
    """A skops file with this schema, and further members."""

    def content(mark: Path) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr("schema.json", json.dumps(schema(mark)))
            for name, data in extra(mark).items():
                zipped.writestr(name, data)
        return buffer.getvalue()

    return content


def node(module: str, name: str, loader: str, **content: Any) -> dict[str, Any]:
    """One node of a skops schema."""
    return {"__class__": name, "__module__": module, "__loader__": loader, "protocol": 2, "_skops_version": "0.13", **content}


def text(value: str) -> dict[str, Any]:
    """A text in a skops schema."""
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value), "is_json": True}


def called(module: str, name: str) -> Callable[[Path], Any]:
    """A schema whose object is built by calling a function with a command, as skops's own nodes for trees and losses do."""

    def schema(mark: Path) -> Any:
        arguments = node("builtins", "tuple", "TupleNode", content=[text(f"touch {mark}")])
        return node(module, name, "SGDNode", content={}, reduce=arguments)

    return schema


def partial(module: str, name: str) -> Callable[[Path], Any]:
    """A schema of a partial of a function."""

    def schema(mark: Path) -> Any:
        function = node(module, name, "FunctionNode")
        arguments = node("builtins", "tuple", "TupleNode", content=[text(f"touch {mark}")])
        empty = node("builtins", "dict", "DictNode", content={}, key_types=node("builtins", "list", "ListNode", content=[]))
        content = {"func": function, "args": arguments, "kwds": empty, "namespace": empty}
        return node("functools", "partial", "PartialNode", content=content)

    return schema


def built(module: str, name: str, loader: str = "ObjectNode", **content: Any) -> Callable[[Path], Any]:
    """A schema of one object of a class, or of a function or type of that name."""
    return lambda mark: node(module, name, loader, **(content or {"content": None}))


def mlmodel(told: Callable[[Path], str], **files: Callable[[Path], bytes]) -> Make:
    """A folder with this MLmodel."""

    def make(folder: Path, mark: Path) -> None:
        (folder / "MLmodel").write_text(told(mark))
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_bytes(content(mark))

    return make


def pickled(mark: Path) -> bytes:
    """A pickle that makes the mark."""
    return pickle.dumps(Touch(mark))


def joblibbed(mark: Path, **options: Any) -> bytes:
    """The same, as joblib writes it."""
    buffer = io.BytesIO()
    joblib.dump({"model": Touch(mark)}, buffer, **options)
    return buffer.getvalue()


def touching(mark: Path) -> bytes:
    """A module that makes the mark as it is imported."""
    return f"open({str(mark)!r}, 'w')\n".encode()


def array_of_objects(mark: Path) -> bytes:
    """NumPy's own file, with a pickle in it."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Touch(mark)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def flavored(flavor: str, conf: str, **files: Callable[[Path], bytes]) -> Make:
    """A folder of another flavor."""
    return mlmodel(lambda mark: f"flavors:\n  {flavor}: {conf}\n", **files)


def linked(target: str, name: str = "model.skops") -> Make:
    """A folder whose model file is a link to a pickle that lies elsewhere."""

    def make(folder: Path, mark: Path) -> None:
        (folder / "MLmodel").write_text(sklearn("skops", name.split("/")[0]))
        outside = folder.parent / "outside"
        outside.mkdir(exist_ok=True)
        (outside / "model.pkl").write_bytes(pickled(mark))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target.format(outside=outside))

    return make


def module_beside(folder: Path, mark: Path) -> None:
    """A skops file that names a class of a module in the folder's own code."""
    (folder / "code").mkdir()
    (folder / "code" / "helper.py").write_text(f"open({str(mark)!r}, 'w')\nclass Model: pass\n")
    (folder / "MLmodel").write_text(
        "flavors:\n  sklearn: {pickled_model: model.skops, serialization_format: skops, code: code, skops_trusted_types: [helper.Model]}\n"
    )
    (folder / "model.skops").write_bytes(archive(built("helper", "Model"))(mark))


def bomb(mark: Path) -> bytes:
    """A small file that unpacks to two gigabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("schema.json", json.dumps(built("builtins", "list")(mark)))
        with zipped.open("1.npy", "w", force_zip64=True) as member:
            for _ in range(32):
                member.write(bytes(2**26))
    return buffer.getvalue()


PICKLES: dict[str, Callable[[Path], bytes]] = {
    "pickle": pickled,
    "pickle of exec": lambda mark: pickle.dumps(Import(mark)),
    "pickle, protocol 0": lambda mark: pickle.dumps(Touch(mark), protocol=0),
    "cloudpickle": lambda mark: cloudpickle.dumps(Touch(mark)),
    "joblib": joblibbed,
    "joblib, compressed": lambda mark: joblibbed(mark, compress=3),
    "joblib, zlib": lambda mark: joblibbed(mark, compress=("zlib", 3)),
    "numpy array of objects": array_of_objects,
}
FUNCTIONS = [
    ("os", "system"), ("posix", "system"), ("subprocess", "getoutput"), ("builtins", "exec"), ("builtins", "eval"),
    ("importlib", "import_module"), ("runpy", "run_path"), ("pickle", "loads"), ("operator", "methodcaller"),
    ("shutil", "rmtree"), ("numpy", "load"), ("numpy", "fromfile"),
    ("joblib", "load"), ("pandas", "read_pickle"), ("sklearn.utils._testing", "delete_folder"), ("numpy.testing", "runstring"),
    ("numpy.ctypeslib", "load_library"), ("scipy._lib._testutils", "PytestTester"), ("sklearn.datasets", "fetch_openml"),
]  # fmt: skip
YAML_TAGS = [
    "!!python/object/apply:os.system ['touch {mark}']", "!!python/object/new:os.system ['touch {mark}']", "!!python/module:antigravity",
    "!!python/name:os.system", "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {mark}']",
]  # fmt: skip
PATHS = ["../outside/model.pkl", "/etc/passwd", "code/../../outside/model.pkl", "~/model.pkl", "model.skops\\0x", "nowhere.skops"]


def folders() -> Iterator[tuple[str, Make]]:
    """Every hostile folder by name."""
    for name, content in PICKLES.items():
        yield f"{name} renamed to .skops", written("skops", content)
    for form in ("pickle", "cloudpickle", "joblib", "''", "null"):
        yield f"a pickle with the format {form}", written(form, pickled, "model.pkl")
    for module, function in FUNCTIONS:
        yield f"skops that calls {module}.{function}", written("skops", archive(called(module, function)))
    for module, function in FUNCTIONS:
        yield f"skops with a partial of {module}.{function}", written("skops", archive(partial(module, function)))
    for module, function in FUNCTIONS[:4]:
        yield f"skops of an object of {module}.{function}", written("skops", archive(built(module, function)))
    yield "skops with a function", written("skops", archive(built("os", "system", "FunctionNode")))
    method = built("os", "system", "MethodNode", content={"func": "system", "obj": text("os")})
    yield "skops with a method", written("skops", archive(method))
    yield "skops with an operator", written("skops", archive(built("operator", "methodcaller", "OperatorFuncNode", attrs=text("x"))))
    yield "skops with a type", written("skops", archive(built("subprocess", "Popen", "TypeNode", content={"__class__": "Popen"})))
    yield "skops with an unknown loader", written("skops", archive(built("os", "system", "EvilNode")))
    array = built("numpy", "ndarray", "NdArrayNode", type="numpy", file="1.npy")
    yield "skops with pickled arrays", written("skops", archive(array, lambda mark: {"1.npy": array_of_objects(mark)}))
    slip = archive(built("os", "system"), lambda mark: {f"../../../{mark}": b"x", str(mark): b"x", "../mark": b"x"})
    yield "skops with members that lead out", written("skops", slip)
    yield "skops that unpacks to gigabytes", written("skops", bomb)
    yield "skops that is no JSON", written("skops", lambda mark: archive(lambda mark: 0)(mark)[:-9])
    yield "skops nested without end", written("skops", lambda mark: archive(lambda mark: json.loads("[" * 400 + "]" * 400))(mark))
    yield "skops with a module of its own", module_beside
    for tag in YAML_TAGS:
        yield f"MLmodel with {tag.split()[0]}", mlmodel(lambda mark, tag=tag: f"flavors: {tag.format(mark=mark)}\n")  # type: ignore[misc]
    for path in PATHS:
        yield f"MLmodel that names {path}", mlmodel(lambda mark, path=path: sklearn("skops", json.dumps(path)))  # type: ignore[misc]
    yield "xgboost of a class that acts", flavored("xgboost", "{data: model.ubj, model_class: subprocess.Popen}", model__ubj=pickled)
    yield "xgboost that is a pickle", flavored("xgboost", "{data: model.pkl}", model__pkl=pickled)
    yield "lightgbm that is a pickle", flavored("lightgbm", "{data: model.pkl, model_class: lightgbm.LGBMModel}", model__pkl=pickled)
    yield "statsmodels", flavored("statsmodels", "{data: model.pkl}", model__pkl=pickled)
    yield "pytorch that is a pickle", flavored("pytorch", "{model_data: .}", model__pth=pickled)
    yield "a function of Python", flavored("python_function", "{loader_module: mlflow.pyfunc.model, python_model: m.pkl}", m__pkl=pickled)
    own = "{loader_module: helper, data: m.pkl, code: .}"
    yield "a loader of its own", flavored("python_function", own, m__pkl=pickled, helper__py=touching)
    yield "a flavor that nobody knows", flavored("evil", "{data: m.pkl}", m__pkl=pickled)
    yield "a link to a pickle", linked("{outside}/model.pkl")
    yield "a folder that is a link", linked("{outside}", "data")
    yield "a link to nowhere", linked("/nowhere")
