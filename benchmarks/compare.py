"""Measure us, the floors and, if asked, the other engines that are installed, side by side.

Run: ``make bench`` (us and the floors), ``make peers`` (all, and the page and the plot of
the documentation are written), or ``python -m benchmarks.compare --help``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import peers, tables
from benchmarks.contender import Contender
from benchmarks.floors import FLOORS
from benchmarks.ours import OURS
from benchmarks.scenarios import SCENARIOS, Scenario, make_workload
from benchmarks.timing import LONG, TOLERANCE, Measured, measure

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, PLOT = DOCS / "speed.md", DOCS / "speed.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
#: Where the slow ones are run: elsewhere they take many minutes a run.
SLOW_ON = ("S1", "S2")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; with ``--write``, into the documentation."""
    options = parse(arguments)
    found, missing = peers.load() if options.peers else ([], [])
    if options.write and not peers.installed("matplotlib"):
        raise SystemExit('--write needs matplotlib; run: pip install -e ".[peers]"')
    contenders = [*FLOORS, *OURS, *found]
    if options.skip_slow:
        contenders = [one for one in contenders if not one.slow]
    measured = []
    for scenario in options.only:
        print(f"{scenario.name} ...", file=sys.stderr, flush=True)
        fit = [one for one in contenders if not one.slow or scenario.name in SLOW_ON]
        measured += measure(fit, make_workload(scenario), options.repetitions)
    text = report(measured, contenders, missing, options.repetitions)
    print(text)
    if options.write:
        write(text, measured)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}

    def chosen(text: str) -> list[Scenario]:
        unknown = [name for name in text.split(",") if name not in by_name]
        if unknown:
            raise argparse.ArgumentTypeError(f"no scenario {unknown[0]!r}; {', '.join(by_name)}")
        return [by_name[name] for name in text.split(",")]

    def positive(text: str) -> int:
        if not text.isdigit() or int(text) == 0:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs")
        return int(text)

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", type=chosen, default=list(SCENARIOS), help="such as S1,S3")
    parser.add_argument("--repetitions", type=positive, default=5, help="runs that are timed")
    parser.add_argument("--peers", action="store_true", help="with the other engines")
    parser.add_argument("--skip-slow", action="store_true", help="without bt and backtrader")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name} and {PLOT.name}")
    return parser.parse_args(arguments)


def report(
    measured: Sequence[Measured],
    contenders: Sequence[Contender],
    missing: Sequence[str],
    repetitions: int,
) -> str:
    """Return everything as markdown, what was left out included."""
    scenarios = list(dict.fromkeys(m.scenario for m in measured))
    notes = [
        f"{tables.machine()}. Timed runs: {repetitions}, after one that is not counted; what "
        f"takes more than {LONG:.0f} s is timed once. Times are medians.",
        f"Final equities that must agree are within {TOLERANCE:.0e} of each other.",
    ]
    notes += [
        f"Not run on {', '.join(s.name for s in scenarios if s.name not in SLOW_ON)}: {one.name}."
        for one in contenders
        if one.slow and any(s.name not in SLOW_ON for s in scenarios)
    ]
    notes += [
        f"Of another convention: {m.contender.name}, {m.difference:+.2e} of the final equity "
        f"in {m.scenario.name}."
        for m in measured
        if not m.contender.agrees and m.difference is not None
    ]
    if missing:
        notes.append(f"Not installed, so not in the table: {', '.join(missing)}.")
    blocks = [tables.workloads(scenarios), tables.times(measured)]
    blocks += [tables.ratios(measured, one) for one in OURS]
    return "\n\n".join([*blocks, "\n".join(f"- {note}" for note in notes)])


def write(text: str, measured: Sequence[Measured]) -> None:
    """Put the report between the marks of the page, and draw the plot."""
    page = PAGE.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE}: {BEGIN} and {END} must be there; what is between is replaced")
    import_module("benchmarks.plot").write_plot(measured, PLOT)
    picture = f"![Seconds against assets x bars]({PLOT.name})"
    parts = [head + BEGIN, text, picture, END + tail]
    PAGE.write_text("\n\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
