"""Words by GPT for labels that the rule book made: it is told the facts and puts them into words.

GPT's own reading of the picture is kept as a second opinion and never becomes a label. Every
request is one line of a ledger, with what came back, what it cost and what went wrong.
"""
