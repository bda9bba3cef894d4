"""One call for many symbols at once; an error of one loses nothing of the others."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vision_ai.errors import VisionError

Job = TypeVar("Job")
Result = TypeVar("Result")


def gather(
    jobs: Iterable[Job], call: Callable[[Job], Result], *, workers: int
) -> dict[Job, Result | VisionError]:
    """Call each job in a pool of threads; results, or the error of each, in the order of jobs.

    >>> gather(["a", "b"], str.upper, workers=2)
    {'a': 'A', 'b': 'B'}

    Anything but a `VisionError` is a bug and is raised; jobs that have not begun are dropped then.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="market")
    try:
        futures = [(job, pool.submit(call, job)) for job in dict.fromkeys(jobs)]
        outcomes: dict[Job, Result | VisionError] = {}
        for job, future in futures:
            try:
                outcomes[job] = future.result()
            except VisionError as error:
                outcomes[job] = error
        return outcomes
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
