#!/usr/bin/env python3
"""Review what followed the predictions so far: `scripts/review_feedback.py [--symbol BTCUSDT]`."""

import sys

from vision_ai.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["feedback", "review", *sys.argv[1:]]))
