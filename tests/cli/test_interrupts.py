"""Ctrl-C while a library loads waits for the library."""

import subprocess
import sys

import pytest

LIBRARY = """
import signal, time
signal.raise_signal(signal.SIGINT)
time.sleep(0.1)
signal.raise_signal(signal.SIGINT)
print("loaded", flush=True)
"""

# matplotlib's compiled fonts make their enums in Python while they load; an exception there aborts.
ABORTS = """
import signal

def knock(frame, event, _):
    if event == "call" and frame.f_locals.get("class_name") == "LoadFlags":
        sys.setprofile(None)
        print("knocked", flush=True)
        signal.raise_signal(signal.SIGINT)

sys.setprofile(knock)
import matplotlib.ft2font
"""

PROGRAM = """
import sys, time
from vision_ai.cli import interrupts
interrupts.install()
try:
    exec({program!r})
    time.sleep(30)
    print("never interrupted")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import library", ["loaded", "interrupted"]),
        (ABORTS, ["knocked", "interrupted"]),
        ("import signal; signal.raise_signal(signal.SIGINT)", ["interrupted"]),
    ],
)
def test_an_interrupt_waits_for_an_import_and_for_nothing_else(program, said, tmp_path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            + PROGRAM.format(program=program),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == said, done.stderr
