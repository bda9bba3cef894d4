"""Ctrl-C, raised where Python can bear it."""

import signal
from types import FrameType

_RETRY_S = 0.02
_IMPORT_CODE = "<frozen importlib._bootstrap>"


def install() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt`, but never in the middle of an import.

    Compiled libraries abort the whole process (matplotlib's `ft2font`, SIGABRT), or raise an error
    of their own, when an exception crosses their loading: the interrupt knocks again until the
    import is done.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)


def ignore() -> None:
    """Let nothing interrupt the way out: all work is done, a traceback is all that could come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _interrupt(_: int, frame: FrameType | None) -> None:
    if _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, _RETRY_S)
    else:
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_CODE:
            return True
        frame = frame.f_back
    return False
