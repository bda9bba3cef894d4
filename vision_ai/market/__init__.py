"""Candles: fetched from Bybit, cached on disk, imported from files, replayed and simulated.

wire.py         Bybit's v5 form of candles, read and written
instruments.py  Bybit's lists of markets, read
retry.py        when to ask an exchange again, and how fast
gather.py       one call for many symbols at once, errors kept apart
door.py         one request through pybit
bybit.py        the exchange, asked patiently
files.py        candles in Parquet and CSV files of any origin
spans.py        spans of time, joined and subtracted
store.py        the Parquet cache, which fetches only what is missing
listing.py      stored candles as an exchange would show them at a given time
v5.py           Bybit's v5 endpoints, answered from a listing
faults.py       what goes wrong on purpose
replay.py       a server that answers as Bybit does, from a listing
simulate.py     candles that never traded, clearly called simulated
"""
