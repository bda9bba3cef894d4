"""The published forms: files that this program writes, and the objects that `--json` prints."""

from typing import Any

from pydantic import BaseModel

from vision_ai.errors import InputError
from vision_ai.pipeline.backtest.simulate import SimulateResult
from vision_ai.pipeline.backtest.trade import BacktestResult
from vision_ai.pipeline.candles import FetchResult, ImportResult
from vision_ai.pipeline.decide import DecideResult
from vision_ai.pipeline.demo import DemoResult
from vision_ai.pipeline.doctor import DoctorResult
from vision_ai.pipeline.evaluate import EvaluateResult
from vision_ai.pipeline.feedback import FeedbackReviewResult, FeedbackRunResult
from vision_ai.pipeline.index import IndexResult
from vision_ai.pipeline.labelling.describe import (
    DescribeBatchResult,
    DescribeEstimateResult,
    DescribeResult,
    LedgerResult,
)
from vision_ai.pipeline.labelling.review import (
    LabelsExportResult,
    LabelsImportResult,
    ReviewDecisionResult,
    ReviewQueueResult,
    ReviewStatsResult,
)
from vision_ai.pipeline.labelling.statistics import LabelStatisticsResult, SheetResult
from vision_ai.pipeline.learning.train import TrainResult
from vision_ai.pipeline.learning.update import UpdateResult
from vision_ai.pipeline.models import (
    ActiveModelResult,
    ModelDiffResult,
    ModelResult,
    ModelsResult,
)
from vision_ai.pipeline.predict import PredictResult, ScanResult, SnapshotResult, SymbolResult
from vision_ai.pipeline.search import SearchResult
from vision_ai.predict_cv_setup import prediction_schema
from vision_ai.records import Decision, Feedback

FILES: dict[str, type[BaseModel]] = {"feedback": Feedback, "decision": Decision}
"""Lines of logs, beside the `prediction`, whose schema carries an example."""

RESULTS: dict[str, type[BaseModel]] = {
    "backtest-result": BacktestResult,
    "decide-result": DecideResult,
    "demo-result": DemoResult,
    "describe-result": DescribeResult,
    "describe-batch-result": DescribeBatchResult,
    "describe-dry-run-result": DescribeEstimateResult,
    "describe-report-result": LedgerResult,
    "doctor-result": DoctorResult,
    "evaluate-result": EvaluateResult,
    "feedback-review-result": FeedbackReviewResult,
    "feedback-run-result": FeedbackRunResult,
    "feedback-update-result": UpdateResult,
    "fetch-result": FetchResult,
    "import-result": ImportResult,
    "index-result": IndexResult,
    "label-sheet-result": SheetResult,
    "label-stats-result": LabelStatisticsResult,
    "labels-export-result": LabelsExportResult,
    "labels-import-result": LabelsImportResult,
    "models-diff-result": ModelDiffResult,
    "models-list-result": ModelsResult,
    "models-promote-result": ActiveModelResult,
    "models-show-result": ModelResult,
    "predict-result": SymbolResult,
    "predict-image-result": PredictResult,
    "review-next-result": ReviewQueueResult,
    "review-result": ReviewDecisionResult,
    "review-stats-result": ReviewStatsResult,
    "scan-result": ScanResult,
    "search-result": SearchResult,
    "simulate-result": SimulateResult,
    "snapshot-result": SnapshotResult,
    "train-result": TrainResult,
}
"""What each command prints with `--json`."""


def names() -> list[str]:
    """Every schema by name: files first."""
    return ["prediction", *FILES, *RESULTS]


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a file or of a result.

    Raises:
        InputError: there is none of that name.
    """
    if name == "prediction":
        return prediction_schema()
    kind = FILES.get(name) or RESULTS.get(name)
    if kind is None:
        raise InputError(
            f"Schema {name[:40]!r} is not known: expected one of {', '.join(names())}.",
            hint="Try: vision-ai schema prediction",
        )
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if name in FILES:
        return {**head, **kind.model_json_schema()}
    return {**head, **kind.model_json_schema(mode="serialization")}
