"""Candles: fetched from Bybit, cached on disk, imported from files, replayed and simulated.

wire.py         Bybit's v5 form of candles, read and written
instruments.py  Bybit's lists of markets, read
retry.py        when to ask an exchange again, and how fast
gather.py       one call for many symbols at once, errors kept apart
client.py       one request through pybit
bybit.py        the exchange, with retries, rate limits and paging
files.py        candles in Parquet and CSV files of any origin
spans.py        spans of time, joined and subtracted
store.py        the Parquet cache, which fetches only what is missing
replay/         a server that answers as Bybit does, from stored candles
simulate.py     candles that never traded, clearly called simulated
"""
