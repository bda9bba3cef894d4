#!/usr/bin/env python3
"""Draw and read the charts of the N markets of most turnover: the line for a cron job.

*/15 * * * * cd /path/to/vision_ai && .venv/bin/python scripts/snapshot_charts.py --top 20
"""

import sys

from vision_ai.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["scan", *(sys.argv[1:] or ["--top", "20"])]))
