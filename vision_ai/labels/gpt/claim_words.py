"""How setups, directions and phases are named in English, Polish and German."""

from collections.abc import Mapping

from vision_ai.labels.gpt import claim_english, claim_german, claim_polish, claim_rows
from vision_ai.labels.gpt.claim_rows import Row
from vision_ai.labels.gpt.replies import Language

TABLES: Mapping[Language, tuple[Row, ...]] = {
    Language.EN: (*claim_english.rows(), *claim_rows.canonical()),
    Language.PL: (*claim_polish.rows(), *claim_rows.canonical()),
    Language.DE: (*claim_german.rows(), *claim_rows.canonical()),
}
"""Rows of each language, then the facts' own words."""
