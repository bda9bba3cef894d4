#!/usr/bin/env python3
"""Ask for the setup of one symbol: `scripts/query_setup.py BTCUSDT`."""

import sys

from vision_ai.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["predict", *sys.argv[1:]]))
