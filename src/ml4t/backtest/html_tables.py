"""Small HTML tables, for what a notebook shows of an object."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CAPTION = "caption-side: top; text-align: left; padding: 4px 0; font-weight: 600"
# What is beside the point stays legible on a light and on a dark page.
_FAINT = "opacity: 0.7"


def html_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    numbers: frozenset[str] = frozenset(),
    faint: frozenset[int] = frozenset(),
) -> str:
    """Return a table as HTML; every text in it is escaped.

    Parameters
    ----------
    heads : sequence of str
        Of the columns; where all are empty, the table has no head.
    rows : iterable of sequence of str
    caption : str
    numbers : frozenset of str
        Heads of the columns that stand to the right.
    faint : frozenset of int
        Rows that are beside the point.

    Examples
    --------
    >>> print(html_table(("a",), [("<1>",)], "one"))  # doctest: +ELLIPSIS
    <table ...<caption ...>one</caption>...&lt;1&gt;...</table>
    """
    aligned = ["right" if head in numbers else "left" for head in heads]

    def line(cells: Sequence[str], tag: str, style: str = "") -> str:
        made = "".join(
            f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
            for cell, side in zip(cells, aligned, strict=True)
        )
        return f'<tr style="{style}">{made}</tr>' if style else f"<tr>{made}</tr>"

    head = f"<thead>{line(heads, 'th')}</thead>" if any(heads) else ""
    body = "".join(line(row, "td", _FAINT if k in faint else "") for k, row in enumerate(rows))
    return (
        f'<table style="{_TABLE}"><caption style="{_CAPTION}">{html.escape(caption)}</caption>'
        f"{head}<tbody>{body}</tbody></table>"
    )


def html_facts(facts: Iterable[tuple[str, str]], caption: str) -> str:
    """Return names and values as a table of two columns."""
    return html_table(("", ""), facts, caption)
