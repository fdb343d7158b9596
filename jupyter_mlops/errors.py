"""Every error that this package raises on purpose. Each one composes its own message: one sentence that says what to do next.

MlopsError                      (exit status 2)
├── UsageError                  a verb was called wrongly
├── SettingsError               a setting has a value that cannot be used
├── NotFound                    no such run, snapshot, object or file
├── NotKept                     the digest is known, its bytes are not here
├── DataError                   a value cannot be frozen by content
├── Corrupt                     stored bytes are not what was written
├── Altered                     a record was changed after it was made
├── DemoFailed                  a part of the demo did not come out
├── ModelRefused                a model cannot be saved or loaded safely
├── NotRebuilt                  the packages of a run cannot be installed
├── StepRefused                 a step would not give the recorded result
├── PipelineError               a pipeline cannot be used as it is written
├── OutputRefused               an output of a step cannot be kept
├── SchemaRefused               a schema of data cannot be used as it is written
├── ClusterLost                 the scheduler of a cluster does not answer
├── NotOnWindows                the system is not one that it runs on
├── WorkerDiffers               a worker has other versions installed than the key of its step says
└── StoreError                  a store cannot be reached or written
    ├── DiskFull
    ├── LeaseLost               another took over what this process was doing
    ├── NewerFormat             a newer version of this package wrote it
    └── WorkerUnavailable
"""

from __future__ import annotations


class MlopsError(Exception):
    """Base of all errors of this package; `exit_status` is what the command line ends with."""

    exit_status = 2


class NotOnWindows(MlopsError):
    """Windows has no fork, nor the file locks that tell whether a process lives."""

    def __init__(self) -> None:
        super().__init__("jupyter_mlops runs on Linux and macOS: on Windows, install it in WSL and start Jupyter there.")


class UsageError(MlopsError):
    """A verb was called wrongly."""


class SettingsError(MlopsError):
    """A setting has a value that cannot be used."""

    def __init__(self, name: str, value: object, remedy: str) -> None:
        super().__init__(f"The setting {name} = {value!r} cannot be used: {remedy}")


class NotFound(MlopsError):
    """No such run, snapshot, object or file."""

    def __init__(self, what: str, name: str, remedy: str = "") -> None:
        super().__init__(f"There is no {what} {name!r}." + (f" {remedy}" if remedy else ""))


class NotKept(MlopsError):
    """The digest is known but its bytes were never kept, or were collected."""

    def __init__(self, digest: str, why: str = "only its digest was recorded") -> None:
        super().__init__(
            f"The data of {digest[:16]} is not in this store: {why}; keep such data with `mlops snapshot`, or raise `keep` in [tool.mlops]."
        )


class DataError(MlopsError):
    """A value cannot be frozen by content."""


class Corrupt(MlopsError):
    """Stored bytes are not what was written."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where} is damaged: its content does not match its digest; restore it from a backup.")


class Altered(MlopsError):
    """A record was changed after it was made."""

    def __init__(self, what: str, where: str, use: str = "replayed") -> None:
        super().__init__(f"{what} in {where} was altered after it was recorded, so it is not {use}: restore it from a backup.")


class DemoFailed(MlopsError):
    """A part of the demo did not come out as it must."""

    def __init__(self, notebook: str, why: str) -> None:
        super().__init__(f"The demo failed ({why}): {notebook} shows where, and `mlops doctor` what is wrong here.")


class ModelRefused(MlopsError):
    """A model cannot be saved or loaded without a choice that only the user can make."""


class NotRebuilt(MlopsError):
    """The packages of a run cannot be installed."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            f"The run's environment cannot be rebuilt: {what} cannot be installed ({why}). Without --env, the packages here are used."
        )


class StepRefused(MlopsError):
    """A step would not give the recorded result."""

    def __init__(self, out: str, why: str) -> None:
        super().__init__(f"{out} was not written, because the step would not give the recorded result: {why}")


class PipelineError(MlopsError):
    """A pipeline cannot be used as it is written; where its file is to blame, `file` and `line` (from 1) say where."""

    def __init__(self, what: str, file: str = "", line: int = 0) -> None:
        self.file, self.line = file, line
        where = f"{file}, line {line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + what)


class OutputRefused(MlopsError):
    """An output of a step cannot be kept."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The output {name!r} cannot be kept: {why}.")


class SchemaRefused(MlopsError):
    """A schema of data cannot be used as it is written; `line` (from 1) is where in a YAML file the fault stands, 0 where unknown."""

    def __init__(self, file: str, what: str, line: int = 0) -> None:
        where = f"{file}, line {line}" if line else file
        super().__init__(f"{where} cannot be used as a schema: {what}")


class ClusterLost(MlopsError):
    """The scheduler of a cluster does not answer, or no worker is left."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"The cluster at {address} was lost ({why}): start it and run the same again; what is done stays done.")


class WorkerDiffers(MlopsError):
    """A worker has other versions of what a step imports than the machine that made the step's key: its result would be another's."""

    def __init__(self, host: str, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"The worker on {host} has other versions of what this step imports ({', '.join(differences)}): install the same there and "
            "where the run was started, or take that worker out of the cluster."
        )


class StoreError(MlopsError):
    """A store cannot be reached or written."""


class DiskFull(StoreError):
    """The disk of the store has no room."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"There is no room left on the disk of {where}: free some space, or run `mlops gc`; nothing stored before is affected."
        )


class LeaseLost(StoreError):
    """Another process took over what this one was doing, since it was not heard of for too long."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"The lease of {name[:16]} was taken over from {owner}, which was not heard of in time: what it did is not kept.")


class NewerFormat(StoreError):
    """A newer version of this package wrote a file or database in a way that this one cannot read."""

    def __init__(self, where: str, found: int, known: int) -> None:
        super().__init__(
            f"{where} was written by a newer jupyter_mlops (format {found}, this version reads up to {known}): upgrade this package "
            "(python -m pip install -U jupyter_mlops); it is left as it is."
        )


class WorkerUnavailable(StoreError):
    """The delivery worker did not start or did not answer."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The delivery worker does not answer ({why}); `mlops doctor` says what is wrong.")
