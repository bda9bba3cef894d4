"""What holds a run back: money, and the pauses that the API asks for. Safe between threads."""

import threading
import time


class Budget:
    """Money that may still be spent: what is under way is counted at its worst."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._taken = 0.0
        self._ratio = 1.0
        self._lock = threading.Lock()

    def reserve(self, worst: float) -> float | None:
        """Set aside the worst cost of a request; None where the limit does not allow it."""
        with self._lock:
            wanted = worst * self._ratio
            if self.limit is not None and self._taken + wanted > self.limit:
                return None
            self._taken += wanted
            return wanted

    def settle(self, reserved: float, cost: float) -> None:
        """Count what a request really cost; one dearer than thought makes later ones dearer."""
        with self._lock:
            self._taken += cost - reserved
            if 0 < reserved < cost:
                self._ratio *= cost / reserved


class Gate:
    """Where all requests wait when the API asks for a pause."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def close(self) -> None:
        """Let nobody through any more."""
        self._closed.set()

    def passes(self, delay_s: float = 0.0) -> bool:
        """Wait for the pause to end, and at least `delay_s`; False once it is closed."""
        own = time.monotonic() + delay_s
        while (left := max(self._until, own) - time.monotonic()) > 0:
            if self._closed.wait(left):
                return False
        return not self._closed.is_set()
