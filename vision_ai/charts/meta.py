"""The record inside a chart PNG: what it shows and where, so that its candles can be read."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vision_ai.domain import END_MS, WINDOW, Interval
from vision_ai.records import Finite, Record, SymbolText

Pixels = Annotated[float, Field(ge=-10_000, le=10_000, allow_inf_nan=False)]
Millis = Annotated[int, Field(ge=0, lt=END_MS)]


class Panel(Record):
    """A plot rectangle in pixels from the picture's top left, and its value axis.

    `low` is the value at the bottom edge and `high` at the top edge, linear in between.
    """

    left: Pixels
    top: Pixels
    right: Pixels
    bottom: Pixels
    low: Finite
    high: Finite

    @model_validator(mode="after")
    def _spans(self) -> Self:
        if not (self.left < self.right and self.top < self.bottom and self.low < self.high):
            raise ValueError("a panel needs an extent")
        return self


class ChartMeta(Record):
    """The text chunk of a chart: what was drawn, from which candles, and where on the picture."""

    v: Literal[1] = 1
    symbol: SymbolText
    interval: Interval
    first_open_ms: Millis
    last_open_ms: Millis
    candles: int = Field(default=WINDOW, ge=1, le=10_000)
    scale: Literal["linear"] = "linear"
    x_left: Finite = Field(description="candle number at the panels' left edge; the first is 0")
    x_right: Finite = Field(description="candle number at the panels' right edge")
    price: Panel
    volume: Panel
    style: Literal["light", "dark"]
    klines: str = Field(pattern=r"^[0-9a-f]{64}$", description="digest of the candles drawn")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        span = (self.candles - 1) * self.interval.ms
        if self.last_open_ms - self.first_open_ms != span:
            raise ValueError("first and last candle do not fit their number")
        if self.x_left > -0.5 or self.x_right < self.candles - 0.5:
            raise ValueError("a candle lies outside the panels")
        return self
