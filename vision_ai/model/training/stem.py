"""The stem of the image tower: pixels of the model view to the OHLCV of each candle."""

import torch
from torch import Tensor, nn
from torch.nn import functional

PIXEL_ROWS = 192
"""Pixel rows of the model view."""

PRICE_ROWS = 151
"""Rows of the price panel and of the gap below it; the rest is volume."""

WICK_BRIGHTNESS = 105 / 255
"""Brightness of wicks in the canonical drawing; bodies are brighter."""

MIN_MASS = 1e-2
"""Added to a feature's mass before its coordinate is divided by it, so that none is no error."""

COLOUR_SLOPE = 40.0
"""How sharply a column's colour separates up from down at first."""

BIN_ROWS = 16
"""Rows of one coarse bin of brightness."""

OHLCV = 5
"""Numbers read from each column: open, high, low, close, volume."""


class Stem(nn.Module):
    """Pixels (n, 3, 192, 96), 0 to 1, to the OHLCV of each candle.

    Two short vertical convolutions find ends of bodies, wicks and volume bars. Each feature's mass
    in a column and its centre of mass are then read off a coordinate basis (soft-argmax; Nibali et
    al., Numerical Coordinate Regression, 2018), which is exact to a part of a row where the ends
    are anti-aliased, and its brightness in coarse bins is added.
    """

    basis: Tensor

    def __init__(self, width: int, features: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, features, (3, 1), padding=(1, 0))
        self.second = nn.Conv2d(features, features, (3, 1), padding=(1, 0))
        self.register_buffer("basis", _coordinate_basis(), persistent=False)
        self.column = nn.Linear(features * len(self.basis), width)
        self.correction = nn.Linear(width, OHLCV)
        nn.init.normal_(self.correction.weight, std=1e-3)
        self.coordinates = nn.Linear(4 * features, 3 * OHLCV)
        self.init_as_inverse_drawing(features)

    @torch.no_grad()
    def init_as_inverse_drawing(self, features: int) -> None:
        """Begin as the inverse of the canonical drawing: ends of bright and of any ink.

        What random weights find after a thousand steps to a hundredth of the chart's height.
        """
        # first convolution: five brightness maps, none of which looks at other rows
        ink, bright, blue, red, green = range(5)
        above, here, below = range(3)
        first, second = self.first.weight[..., 0], self.second.weight[..., 0]
        first[:5] = 0
        first[ink, :2, here] = first[bright, :2, here] = 1
        first[blue, 2, here] = first[red, 0, here] = first[green, 1, here] = 1
        assert self.first.bias is not None
        assert self.second.bias is not None
        self.first.bias[:5] = 0
        self.first.bias[bright] = -WICK_BRIGHTNESS
        # second convolution: 0, 1 ends of wicks; 2, 3 ends of bodies; 4 top of volume; 5, 6 colour
        second[:7] = 0
        self.second.bias[:7] = 0
        for end, other in enumerate((above, below)):
            second[end, ink, here] = second[end, bright, other] = 1
            second[end, bright, here] = second[end, ink, other] = -1
            second[2 + end, bright, here], second[2 + end, bright, other] = 1, -1
        second[4, blue, here], second[4, blue, above] = 1, -1
        second[5, red, here] = second[6, green, here] = 1
        # linear read-out of the coordinates: high and low are wick ends, open and close body ends
        weight, bias = self.coordinates.weight, self.coordinates.bias
        weight.mul_(0.01)
        bias.zero_()
        mass, centre = weight[:, :features], weight[:, features : 2 * features]
        wick = (WICK_BRIGHTNESS + MIN_MASS) / WICK_BRIGHTNESS
        body = (1 - WICK_BRIGHTNESS + MIN_MASS) / (1 - WICK_BRIGHTNESS)
        row = 1 / (PRICE_ROWS - 1)
        opened, high, low, closed, volume = range(OHLCV)
        centre[high, 0] = centre[low, 1] = wick
        centre[[opened, closed], 2] = centre[[opened, closed], 3] = body / 2
        bias[low], bias[[opened, closed]] = -row, -row / 2
        weight[volume, 3 * features + 4] = 1 + MIN_MASS
        # half the body's height up or down from its middle, by the sign of the colour
        swing, gate = slice(OHLCV, 2 * OHLCV), slice(2 * OHLCV, 3 * OHLCV)
        for end, sign in ((closed, 1.0), (opened, -1.0)):
            centre[swing][end, 2], centre[swing][end, 3] = sign * body / 2, -sign * body / 2
            bias[swing][end] = sign * row / 2
            mass[gate][end, 6], mass[gate][end, 5] = COLOUR_SLOPE, -COLOUR_SLOPE

    def forward(self, pixels: Tensor) -> Tensor:
        """OHLCV (n, 96, 5), each 0 to 1 of its panel."""
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        maps = functional.relu(self.second(functional.relu(self.first(pixels))))
        n, features, rows, columns = maps.shape  # (n, 16, 192, 96)
        # half floats would round a coordinate to a hundredth of the panel
        with torch.autocast(pixels.device.type, enabled=False):
            # all sums over rows in one product: (n, 4 + 12, 96, 16)
            stacked = maps.permute(0, 2, 3, 1).reshape(n, rows, columns * features).float()
            sums = (self.basis @ stacked).view(n, len(self.basis), columns, features)
            price, price_centre, volume, volume_centre, *coarse = sums.unbind(dim=1)
            # mass and centre of mass of each feature in both panels: (n, 96, 4 * 16)
            moments = torch.cat(
                [
                    price / 16, price_centre / (price + MIN_MASS),
                    volume / 16, volume_centre / (volume + MIN_MASS),
                ], dim=-1,
            )  # fmt: skip
        # a learned correction from everything in the column
        hidden = functional.relu(self.column(torch.cat([moments, *coarse], dim=-1)))
        correction: Tensor = self.correction(hidden).float()
        with torch.autocast(pixels.device.type, enabled=False):
            # a linear reading, and half a body's height that the colour gates
            plain, swing, gate = self.coordinates(moments).chunk(3, dim=-1)
            ohlcv: Tensor = correction + plain + swing * gate.tanh()
            return ohlcv


def _coordinate_basis() -> Tensor:
    """What columns are summed with, (16, 192): mass and coordinate of both panels, coarse bins."""
    lines = torch.zeros(4 + PIXEL_ROWS // BIN_ROWS, PIXEL_ROWS)
    for panel, (start, stop) in enumerate(((0, PRICE_ROWS), (PRICE_ROWS, PIXEL_ROWS))):
        lines[2 * panel, start:stop] = 1
        lines[2 * panel + 1, start:stop] = torch.linspace(1, 0, stop - start)
    for part in range(PIXEL_ROWS // BIN_ROWS):
        lines[4 + part, part * BIN_ROWS : (part + 1) * BIN_ROWS] = 1 / BIN_ROWS
    return lines
