"""Tables of records that grow in blocks, so that growing never copies what is there."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.ledger.blocks import new_block
from ml4t.backtest.records import Ints, Records, RecordType

_BLOCK_ROWS = 4096
_LARGEST_BLOCK_ROWS = 65536


class Table:
    """Append-only records in blocks.

    The kernel writes into the open block: `room(n)` gives one with at least `n` free rows, and
    `used`, a (1,) array that the kernel advances, says how many of its rows are taken.

    Parameters
    ----------
    dtype : numpy.dtype
        The record type.
    """

    def __init__(self, dtype: RecordType) -> None:
        self._dtype = dtype
        self._sealed: list[Records] = []
        self._n_sealed = 0
        self._block: Records = np.zeros(0, dtype)
        self.used: Ints = np.zeros(1, np.int64)

    def __len__(self) -> int:
        """Count the rows."""
        return self._n_sealed + int(self.used[0])

    def room(self, n: int) -> Records:
        """Return the open block, with at least `n` rows free after `used`."""
        used = int(self.used[0])
        if self._block.size - used < n:
            if used:
                self._sealed.append(self._block[:used])
                self._n_sealed += used
            size = min(max(_BLOCK_ROWS, 2 * self._block.size), _LARGEST_BLOCK_ROWS)
            self._block = new_block(max(size, n), self._dtype)
            self.used[0] = 0
        return self._block

    def append(self, records: Records) -> Records:
        """Add rows; returns them as they stand in the table."""
        block = self.room(records.size)
        used = int(self.used[0])
        added = block[used : used + records.size]
        # As bytes: numpy copies records field by field, some twenty times as slowly.
        added.view(np.uint8)[:] = np.ascontiguousarray(records).view(np.uint8)
        self.used[0] = used + records.size
        return added

    def records(self) -> Records:
        """Return all rows as one array, a copy unless they are in one block."""
        open_rows = self._block[: int(self.used[0])]
        if not self._sealed:
            return open_rows
        return np.concatenate([*self._sealed, open_rows])

    def tail(self, start: int) -> Records:
        """Return the rows from number `start` on."""
        if start >= self._n_sealed:
            return self._block[start - self._n_sealed : int(self.used[0])]
        return self.records()[start:]

    def row(self, number: int) -> np.void:
        """Return one row."""
        found: np.void
        for block in self._sealed:
            if number < block.size:
                found = block[number]
                return found
            number -= block.size
        found = self._block[number]
        return found

    def replace(self, records: Records) -> None:
        """Put other rows in the place of all that are there."""
        self._sealed = []
        self._n_sealed = 0
        self._block = records
        self.used[0] = records.size
