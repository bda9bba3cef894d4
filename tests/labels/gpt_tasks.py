"""NormalizedBars to be described, without drawing any."""

import hashlib
from pathlib import Path

from tests.labels.openai_server import OpenAiServer
from vision_ai.config import GptConfig
from vision_ai.domain import PHASES, READINGS, Interval, Label, iso
from vision_ai.labels.gpt.client import GptClient
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import LabelledChart, Language
from vision_ai.labels.gpt.run import ChartTask, DescriptionOptions, DescriptionRun, RunResult

START = 1_700_000_100_000 // 900_000 * 900_000


def config(**changes: object) -> GptConfig:
    return GptConfig(**{"backoff_s": 0.01, "timeout_s": 3.0, "poll_s": 0.0, **changes})


def order(**changes: object) -> DescriptionOptions:
    return DescriptionOptions(Language.EN, config(**changes))


def task(number: int) -> ChartTask:
    label = Label(READINGS[number % len(READINGS)], PHASES[number % len(PHASES)])
    subject = LabelledChart(
        digest=hashlib.sha256(str(number).encode()).hexdigest(),
        symbol="BTCUSDT",
        interval=Interval.M15,
        as_of=iso(START + number * 900_000),
        setup=label.setup,
        direction=label.direction,
        phase=label.phase,
        clear=True,
        rules="1",
        look=f"{number:032d}",
    )
    return ChartTask(subject, label, (400, 300), lambda: b"PNG" + str(number).encode())


def tasks(count: int) -> list[ChartTask]:
    return [task(number) for number in range(count)]


def run(
    server: OpenAiServer,
    folder: Path,
    count: int,
    *,
    max_cost: float | None = None,
    **changes: object,
) -> tuple[RunResult, Ledger]:
    wanted, ledger = order(**changes), Ledger(folder)
    with GptClient(wanted.config, environ=server.environ) as client:
        done = DescriptionRun(wanted, ledger, client, max_cost=max_cost).describe(tasks(count))
    return done, ledger
