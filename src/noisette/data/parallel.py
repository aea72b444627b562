"""Work on numbered chunks by several processes, with the results in order.

Processes are forked, so that what the work needs is not copied; a file that they read must be opened by each of them
(`PerProcess`), since forked processes share its position. Their number is at most that of the threads of
torch (OMP_NUM_THREADS, torch.set_num_threads) and of the cores that this process may use. Where there is no fork
(Windows, macOS), within a daemonic process, and for few chunks, the work is done in this process.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

import torch

from ..errors import InputError

T = TypeVar("T")
MIN_CHUNKS = 4  # per process; with fewer, starting it costs more than it saves
MAX_WORKERS = 64


def count_workers(chunks: int) -> int:
    """The number of processes for so many chunks; 1: this one."""
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 1
    cores = min(torch.get_num_threads(), len(os.sched_getaffinity(0)), MAX_WORKERS)
    return max(1, min(cores, chunks // MIN_CHUNKS))


def map_chunks(work: Callable[[int], T], chunks: int, workers: int | None = None) -> Iterator[T]:
    """work(0), …, work(chunks - 1), in order. workers: the number of processes; None: `count_workers`.

    An exception in a process is raised here. Raises InputError if a process is killed. No process outlives this one,
    or the iterator.
    """
    workers = count_workers(chunks) if workers is None else workers
    if workers < 2:
        yield from map(work, range(chunks))
        return
    context = multiprocessing.get_context("fork")
    connections: list[Connection] = []
    processes = []
    try:
        for first in range(workers):
            ours, theirs = context.Pipe(duplex=False)
            numbers = range(first, chunks, workers)
            process = context.Process(target=_run, args=(work, numbers, theirs, [*connections, ours]), daemon=True)
            process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
        for number in range(chunks):
            yield _receive(connections[number % workers])
    finally:
        for process in processes:
            process.terminate()
        for process, connection in zip(processes, connections, strict=True):
            process.join()
            connection.close()


def _run(work: Callable[[int], object], numbers: Sequence[int], out: Connection, others: Sequence[Connection]) -> None:
    """In a forked process: do the work of these numbers and send what it gives, or its exception."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in others:  # so that a write fails when the parent is gone
        connection.close()
    with suppress(BrokenPipeError):
        for number in numbers:
            try:
                result: tuple[object, Exception | None] = work(number), None
            except Exception as error:
                result = None, error
            out.send(result)
            if result[1] is not None:
                return


def _receive(connection: Connection) -> T:  # type: ignore[type-var]
    try:
        result, error = connection.recv()
    except (EOFError, ConnectionError) as problem:
        raise InputError(
            "a process that reads pictures was ended by the system, which may lack memory: set OMP_NUM_THREADS=1 to "
            "read them in one process"
        ) from problem
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


class PerProcess(Generic[T]):
    """Something that each process opens for itself, when it first asks for it: an archive that is read at positions."""

    def __init__(self, open: Callable[[], T]) -> None:
        self.open, self.opened, self.owner = open, open(), os.getpid()

    def __call__(self) -> T:
        if self.owner != os.getpid():
            self.opened, self.owner = self.open(), os.getpid()
        return self.opened


def chunk_size(pictures: int, most: int = 1024) -> int:
    """The number of pictures in a chunk: a hundredth of all, so that progress can be reported, 1 to `most`."""
    return min(max(pictures // 100, 1), most)
