"""So many clients that ask a service over and over, each on a connection of its own: `python -m tests.benchmarks.load` and its words.

It is a process of its own and parses only what it must, so that the service is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection: it asks, waits for the whole answer, and asks again."""

    def __init__(self, request: bytes, until: float, latencies: list[float], statuses: dict[str, int]) -> None:
        self.request, self.until, self.latencies, self.statuses = request, until, latencies, statuses
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = bytearray()
        self.start = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end]).lower()
        place = head.find(b"content-length: ")
        if place >= 0:
            if len(self.buffer) < end + 4 + int(head[place + 16 :].split(b"\r\n", 1)[0]):
                return
        elif not self.buffer.endswith(b"0\r\n\r\n"):
            return
        now = time.perf_counter()
        self.latencies.append(now - self.start)
        status = head[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buffer.clear()
        if now < self.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def load(port: int, path: str, body: bytes, clients: int, seconds: float) -> dict[str, object]:
    """What came of it: answers a second, the 50th and 99th percentile of the latency in seconds, and the statuses."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    start = time.perf_counter()
    made = [
        (await asyncio.get_running_loop().create_connection(
            lambda: Client(head.encode() + body, start + seconds, latencies, statuses), "127.0.0.1", port
        ))[1]
        for _ in range(clients)
    ]  # fmt: skip
    await asyncio.wait([client.over for client in made], timeout=seconds + 30)
    taken = time.perf_counter() - start
    latencies.sort()
    at = [latencies[min(int(len(latencies) * share), len(latencies) - 1)] for share in (0.5, 0.99)] if latencies else [0.0, 0.0]
    return {"rate": len(latencies) / taken, "p50": at[0], "p99": at[1], "statuses": statuses}


if __name__ == "__main__":
    port, path, body, clients, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(load(int(port), path, Path(body).read_bytes(), int(clients), float(seconds)))))
