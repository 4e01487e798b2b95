"""How far a run has come, on the standard error stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TypeVar, cast

from ml4t.backtest.errors import MissingExtraError

T = TypeVar("T")


def tracked(
    items: Iterable[T], total: int, description: str, progress: bool
) -> AbstractContextManager[Iterable[T]]:
    """Return items to go through; with `progress`, show how many are done.

    Parameters
    ----------
    items : iterable
    total : int
        How many there are.
    description : str
        What stands before the bar.
    progress : bool
        False: the items, and nothing else.

    Returns
    -------
    context manager of iterable

    Raises
    ------
    ImportError
        If `progress` is True without rich.
    """
    if not progress:
        return nullcontext(items)
    try:  # an extra, and slow to import
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import track  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            'progress=True needs rich; run: pip install "ml4t-backtest[cli]"'
        ) from None
    shown = track(items, description=description, total=total, console=Console(stderr=True))
    # Closed, or an exception would leave the bar on the screen and rich would refuse the next.
    return closing(cast(Generator[T], shown))
