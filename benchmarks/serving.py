"""`noisette serve` under load: requests/s and latency by the number of clients, beside serving one by one; memory.

    python benchmarks/serving.py MODEL --clients 1 8 64 256 --seconds 20
    python benchmarks/serving.py MODEL --clients --memory 10000

Each client draws one picture after another, without a pause. Two servers run: one with batches, and one with
`--batch 1`. They take turns at each number of clients, so both meet the same other work on the machine. --memory
sends that many requests of one sampling step by 64 clients, and prints the memory of all processes on the way.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

import psutil

TOKEN = "the-token-of-the-benchmark"
CLIENTS_OF_MEMORY, REPORTS = 64, 10


@dataclass
class Server:
    """A server in processes of its own."""

    name: str
    words: list[str]
    answered: list[float] = field(default_factory=list)  # seconds of each request

    def start(self, model: str, queue: int) -> None:
        command = [sys.executable, "-m", "noisette", "serve", model, "--port", "0", "--queue", str(queue)]
        command += ["--timeout", "600", *self.words]
        environment = os.environ | {"NOISETTE_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[2].rpartition(":")[2])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)

    @property
    def memory(self) -> float:
        """MB that its processes hold; pages that they share are divided among them."""
        top = psutil.Process(self.process.pid)
        return float(sum(one.memory_full_info().pss for one in (top, *top.children(recursive=True)))) / 2**20


async def ask(server: Server, seed: int, more: dict[str, int]) -> None:
    """Draw one picture, on a connection of its own."""
    start = time.perf_counter()
    body = json.dumps({"seed": seed} | more).encode()
    reading, writing = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /v1/draw HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
    writing.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reading.read()
    writing.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    server.answered.append(time.perf_counter() - start)


async def load(server: Server, clients: int, seconds: float = 0.0, number: int = 0, steps: int | None = None) -> float:
    """Requests until `seconds` have passed, or `number` were sent; the time until all are answered."""
    start, sent = time.perf_counter(), 0
    server.answered.clear()

    async def client() -> None:
        nonlocal sent
        while time.perf_counter() - start < seconds or sent < number:
            sent += 1
            await ask(server, sent, {} if steps is None else {"steps": steps})

    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - start


def measure(servers: list[Server], clients: int, seconds: float, rounds: int) -> None:
    """Print a line for each server, and the ratio of their throughput."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    latencies: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            took = asyncio.run(load(server, clients, seconds))
            rates[server.name].append(len(server.answered) / took)
            latencies[server.name] += server.answered
    for server in servers:
        quantiles = statistics.quantiles(latencies[server.name], n=100, method="inclusive")
        p50, p95, p99 = (f"{quantiles[q - 1]:.2f}" for q in (50, 95, 99))
        rate = max(rates[server.name])
        print(f"{clients:4} clients  {server.name:10}  {rate:7.2f} requests/s  p50 {p50} s  p95 {p95} s  p99 {p99} s")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(
        f"{clients:4} clients  ratio {statistics.median(ratios):.2f} (rounds: {', '.join(f'{r:.2f}' for r in ratios)})"
    )
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run folder, or a shipped model's name")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, help="requests of the measurement of memory")
    options = parser.parse_args()
    servers = [Server("batched", []), Server("one by one", ["--batch", "1"])][: 2 if options.clients else 1]
    try:
        for server in servers:
            server.start(options.model, 2 * max([*options.clients, CLIENTS_OF_MEMORY]))
            asyncio.run(load(server, 4, number=8))  # the first pictures, which take longer
        for clients in options.clients:
            measure(servers, clients, options.seconds, options.rounds)
        for i in range(REPORTS if options.memory else 0):
            share = options.memory // REPORTS
            took = asyncio.run(load(servers[0], CLIENTS_OF_MEMORY, number=share, steps=1))
            memory = servers[0].memory
            print(f"{(i + 1) * share:6} requests  {memory:.0f} MB  {len(servers[0].answered) / took:.0f} requests/s")
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
