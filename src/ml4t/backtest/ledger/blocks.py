"""Memory for tables, kept for the next table when nothing looks at it any more.

A run writes some 200 bytes an order. Memory that is new to the process costs a page fault for each
few thousand of them, and more in a virtual machine, which is as much as all the rest of a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t.backtest.records import Records, RecordType

# Smaller blocks are left to the allocator, which keeps them itself.
_SMALLEST_KEPT = 2**20
# Bytes that are kept in all; what was kept first goes first.
_MOST_KEPT = 2**30

_kept: list[Any] = []


class _Lease:
    """Owns a block as long as an array or a view of one needs it; then the block is kept."""

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        if _kept is None:  # interpreter shutdown takes globals away
            return
        _kept.append(self._memory)
        while sum(memory.nbytes for memory in _kept) > _MOST_KEPT:
            _kept.pop(0)


def new_block(n_rows: int, dtype: RecordType) -> Records:
    """Return records to be written; what they hold is arbitrary.

    Parameters
    ----------
    n_rows : int
    dtype : numpy.dtype

    Returns
    -------
    (n_rows,) array
    """
    n_bytes = n_rows * dtype.itemsize
    if n_bytes < _SMALLEST_KEPT:
        return np.empty(n_rows, dtype)
    fitting = [k for k, memory in enumerate(_kept) if n_bytes <= memory.nbytes <= 2 * n_bytes]
    if fitting:
        memory = _kept.pop(min(fitting, key=lambda k: _kept[k].nbytes))
    else:
        memory = np.empty(n_bytes, np.uint8)
    leased: Records = np.asarray(_Lease(memory))[:n_bytes].view(dtype)
    return leased
