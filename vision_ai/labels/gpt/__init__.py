"""Captions by GPT of charts that the rule book labelled: it is given the facts.

GPT's own reading of the picture is stored as a second opinion and never becomes a label. Every
request is one line of a ledger, with what came back, what it cost and what went wrong.
"""
