"""The user's three files run as commands too, each the one it stands for."""

import subprocess
import sys

import pytest

DOORS = [
    ("train_cv_model", "train"),
    ("predict_cv_setup", "predict"),
    ("feedback_loop_cv", "feedback"),
]


def run(*arguments: str):
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("module", "command"), DOORS)
def test_help_of_a_front_door_is_that_of_its_command(module, command):
    done = run(f"vision_ai.{module}", "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: vision-ai {command}" in done.stdout
    assert done.stderr == ""


def test_arguments_reach_the_command_and_errors_exit_with_its_code(tmp_path):
    done = run("vision_ai.train_cv_model", "--klines", str(tmp_path), "--preset", "gpt")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")


def test_help_of_training_loads_no_torch():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['train_cv_model', '--help']\n"
        "try:\n    runpy.run_module('vision_ai.train_cv_model', run_name='__main__')\n"
        "finally:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
