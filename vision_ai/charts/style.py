"""Random drawing styles: what is left of other people's charts once they are normalised."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Styles:
    """One drawing style a chart, a column an attribute."""
