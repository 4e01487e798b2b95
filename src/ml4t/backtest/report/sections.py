"""What a page is made of, as the template reads it: sections of sentences, charts and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml4t.backtest.report.pack import Packer, figure_note


@dataclass(frozen=True)
class Tile:
    """One number of the verdict, and what is to be known of it."""

    label: str
    figure: str
    more: str


@dataclass(frozen=True)
class Chart:
    """A figure and the sentence that says what it shows; `name` is empty where there is none."""

    sentence: str
    name: str = ""
    height: int = 0
    title: str = ""
    note: str = ""
    scale: str = ""


@dataclass(frozen=True)
class StaticTable:
    """A table of written cells; the columns `numbers` stand to the right, `fold` hides it first."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    fold: str = ""


@dataclass(frozen=True)
class GridBox:
    """Where the page makes a table that sorts and filters; `id` is that of its data."""

    id: str
    title: str = ""
    placeholder: str = ""


@dataclass(frozen=True)
class Section:
    """One part of a page, from the top: what is empty is left out."""

    id: str
    title: str
    short: str
    lead: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    warnings: Sequence[str] = ()
    reason: str = ""
    charts: Sequence[Chart] = ()
    tables: Sequence[StaticTable] = ()
    explorer: bool = False
    grids: Sequence[GridBox] = ()
    facts: Sequence[tuple[str, str]] = ()
    text: str = ""


class Figures:
    """The figures of a page, packed under their names."""

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self.packed: dict[str, Any] = {}

    def chart(
        self, name: str, figure: Any, sentence: str, title: str = "", scale: str = ""
    ) -> Chart:
        """Pack a figure and return its place in the page; none for a figure without traces."""
        if not figure.data:
            return Chart(sentence, title=title)
        self.packed[name] = self._packer.figure(figure)
        return Chart(
            sentence=sentence,
            name=name,
            height=int(figure.layout.height),
            title=title,
            note=figure_note(figure),
            scale=scale,
        )
