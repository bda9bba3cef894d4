"""Settings: frozen sections, read from `vision_ai.toml`, unknown keys refused.

A stage is handed its own section and nothing else. Secrets are never settings: they come from
the environment where they are used.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vision_ai.domain import Direction, Interval, Phase, Setup, stamp
from vision_ai.errors import ConfigError


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketConfig(Section):
    """Where candles come from and how politely they are asked for."""

    base_url: str = Field(default="https://api.bybit.com", pattern=r"^https?://[^\s/]+(:\d+)?/?$")
    category: Literal["linear", "spot"] = "linear"
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    attempts: int = Field(default=5, ge=1, le=20)
    backoff_s: float = Field(
        default=0.5,
        ge=0,
        le=60,
        description="seconds before the first retry; doubles at each retry",
    )
    workers: int = Field(default=4, ge=1, le=32)
    history: int = Field(default=400, ge=97, le=100_000, description="candles fetched at first")

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        _ = urlsplit(url).port  # raises ValueError on hosts and ports that cannot be
        return url


class ChartConfig(Section):
    """The chart image made for people."""

    theme: Literal["light", "dark"] = "dark"
    width: int = Field(default=1200, ge=480, le=4000)
    height: int = Field(default=800, ge=300, le=4000)


class ModelConfig(Section):
    """Which model reads charts."""

    version: str = Field(default="current", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    threads: int = Field(default=0, ge=0, le=64, description="0: let ONNX Runtime choose")
    batch: int = Field(default=32, ge=1, le=1024)


class IndexConfig(Section):
    """How similar charts are chosen."""

    neighbors: int = Field(default=24, ge=1, le=200)
    embargo_h: float = Field(
        default=24.0,
        ge=0,
        le=10_000,
        description="kept free around a query's span where models are trained, evaluated and "
        "backtested; a live prediction sees only what was complete before it",
    )


class PredictConfig(Section):
    """How votes and prompts become probabilities."""

    level: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="coverage of outcome bands of models trained here; the shipped one's is 0.8",
    )
    shown: int = Field(default=5, ge=0, le=50, description="similar charts listed in a prediction")


class FeedbackConfig(Section):
    """What counts as success."""

    target: float = Field(default=0.02, gt=0, lt=1, description="simple return to be reached")
    stop: float = Field(default=0.02, gt=0, lt=1)
    atr_multiple: float | None = Field(default=None, gt=0, description="replaces the fixed 2 %")
    give_up_h: float = Field(default=72.0, gt=0)


class DecisionRule(Section):
    """One more way in which a prediction moves a decision; fields left out match anything."""

    setup: Setup | None = None
    direction: Direction | None = None
    phase: Phase | None = None
    min_confidence: float = Field(ge=0, lt=1, description="the confidence must be above it")
    delta: float = Field(ge=-1, le=1, description="added to the score")
    reason: str = Field(min_length=1, max_length=200)


class DecisionConfig(Section):
    """When a prediction may still move a decision, and by how much."""

    stale_after_h: float = Field(default=2.0, gt=0)
    rules: tuple[DecisionRule, ...] = Field(
        default=(), description="beyond the two that always hold; `[[decision.rules]]` in TOML"
    )


class GptConfig(Section):
    """The GPT model that describes charts, its prices and limits; the API key is no setting."""

    model: str = Field(default="gpt-5-mini", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")
    language: Literal["en", "pl", "de"] = "en"
    input_price: float = Field(default=0.25, ge=0, description="US dollars per million tokens")
    output_price: float = Field(default=2.0, ge=0, description="US dollars per million tokens")
    batch_factor: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="price of a batch request, as a share of the normal price",
    )
    image_factor: float = Field(
        default=1.62, gt=0, description="tokens per patch of 32 x 32 pixels"
    )
    effort: Literal["", "minimal", "low", "medium", "high"] = Field(
        default="low", description="of models that reason; empty for those that do not"
    )
    max_output_tokens: int = Field(default=2000, ge=100, le=100_000)
    paraphrases: int = Field(default=6, ge=1, le=20)
    concurrency: int = Field(default=4, ge=1, le=64)
    timeout_s: float = Field(default=90.0, gt=0, le=600)
    attempts: int = Field(default=4, ge=1, le=20)
    backoff_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="seconds before the first retry; doubles at each retry",
    )
    patience_s: float = Field(
        default=120.0, ge=0, description="longest wait that the server may ask for"
    )
    poll_s: float = Field(
        default=30.0, ge=0, description="between two requests for the state of a batch"
    )
    batch_bytes: int = Field(default=100_000_000, ge=1000, description="largest file of a batch")


class ReviewConfig(Section):
    """How much a person's label counts where the model's calibration gives no weight."""

    weight: float = Field(default=4.0, gt=0, le=100, description="votes of a corrected chart")


class Config(Section):
    """All settings."""

    market: MarketConfig = MarketConfig()
    chart: ChartConfig = ChartConfig()
    model: ModelConfig = ModelConfig()
    index: IndexConfig = IndexConfig()
    predict: PredictConfig = PredictConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    decision: DecisionConfig = DecisionConfig()
    gpt: GptConfig = GptConfig()
    review: ReviewConfig = ReviewConfig()


@dataclass(frozen=True)
class Paths:
    """Where everything is kept under the data root. Symbols must be checked before they come here.

    >>> Paths(Path("data")).prediction("BTCUSDT", 1_749_988_800_000).as_posix()
    'data/vision_ai/predictions/BTCUSDT_20250615_1200.json'
    """

    root: Path

    def klines(self, venue: str, symbol: str, interval: Interval) -> Path:
        """The cached candles of one market."""
        return self.klines_folder / f"{venue}_{symbol}_{interval}.parquet"

    @property
    def klines_folder(self) -> Path:
        """All cached candles."""
        return self.root / "vision_ai" / "klines"

    def chart(self, symbol: str, interval: Interval, as_of_ms: int) -> Path:
        """The PNG whose newest candle closed at `as_of_ms`."""
        name = f"{symbol}_{interval}_{stamp(as_of_ms)}.png"
        return self.root / "charts" / symbol / interval.value / name

    def prediction(self, symbol: str, as_of_ms: int) -> Path:
        """The prediction whose newest candle closed at `as_of_ms`."""
        return self.predictions / f"{symbol}_{stamp(as_of_ms)}.json"

    def feedback(self, symbol: str, as_of_ms: int) -> Path:
        """The log of one prediction's outcomes."""
        return self.feedback_logs / f"{symbol}_{stamp(as_of_ms)}.jsonl"

    def proposal(self, now_ms: int) -> Path:
        """What the feedback would change in the model, as computed at `now_ms`."""
        return self.proposals / f"{stamp(now_ms)}.json"

    @property
    def proposals(self) -> Path:
        """What the feedback would change, one file per update."""
        return self.root / "vision_ai" / "proposals"

    def decisions_of(self, symbol: str, now_ms: int) -> Path:
        """The decisions of one symbol on the UTC day of `now_ms`."""
        return self.decisions / f"{symbol}_{stamp(now_ms)[:8]}.jsonl"

    @property
    def comparison_models(self) -> Path:
        """Networks that evaluation trains to compare the model with."""
        return self.root / "vision_ai" / "peers"

    @property
    def decisions(self) -> Path:
        """What was decided, one file per symbol and day."""
        return self.root / "vision_ai" / "decisions"

    @property
    def predictions(self) -> Path:
        """All predictions."""
        return self.root / "vision_ai" / "predictions"

    @property
    def cv_predictions(self) -> Path:
        """Predictions that another program left for the decision; read, never written."""
        return self.root / "cv_predictions"

    @property
    def embeddings(self) -> Path:
        """Vectors of charts and texts, as training leaves them."""
        return self.root / "vision_ai" / "embeddings"

    @property
    def models(self) -> Path:
        """Trained models, one folder per version."""
        return self.root / "vision_ai" / "models"

    @property
    def index(self) -> Path:
        """Search indexes, one folder per version."""
        return self.root / "vision_ai" / "index"

    @property
    def descriptions(self) -> Path:
        """Descriptions of charts by GPT, and what they cost."""
        return self.root / "vision_ai" / "descriptions"

    @property
    def corrections(self) -> Path:
        """Corrections of labels by people."""
        return self.root / "vision_ai" / "reviews" / "corrections.jsonl"

    @property
    def feedback_logs(self) -> Path:
        """Outcomes of each prediction."""
        return self.root / "cv_feedback_logs"


