"""Measures: pure numpy on columns, no files, no clocks, no network; each defined once."""
