"""What the shell sees when the system refuses: one sentence and a documented code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vision_ai.cli.app import run

COMMAND = [sys.executable, "-m", "vision_ai"]


def test_results_that_do_not_fit_are_one_sentence() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_a_closed_standard_output_is_one_sentence() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m vision_ai schema >&-"],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["doctor"], ["models", "list"], ["index", "show"]])
def test_a_data_root_that_is_a_file_is_no_traceback(command, tmp_path, monkeypatch, capsys) -> None:
    root = tmp_path / "root"
    root.write_text("I am a file")
    monkeypatch.setenv("VISION_AI_DATA", str(root))
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    assert run(command) in {0, 3}
    assert "Traceback" not in capsys.readouterr().err


def predicted(root: Path) -> Path:
    """The file of a prediction that was just made."""
    assert run(["predict", "AAAUSDT"]) == 0
    return next((root / "data" / "vision_ai" / "predictions").glob("*.json"))


def test_a_folder_in_the_place_of_a_prediction_is_one_sentence(server, tmp_path, capsys) -> None:
    path = predicted(tmp_path)
    path.unlink()
    path.mkdir()
    capsys.readouterr()
    assert run(["predict", "AAAUSDT"]) == 3
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_damaged_prediction_that_is_due_is_told_by_the_code(server, tmp_path, capsys) -> None:
    path = predicted(tmp_path)
    os.truncate(path, 200)
    assert run(["feedback", "run"]) == 0  # nothing of it is due yet
    server.clock.advance(7 * 3600)
    capsys.readouterr()
    assert run(["feedback", "run"]) == 5
    out, err = capsys.readouterr()
    assert "0 outcomes written" in out
    assert path.name in err


def test_a_chart_that_was_cut_off_is_not_shown_as_whole(
    server,
    tmp_path,
    capsys,
) -> None:
    assert run(["snapshot", "AAAUSDT", "--interval", "1h"]) == 0
    path = next((tmp_path / "data" / "charts").rglob("*.png"))
    os.truncate(path, 2000)
    capsys.readouterr()
    assert run(["snapshot", "AAAUSDT", "--interval", "1h"]) == 3
    assert "damaged" in capsys.readouterr().err


def test_a_time_ahead_is_refused(server, capsys) -> None:
    assert run(["predict", "AAAUSDT", "--as-of", "2030-01-01"]) == 2
    assert "lies ahead" in capsys.readouterr().err


@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.6, 1.0])
def test_an_interrupt_leaves_with_its_code_and_a_word(after_s, tmp_path) -> None:
    env = {
        **os.environ,
        "VISION_AI_DATA": str(tmp_path),
        "VISION_AI_BYBIT_URL": "http://127.0.0.1:9",
    }
    with subprocess.Popen([*COMMAND, "scan", "BTCUSDT"], stderr=subprocess.PIPE, env=env) as job:
        time.sleep(after_s)
        job.send_signal(signal.SIGINT)
        assert job.stderr is not None
        said = job.stderr.read().decode()
    if job.returncode == -signal.SIGINT or "Fatal Python error: init" in said:
        return  # before a line of ours ran: Python itself was starting
    assert job.returncode in {130, 4}, said
    assert "Traceback" not in said
