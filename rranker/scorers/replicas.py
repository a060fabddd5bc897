"""One model on several devices: each query is played whole on one of them, and each has a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import RLock
from typing import TYPE_CHECKING

from ..engine.errors import device_broke
from ..methods import Episode
from ..request import Request
from ..workers import take_step
from .protocol import Job, Scorer
from .wrapper import room_of

if TYPE_CHECKING:
    import torch


class Replicas:
    """Shares jobs out over scorers that answer alike; see `Scorer`.

    A job goes to whoever has the least left to read. `threads`: each scorer's own, of one thread, which takes all of
    its steps. Calls take turns there, after each step, and each step of an engine serves all of them.

    A device that breaks keeps the error of what it was doing, and is asked no more while another one works: failing
    fast, it would soon have the least left, and get everything.
    """

    thinks = True  # as what it replicates: the engine's scorers
    shares_steps = False  # whoever waits for one replica must not keep others from asking another

    def __init__(self, scorers: Sequence[Scorer], threads: Sequence[ThreadPoolExecutor]) -> None:
        self.scorers, self._threads = scorers, threads
        self._smallest = min(scorers, key=room_of)
        self._left = [0] * len(scorers)  # of each: the cost of what it was given and has not done
        self._broken = set[int]()
        self._lock = RLock()  # a stream that is dropped may be collected in the middle of anything

    def each(self, around: Callable[[Scorer], Scorer]) -> Replicas:
        """The same replicas, with something around each scorer."""
        return Replicas([around(scorer) for scorer in self.scorers], self._threads)

    def default_method(self, request: Request) -> str:
        """See `Scorer.default_method`."""
        return self.scorers[0].default_method(request)

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`. What the smallest has room for may be played by any."""
        return self._smallest.prepare(request, method)

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. No replica takes a step before the jobs of its last one were read."""
        shares = self._share_out(jobs)
        try:
            running = {self._begin_step(share): share for share in shares}
            while running:
                for step in wait(running, return_when=FIRST_COMPLETED).done:
                    share = running.pop(step)
                    played, more = step.result()
                    for job in played:
                        if job.done:
                            self._settle(share, id(job))
                            self._look_at(job.error, share.replica)
                        yield job
                    yield None
                    if more:
                        running[self._begin_step(share)] = share
        finally:
            for share in shares:
                self._end(share)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return any(scorer.closed for scorer in self.scorers)

    def close(self) -> None:
        """Closes all of them."""
        for scorer in self.scorers:
            scorer.close()
        for thread in self._threads:
            thread.shutdown(wait=False)

    def _share_out(self, jobs: Sequence[Job]) -> list[_Share]:
        """Large jobs choose first; each share keeps the order of the jobs."""
        costs = [_cost(job.request) for job in jobs]
        given: list[list[int]] = [[] for _ in self.scorers]
        with self._lock:
            working = [i for i in range(len(self.scorers)) if i not in self._broken] or range(
                len(self.scorers)
            )
            for index in sorted(range(len(jobs)), key=costs.__getitem__, reverse=True):
                to = min(working, key=self._left.__getitem__)
                given[to].append(index)
                self._left[to] += costs[index]
        return [
            _Share(
                to,
                self.scorers[to].play([jobs[index] for index in sorted(indices)]),
                {id(jobs[index]): costs[index] for index in indices},
            )
            for to, indices in enumerate(given)
            if indices
        ]

    def _begin_step(self, share: _Share) -> _Step:
        if self.closed:
            raise RuntimeError("this engine is closed: load a new one")
        share.step = self._threads[share.replica].submit(take_step, share.steps)
        return share.step

    def _settle(self, share: _Share, job: int) -> None:
        with self._lock:
            self._left[share.replica] -= share.left.pop(job, 0)

    def _look_at(self, error: Exception | None, replica: int) -> None:
        """Remembers a replica whose device reports that it broke; such an error comes back with every later call."""
        if error is None or replica in self._broken:
            return
        if device_broke(error):
            with self._lock:
                self._broken.add(replica)
            logging.getLogger("rranker").error(
                "replica %d of %d broke and gets no more queries; restart the process to have it back: %s",
                replica,
                len(self.scorers),
                error,
            )

    def _end(self, share: _Share) -> None:
        """Gives back what it holds: at once, or after the step that it is in the middle of; nobody waits for that."""
        for job in list(share.left):
            self._settle(share, job)
        if share.step is None:
            share.steps.close()
            return
        share.step.cancel()
        share.step.add_done_callback(lambda _: share.steps.close())


_Step = Future[tuple[list[Job], bool]]


class _Share:
    """The jobs of one call that one replica plays: what takes their steps, the last of these, and what each costs."""

    def __init__(self, replica: int, steps: Generator[Job | None], left: dict[int, int]) -> None:
        self.replica, self.steps, self.left = replica, steps, left
        self.step: _Step | None = None


def load_replicas(devices: Sequence[torch.device], load: Callable[[torch.device], Scorer]) -> Replicas:
    """A scorer on each device, loaded one after the other, each in the thread that will take its steps.

    Raises what `load` raises.
    """
    threads = [ThreadPoolExecutor(1, f"rranker-{device}", _enter, (device,)) for device in devices]
    return Replicas(
        [thread.submit(load, device).result() for thread, device in zip(threads, devices, strict=True)],
        threads,
    )


def _enter(device: torch.device) -> None:
    """Makes it the thread's own: kernels are launched on the thread's device, wherever their tensors are."""
    if device.type == "cuda":
        import torch

        torch.cuda.set_device(device)


def _cost(request: Request) -> int:
    """How much there is to read, in characters."""
    return (request.self_consistency or 1) * sum(len(candidate.text) + 1 for candidate in request.candidates)
