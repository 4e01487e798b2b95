"""The command ``ml4t-backtest``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ml4t.backtest import demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="ml4t-backtest", description="What really happens when target weights are traded."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="trade a real optimizer's weights on real prices")
    parser.parse_args(arguments)
    return demo.main()
