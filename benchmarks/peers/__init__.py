"""Other engines. Each module needs its package, of the extra ``peers`` or ``zipline``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from benchmarks.contender import Contender

#: The packages that must be there for a module to be imported, and the module.
MODULES = {
    "vectorbt": "vectorbt_",
    "bt": "bt_",
    "backtrader": "backtrader_",
    "zipline-reloaded": "zipline_",
}


def installed(package: str) -> bool:
    """Return whether a distribution is there."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def load() -> tuple[list[Contender], list[str]]:
    """Return the peers that can be run, and the packages of those that cannot."""
    found: list[Contender] = []
    missing = [package for package in MODULES if not installed(package)]
    for package, module in MODULES.items():
        if package not in missing:
            found += import_module(f"{__name__}.{module}").CONTENDERS
    # A peer can need more than the package of its module: vectorbt's rust engine does.
    missing += sorted({peer.package for peer in found if not installed(peer.package)})
    return [peer for peer in found if peer.package not in missing], missing
