"""Do work in several processes, where one result may name the task that follows it.

In go a function and tasks, out come results as they are ready. Processes are spawned on every platform, so nothing
depends on fork. A worker whose parent was killed ends itself at once: the next start must find nobody writing there.
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

Task = TypeVar("Task")
Result = TypeVar("Result")


def work(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    following: Callable[[Result], Task | None] = lambda _: None,
) -> Iterator[Result]:
    """Yield the result of every task, and of the tasks that follow; with one worker in this very process."""
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


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and says so once
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait_for_end([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
