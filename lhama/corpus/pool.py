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
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        running: set[Future[Result]] = {pool.submit(function, task) for task in tasks}
        try:
            while running:
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    result = future.result()
                    after = following(result)
                    if after is not None:
                        running.add(pool.submit(function, after))
                    yield result
        except BaseException:
            pool.shutdown(cancel_futures=True)
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
