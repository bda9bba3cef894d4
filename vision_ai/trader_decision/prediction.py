"""The newest prediction of a symbol, if it may still move a decision."""

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from vision_ai import storage
from vision_ai.config import DecisionConfig, Paths, data_root
from vision_ai.domain import iso, parse_symbol, parse_time, stamp
from vision_ai.errors import CorruptFileError, KlinesError
from vision_ai.records import ExternalPrediction, Prediction

logger = logging.getLogger(__name__)

_H_MS = 3_600_000
_REPAIR = "Predict again."


@dataclass(frozen=True)
class CvReading:
    """A prediction that may be used, or none and why.

    Attributes:
        prediction: None where it is missing, stale, damaged or abstained.
        reason: one sentence, empty where there is a prediction.
    """

    prediction: Prediction | ExternalPrediction | None
    reason: str = ""


def load_cv_prediction(
    symbol: str,
    *,
    root: Path | None = None,
    config: DecisionConfig | None = None,
    now_ms: int | None = None,
) -> Prediction | ExternalPrediction | None:
    """The newest prediction of a symbol, or None (the log says why).

    It is looked up in `vision_ai/predictions/` and `cv_predictions/` of the data root. What is
    returned answers `["phase"]`, `.get("setup")` and `.get("confidence", 0)` as a dict would.

    Args:
        symbol: such as `BTCUSDT`; checked before it becomes a path.
        root: data root; `VISION_AI_DATA` or `data` where left out.
        config: after how long a prediction is stale.
        now_ms: the clock, UTC milliseconds; later predictions are not looked at.

    Raises:
        SymbolError: the symbol is not valid.
        StorageError: a folder of predictions cannot be read.
    """
    found = find_cv_prediction(symbol, root=root, config=config, now_ms=now_ms)
    if found.reason:
        logger.info("cv prediction unused symbol=%s reason=%s", parse_symbol(symbol), found.reason)
    return found.prediction


def find_cv_prediction(
    symbol: str,
    *,
    root: Path | None = None,
    config: DecisionConfig | None = None,
    now_ms: int | None = None,
) -> CvReading:
    """The same as `load_cv_prediction`, together with the reason.

    An older prediction never replaces a damaged or abstaining newer one.

    Raises:
        SymbolError: the symbol is not valid.
        StorageError: a folder of predictions cannot be read.
    """
    symbol = parse_symbol(symbol)
    now = wall_ms() if now_ms is None else now_ms
    path = _newest(Paths(root or data_root()), symbol, now)
    if path is None:
        return CvReading(None, f"there is no prediction of {symbol}")
    try:
        prediction = _read(path)
    except CorruptFileError as error:
        return CvReading(None, f"the prediction is damaged: {error.message}")
    if f"{prediction.symbol}_{stamp(parse_time(prediction.as_of))}" != path.stem:
        return CvReading(None, f"the prediction is damaged: {path.name} is of {prediction.symbol}")
    return usable(prediction, config or DecisionConfig(), now)


def wall_ms() -> int:
    """The time now, UTC milliseconds."""
    return time.time_ns() // 1_000_000


def _newest(paths: Paths, symbol: str, now_ms: int) -> Path | None:
    """The newest file of both folders that is not later than now; our own where times are equal."""
    name = re.compile(rf"{symbol}_\d{{8}}_\d{{4}}\Z")
    listed = [
        path
        for folder in (paths.predictions, paths.cv_predictions)
        for path in storage.listed(folder, f"{symbol}_*.json")
    ]
    past = (
        path
        for path in listed
        if name.match(path.stem) and path.stem <= f"{symbol}_{stamp(now_ms)}"
    )
    return max(past, default=None, key=lambda path: path.stem)


def _read(path: Path) -> Prediction | ExternalPrediction:
    """A prediction of this program, or of another one where it carries no `schema_version`."""
    content = storage.read_json(path, repair=_REPAIR)
    if "schema_version" in content:
        return storage.check_document(path, content, Prediction, repair=_REPAIR)
    symbol, _, time_text = path.stem.partition("_")
    named = {"symbol": symbol, "as_of": _time_of(path, time_text)}
    return storage.check_document(path, named | content, ExternalPrediction, repair=_REPAIR)


def _time_of(path: Path, text: str) -> str:
    """The time in a file's name, `YYYYMMDD_HHMM` in UTC, as ISO text."""
    try:
        return iso(parse_time(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:00Z"))
    except KlinesError as error:
        raise CorruptFileError(f"{path.name}: {error.message}", hint=_REPAIR) from error


def usable(
    prediction: Prediction | ExternalPrediction, config: DecisionConfig, now_ms: int
) -> CvReading:
    """A prediction as it may be used at `now_ms`: not if it is stale or abstained."""
    age_h = (now_ms - parse_time(prediction.as_of)) / _H_MS
    if age_h > config.stale_after_h:
        text = f"the prediction of {prediction.as_of} is stale: {age_h:.1f} h old at {iso(now_ms)}"
        return CvReading(None, f"{text}, at most {config.stale_after_h:g} h count")
    if prediction.abstained:
        return CvReading(None, f"the prediction abstained: {_abstain_reason(prediction)}")
    return CvReading(prediction)


def _abstain_reason(prediction: Prediction | ExternalPrediction) -> str:
    if isinstance(prediction, Prediction):
        lead = prediction.intervals.get(prediction.lead_interval)
        if lead and lead.abstained_because:
            return lead.abstained_because
    return "no reason was given"
