"""Names that traders give to setups and phases: synonyms, written for the long side only.

A phrase holds words of the long side in braces, and `fill_sides` fills in those of either side:
`break {above} the range` reads `break above the range` for a long setup and `break below the range`
for its mirror.
"""

import re
from collections.abc import Mapping

from vision_ai.domain import Phase, Setup

SIDES: Mapping[str, tuple[str, str]] = {
    "up": ("up", "down"),
    "down": ("down", "up"),
    "upside": ("upside", "downside"),
    "downside": ("downside", "upside"),
    "above": ("above", "below"),
    "below": ("below", "above"),
    "top": ("top", "bottom"),
    "bottom": ("bottom", "top"),
    "highs": ("highs", "lows"),
    "lows": ("lows", "highs"),
    "high": ("high", "low"),
    "low": ("low", "high"),
    "higher": ("higher", "lower"),
    "support": ("support", "resistance"),
    "resistance": ("resistance", "support"),
    "floor": ("floor", "ceiling"),
    "bullish": ("bullish", "bearish"),
    "long": ("long", "short"),
    "buyers": ("buyers", "sellers"),
    "sellers": ("sellers", "buyers"),
    "bulls": ("bulls", "bears"),
    "bear": ("bear", "bull"),
    "shorts": ("shorts", "longs"),
    "rally": ("rally", "decline"),
    "decline": ("decline", "rally"),
    "fall": ("fall", "rise"),
    "breakout": ("breakout", "breakdown"),
    "breakdown": ("breakdown", "breakout"),
    "an uptrend": ("an uptrend", "a downtrend"),
    "uptrend": ("uptrend", "downtrend"),
    "rising": ("rising", "falling"),
    "advances": ("advances", "declines"),
    "climbs": ("climbs", "drops"),
    "bounces": ("bounces", "turns away"),
    "bounce from": ("bounce from", "rejection at"),
    "retest": ("retest", "rejection"),
    "dip": ("dip", "relief bounce"),
    "buy the dip": ("buy the dip", "sell the rally"),
    "higher low": ("higher low", "lower high"),
    "selling": ("selling", "buying"),
    "capitulation low": ("capitulation low", "blow off top"),
    "markup": ("markup", "markdown"),
    "markdown": ("markdown", "markup"),
    "accumulation": ("accumulation", "distribution"),
    "basing": ("basing", "topping"),
    "a base": ("a base", "a top"),
}
"""Words of the long side, upright and mirrored."""

SETUP_PHRASES: Mapping[Setup, tuple[str, ...]] = {
    Setup.BREAKOUT: (
        "breakout to the {upside}",
        "fresh break {above} the range",
        "{bullish} breakout",
        "price closes {above} the {top} of the range",
        "close {above} {resistance} on volume",
        "{buyers} push price through {resistance}",
        "the range breaks {up}",
        "range breakout {higher}",
        "price has just left its box to the {upside}",
        "{breakout} {above} the {top} of the box",
    ),
    Setup.BREAKOUT_CONTINUATION: (
        "breakout continuation {higher}",
        "the break {up} holds and runs on",
        "{bullish} continuation after a breakout",
        "price keeps going {higher} after the break of the range",
        "held {above} the broken range and near the {highs}",
        "follow through after the break {above} the range",
        "the move goes on {up} after the {breakout}",
        "no look back since the break of {resistance}",
        "{breakout} that keeps running",
    ),
    Setup.PULLBACK: (
        "pullback in {an uptrend}",
        "{dip} after a strong leg {up}",
        "orderly retracement of the {rally}",
        "{bullish} pullback",
        "price retraces a part of the {rally}",
        "the {rally} pauses and gives back a part",
        "{higher low} may form after the leg {up}",
        "{buy the dip} setup",
        "retracement within the move {up}",
    ),
    Setup.SUPPORT_RETEST: (
        "{support} {retest}",
        "{support} tested and held",
        "{support} holds when price comes back to it",
        "price comes back {down} to {support} and {bounces}",
        "{bounce from} {support}",
        "{buyers} defend {support}",
        "test of the {floor} that holds",
        "price tests a {floor} that stood before",
        "{bullish} reaction at {support}",
    ),
    Setup.FAKEOUT: (
        "fakeout {below} the range",
        "failed {breakdown} at the {bottom} of a range",
        "false break {below} {support}",
        "failed break {down}",
        "price left the range to the {downside} and came back inside",
        "{bullish} fakeout",
        "{breakdown} rejected, back inside the box",
        "the break {below} the box did not hold",
        "false {breakdown} of the range",
    ),
    Setup.TRAP: (
        "{bear} trap",
        "{bullish} trap after a failed {breakdown}",
        "{sellers} trapped {below} the range",
        "{shorts} are trapped after the failed {breakdown}",
        "trap at the {bottom} of the range",
        "late {sellers} caught on the wrong side",
        "stop run {below} {support} and a turn back",
        "liquidity grab {below} the range {lows}",
        "the break {down} was a trap",
    ),
    Setup.EXHAUSTION: (
        "exhaustion after a long run {down}",
        "exhaustion of the {decline}",
        "{selling} climax",
        "the {decline} looks exhausted",
        "climax at the {lows}",
        "overextended {decline} with a first rejection of the {low}",
        "{capitulation low}",
        "{sellers} run out of force at the {bottom}",
        "extended run {down} ends in a climax",
    ),
    Setup.REVERSAL: (
        "reversal {up} after a {decline}",
        "{bullish} reversal",
        "trend reversal from the {lows}",
        "price turns {up} and takes back half of the {decline}",
        "turn {up} from the {bottom}",
        "the {decline} has been reversed",
        "reversal at the {bottom}",
        "the {decline} turned around and price {climbs}",
        "{buyers} take over after the {decline}",
    ),
    Setup.RANGE: (
        "range",
        "sideways range",
        "price is stuck in a box",
        "consolidation between support and resistance",
        "trading range with both edges tested",
        "sideways inside a box",
        "no break yet, price stays inside the range",
        "balance between two edges",
        "price swings between the edges of a range",
    ),
    Setup.NONE: (
        "no setup",
        "nothing to trade here",
        "no clear pattern",
        "no setup on this chart",
        "unclear chart without a setup",
        "no pattern to act on",
        "price between levels with no setup",
        "stand aside, no pattern",
        "noise without a setup",
    ),
}
"""Names of each setup; `resistance-rejection` is the mirror of `support-retest`."""

