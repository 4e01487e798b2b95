"""The command ``ml4t-backtest``; needs the extra ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

try:
    import rich  # noqa: F401
    import typer  # noqa: F401
except ImportError as missing:
    _MISSING: str | None = missing.name
else:
    _MISSING = None
    from ml4t.backtest.cli.app import run_app

__all__ = ["main"]

_EXIT_MISSING = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command and its arguments; None: those of the process.

    Returns
    -------
    int
        The exit code: 0, or 2 for what cannot be used, or what the command says.
    """
    if _MISSING is not None:
        sys.stderr.write(
            f"ml4t-backtest needs {_MISSING}, which is not installed; run: "
            'pip install "ml4t-backtest[cli]"\n'
        )
        return _EXIT_MISSING
    return run_app(sys.argv[1:] if arguments is None else list(arguments))
