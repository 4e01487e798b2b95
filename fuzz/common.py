"""What the targets share: the seeds and the call of atheris."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

# The promises of a feed are written once, for the tests and for these.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def run(one_input: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Feed mutations of the seeds to a function until it raises or the time is over."""
    corpus = Path(tempfile.mkdtemp())
    for i, seed in enumerate(seeds):
        (corpus / f"seed{i}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()