def data_root(environ: Mapping[str, str] = os.environ) -> Path:
    """`VISION_AI_DATA`, or `data` in the current folder."""
    return Path(environ.get("VISION_AI_DATA") or "data")


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read settings from `path`, or `VISION_AI_CONFIG`, or `vision_ai.toml` where it exists.

    `VISION_AI_BYBIT_URL` overrides `market.base_url`.

    Raises:
        ConfigError: no such file, not TOML, an unknown key or a value out of range.
    """
    content = _read(path, environ)
    if url := environ.get("VISION_AI_BYBIT_URL"):
        market = content.get("market")
        content["market"] = {**(market if isinstance(market, dict) else {}), "base_url": url}
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        loc = [str(part) for part in first["loc"]]
        raise ConfigError(
            f"Setting {'.'.join(loc)} is wrong: {first['msg']} (was {first['input']!r:.80}).",
            hint=_hint(first["type"], loc, environ),
        ) from error


def _read(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named_file = environ.get("VISION_AI_CONFIG")
    named = path or (Path(named_file) if named_file else None)
    source = named or Path("vision_ai.toml")
    if named is None and not source.exists():
        return {}
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no settings file {source}.",
            hint="Correct the path, or unset VISION_AI_CONFIG to use the defaults.",
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"Settings file {source} cannot be read: {error}.",
            hint="Correct it, or remove it to use the defaults.",
        ) from error


def _hint(kind: str, loc: list[str], environ: Mapping[str, str]) -> str:
    if loc == ["market", "base_url"] and environ.get("VISION_AI_BYBIT_URL"):
        return "Set VISION_AI_BYBIT_URL to an address such as http://127.0.0.1:8787."
    return _suggest(loc) if kind == "extra_forbidden" else "Correct that line of the settings file."


def _suggest(loc: list[str]) -> str:
    fields = Config.model_fields
    if loc[:2] == ["decision", "rules"]:
        known = list(DecisionRule.model_fields)
    elif len(loc) > 1 and loc[0] in fields:
        section = fields[loc[0]].annotation
        known = list(getattr(section, "model_fields", {}))
    else:
        known = list(fields)
    close = difflib.get_close_matches(loc[-1], known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."


__all__ = [
    "ChartConfig",
    "Config",
    "DecisionConfig",
    "DecisionRule",
    "FeedbackConfig",
    "GptConfig",
    "IndexConfig",
    "MarketConfig",
    "ModelConfig",
    "Paths",
    "PredictConfig",
    "ReviewConfig",
    "Section",
    "data_root",
    "load",
]
