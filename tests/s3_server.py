"""A real S3 server for tests, which can go away and come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem


class S3:
    """An S3 server with a bucket `lab`, which can go away for a while."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(port=0, verbose=False)
        self._server.start()
        host, self.port = self._server.get_host_and_port()
        self.env = {
            "AWS_ENDPOINT_URL": f"http://{host}:{self.port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.url = "s3://lab/objects"

    def make(self) -> None:
        """Make the bucket."""
        import boto3

        boto3.client("s3").create_bucket(Bucket="lab")

    def away(self) -> None:
        """Stop answering; what is stored stays."""
        self._server.stop()

    def back(self) -> None:
        """Answer again, at the same address."""
        self._server = ThreadedMotoServer(port=self.port, verbose=False)
        self._server.start()


@contextmanager
def s3(patch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An S3 server, known to this process and all that it starts."""
    server = S3()
    for name, value in server.env.items():
        patch.setenv(name, value)
    # fsspec keeps a connection for each URL, and would go on asking the server of an earlier test.
    S3FileSystem.clear_instance_cache()
    server.make()
    try:
        yield server
    finally:
        server.away()