PHASE_PHRASES: Mapping[Phase, tuple[str, ...]] = {
    Phase.MARKUP: (
        "{markup} phase",
        "market in {markup}",
        "{uptrend} on the chart",
        "{rising} market",
        "the chart trends {up}",
        "price {advances} through the chart",
        "market in {an uptrend}",
        "trend is {up}",
    ),
    Phase.ACCUMULATION: (
        "{accumulation} phase",
        "market in {accumulation}",
        "{basing} after a {decline}",
        "sideways after a {fall}",
        "price builds {a base} near the {lows}",
        "sideways after a {markdown}",
        "{accumulation} near the {lows}",
        "the {decline} has stopped and price goes sideways",
    ),
    Phase.RANGE: (
        "range phase",
        "sideways market",
        "no trend on the chart",
        "flat market",
        "trendless chart",
        "market without direction",
        "neutral phase",
        "price goes nowhere overall",
    ),
}
"""Names of each phase; `markdown` and `distribution` are mirrors of the others."""

SEARCH_WORDS = """
a about after again all an and any are as at away back bad balanced band bands bar bars base
be bear bears before between big bottomed bounce bounced bouncing bounds box boxes break breaking
breaks broke broken bull bulls but buy buying by came candle candles channel chart charts chop
choppy climactic close closed closes closing coil coiling compression congestion consolidating
consolidation continues continuing correction crash crypto deep dip dips double down downward
dropped dropping dump dumped early edge edges end ended entry exhausted exit extended extreme
fades failed failing failure fake false fast few fell find first flag flush following for form
formed forming from gap gave give given good got grind had has have head heavy held hit hold
holding holds in inside into is it its just large last late leg legs level levels like liquidity
little long longs look looking looks lost low lower lows made make makes many market markets may
mean momentum more most move moved moves moving near neckline never new no not of off old on one
only open or out over pair parabolic part pattern patterns peak pinned plus pop price prices
profit pullbacks pump pumped push pushed quiet ran range ranges ranging reaction reclaim reclaimed
recovered recovering recovery reject rejected rejecting rejection resistance rest retest retested
retesting retrace retraced retracement retraces reversal reversals reverse reversed reversing
ripped risk rolled rolling rose round run runs same sell selling setup setups shake shakeout sharp
short shorts show showing shows side sideways similar since slow small soft spike spiked squeeze
squeezed stall stalled steep stop stops strength strong support supports swept sweep swing swings
tall target test tested testing tests that the then there thin this through tight time times to
took top topped touch touched touches touching trade trades trading trap trapped traps trend
trending trends triangle triple turn turned turning under up upthrust upward v very violent
volatile volatility volume was weak weakness wedge wick wicks wide with within without wyckoff
spring zone shape shaped u w m cup handle double ascending descending horizontal diagonal line
lines reclaims loses losing lose climb climbing drop drops grinding slowly strongly sharply quickly
"""
"""Words of usual text searches, beside those that descriptions use."""

_FIELD = re.compile(r"\{([^{}]+)\}")


def fill_sides(phrase: str, *, mirrored: bool) -> str:
    """Fill in the words of the long side, or of its mirror.

    >>> fill_sides("failed {breakdown} at the {bottom} of a range", mirrored=True)
    'failed breakout at the top of a range'
    """
    return _FIELD.sub(lambda m: SIDES[m[1]][mirrored], phrase)
