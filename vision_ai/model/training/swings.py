"""Recent bars of a chart, each judged as the end of a leg."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training.anchors import (  # fmt: skip
    CHANNELS,
    CLOSE,
    FALL,
    FRESH,
    HIGH,
    LEG,
    LOW,
    MANY,
    NEAR,
    NEVER,
    RARE,
    RECENT,
    SOFT_HIGH,
    SOFT_LOW,
    SPAN,
    TURN_MARKS,
    VOLUME,
    exchanged,
    rolling,
)

CLEAR_LEG = 6.0
"""ATR about which a leg begins to count."""


class Turns(nn.Module):
    """Numbers (n, 96, 8) to a judgement of each recent bar as the end of a leg.

    Each bar is compared with the extremes before it, since it, and of the whole chart; distances
    are told plainly where they are small, and in parts of the leg that ends at the bar.
    """

    legs: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        bar = torch.arange(WINDOW - RECENT, WINDOW)[:, None] + torch.arange(LEG + 1)
        self.register_buffer("legs", bar.flatten(), persistent=False)
        self.place = nn.Parameter(torch.zeros(RECENT, width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(17 * CHANNELS + 18 + 24, width)
        self.judge = nn.Linear(width, width)
        self.marks = nn.Linear(width, TURN_MARKS)
        nn.init.constant_(self.marks.bias, RARE)

    def forward(self, numbers: Tensor, since: Tensor, so_far: Tensor) -> tuple[Tensor, Tensor]:
        """Judge all recent bars.

        Args:
            numbers: (n, 96, 8), of `Numbers`.
            since: the same shape, running maxima from each bar to the last.
            so_far: the same shape, running maxima from the first bar to each.

        Returns:
            Judgements (2, n, 48, width) and logits of marks (2, n, 48, 3), upright first.
        """
        leg = rolling(functional.pad(numbers, (0, 0, LEG, 0), value=NEVER), LEG + 1)
        recent = numbers[:, -RECENT:].amax(dim=1, keepdim=True)
        whole = numbers.amax(dim=1, keepdim=True)
        parts = [leg[:, -RECENT:], since[:, -RECENT:]]
        parts += [part.expand(-1, RECENT, -1) for part in (recent, whole)]
        seen = torch.stack([numbers[:, -RECENT:], *parts, so_far[:, -RECENT:]], dim=1)
        way = way_of(numbers)
        steps, ways = _steps(way), self.ways(numbers, way)
        fresh = since[:, -FRESH, None].expand(-1, RECENT, -1)
        judged = torch.stack(
            [
                self._judge(seen, steps, ways, fresh),
                self._judge(exchanged(seen), steps, ways.flip(-1), exchanged(fresh)),
            ]
        )
        return judged, self.marks(judged)

    def ways(self, numbers: Tensor, way: Tensor) -> Tensor:
        """How far closes went since a leg up to each bar began, and since a leg down: (n, 48, 2).

        It began at the lowest, or highest, middle of low and close of the bars before. `way` is
        what `way_of` gives.
        """
        past = functional.pad(way, (LEG, 0))[:, self.legs].view(-1, RECENT, LEG + 1)
        sides = []
        for extreme in (SOFT_LOW, SOFT_HIGH):
            before = functional.pad(numbers[..., extreme], (LEG, 0), value=NEVER)[:, self.legs]
            begun = before.view(-1, RECENT, LEG + 1).argmax(dim=2)
            sides.append(way[:, -RECENT:] - past.gather(2, begun[..., None])[..., 0])
        return torch.stack(sides, dim=-1)

    def _judge(self, seen: Tensor, steps: Tensor, ways: Tensor, fresh: Tensor) -> Tensor:
        here, leg, since = seen[:, 0], seen[:, 1], seen[:, 2]
        high, low = here[..., SOFT_HIGH], here[..., SOFT_LOW]
        none = torch.zeros_like(high)
        own = torch.stack([high, low, high, low, high, low, none, none], dim=-1)
        up = (high + leg[..., SOFT_LOW]).clamp(min=0.5)[..., None]
        down = (low + leg[..., SOFT_HIGH]).clamp(min=0.5)[..., None]
        apart = torch.cat([part - own for part in seen[:, 1:].unbind(dim=1)], dim=-1)
        edges, sizes = torch.stack([high, low], dim=-1), torch.cat([up, down], dim=-1)
        hard = (leg[..., [LOW, HIGH]] + here[..., [HIGH, LOW]]).clamp(min=0.5)
        back = torch.stack(
            [
                since[..., CLOSE] + here[..., LOW], since[..., FALL] + here[..., HIGH],
                since[..., CLOSE] + low, since[..., FALL] + high,
            ], dim=-1,
        )  # fmt: skip
        told = torch.cat(
            [
                here.clamp(-NEAR, NEAR), here / 8, apart.clamp(-NEAR, NEAR), apart / up,
                apart / down, edges / up, edges / down, sizes / 8,
                (sizes - CLEAR_LEG).clamp(-NEAR, NEAR), steps, sizes / (1 + 10 * steps),
                edges.clamp(-NEAR, NEAR), edges / 8, steps - sizes / 10,
                back.clamp(-NEAR, NEAR), back / up, back / down, sizes / ways.clamp(min=1),
                hard / 8, (hard - CLEAR_LEG - 1).clamp(-NEAR, NEAR),
                fresh[..., [VOLUME, SPAN]].clamp(max=MANY), here[..., :2] / hard,
                here[..., :2] / hard.flip(-1),
            ], dim=-1,
        )  # fmt: skip
        judged = functional.relu(self.look(told) + self.place)
        return judged + functional.relu(self.judge(judged))


def way_of(numbers: Tensor) -> Tensor:
    """How far closes went up to each bar, summed from the first: (n, 96, 8) to (n, 96)."""
    close = numbers[..., CLOSE]
    return functional.pad((close[:, 1:] - close[:, :-1]).abs().cumsum(dim=1), (1, 0))


def _steps(way: Tensor) -> Tensor:
    """How far closes went within a leg's bars, and since, in tens: (n, 96) to (n, 48, 2)."""
    before = functional.pad(way, (LEG, 0))[:, :WINDOW]
    return torch.stack([way - before, way[:, -1:] - way], dim=-1)[:, -RECENT:] / 10
