#!/usr/bin/env python3
"""Train CLIP on labelled charts: `scripts/train_clip.py --klines FOLDER`."""

import sys

from vision_ai.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["train", *sys.argv[1:]]))
