"""Do work in several processes or on a cluster, where one result may name the task that follows it.

In go a function and tasks, out come results as they are ready. Processes are spawned on every platform, so nothing
depends on fork. A worker whose parent was killed ends itself at once: the next start must find nobody writing there.
On a Ray cluster the very same tasks become Ray tasks; every node must see the same folders under the same names.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_end
from typing import TypeVar

from lhama.plan.problem import Problem

Task = TypeVar("Task")
Result = TypeVar("Result")


def work(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    following: Callable[[Result], Task | None] = lambda _: None,
    engine: str = "local",
) -> Iterator[Result]:
    """Yield the result of every task, and of the tasks that follow; with one worker in this very process."""
    if engine == "ray":
        yield from _on_ray(function, tasks, following)
        return
    if workers == 1:
        queue = deque(tasks)
        while queue:
            result = function(queue.popleft())
            after = following(result)
            if after is not None:
                queue.appendleft(after)
            yield result
        return
    yield from _in_processes(function, tasks, workers, following)


def apart(function: Callable[[Task], Result], task: Task) -> Result:
    """Do one task in a process of its own, which takes all the memory that this needed with it."""
    (result,) = _in_processes(function, [task], 1, lambda _: None)
    return result


def _in_processes(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    following: Callable[[Result], Task | None],
) -> Iterator[Result]:
    """Give each process one task after the other; what follows a task is done where it was, with what is open there."""
    waiting = iter(tasks)
    with ExitStack() as open_pools:
        pools = [
            open_pools.enter_context(
                ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent)
            )
            for _ in range(workers)
        ]
        running = {pool.submit(function, task): pool for pool, task in zip(pools, waiting, strict=False)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    pool = running.pop(future)
                    result = future.result()
                    task = following(result)
                    if task is None:
                        task = next(waiting, None)
                    if task is not None:
                        running[pool.submit(function, task)] = pool
                    yield result
        except BaseException:
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_ray(
    function: Callable[[Task], Result], tasks: Iterable[Task], following: Callable[[Result], Task | None]
) -> Iterator[Result]:
    """Hand the tasks to the cluster that RAY_ADDRESS names, or to one that Ray starts on this machine."""
    try:
        import ray
    except ImportError as error:
        remedy = "pip install 'lhama[ray]', or set corpus.engine = \"local\""
        raise Problem("Ray is not installed", key="corpus.engine", remedy=remedy) from error
    started = not ray.is_initialized()
    if started:
        here = {} if "RAY_ADDRESS" in os.environ else {"_node_ip_address": "127.0.0.1"}
        ray.init(include_dashboard=False, log_to_driver=False, **here)

    def task_of(task: Task) -> Result:  # Ray takes functions only, and a partial is none
        return function(task)

    remote = ray.remote(max_retries=3)(task_of)
    try:
        running = [remote.remote(task) for task in tasks]
        while running:
            ready, running = ray.wait(running)
            for reference in ready:
                result: Result = ray.get(reference)
                after = following(result)
                if after is not None:
                    running.append(remote.remote(after))
                yield result
    finally:
        if started:  # its processes would stay beside training
            ray.shutdown()


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and says so once
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait_for_end([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
