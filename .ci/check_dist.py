"""Install the wheel and the sdist as a user would, and use them away from the repository.

For each of the two: a clean environment, the example of the README that needs no extra, `py.typed`,
the command, a second distribution that has a package of its own in the namespace ``ml4t``, and with
its extras the example that ends with a report.

Run: ``make dist``, then ``python .ci/check_dist.py [folder with the two]``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = re.compile(r"(^|/)(site|dist|\.venv|\.git|__pycache__|\.[a-z]+_cache)/")
USE = """
import importlib.metadata, importlib.resources, importlib.util, pathlib, sys
import ml4t, ml4t.backtest
here = pathlib.Path(ml4t.backtest.__file__).resolve()
assert here.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"imported from {here}"
assert getattr(ml4t, "__file__", None) is None, "ml4t has an __init__.py: not a namespace package"
assert importlib.resources.files("ml4t.backtest").joinpath("py.typed").is_file(), "no py.typed"
assert importlib.metadata.version("ml4t-backtest") == ml4t.backtest.__version__
import ml4t.neighbour
assert ml4t.neighbour.NAME == "neighbour"
assert importlib.util.find_spec("tests") is None, "the tests were installed"
"""


def example(needs: str, without: str) -> str:
    """Return the first Python block of the README that has one word and not the other."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if needs in block and without not in block:
            return str(block)
    raise SystemExit(f"README.md has no ```python block with {needs!r} and without {without!r}")


def neighbour(folder: Path) -> Path:
    """Write the wheel of another distribution with a package in ``ml4t``."""
    path = folder / "ml4t_neighbour-1.0-py3-none-any.whl"
    info = "ml4t_neighbour-1.0.dist-info"
    members = {
        "ml4t/neighbour.py": "NAME = 'neighbour'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ml4t-neighbour\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


def check_members(path: Path) -> None:
    """Raise for what must not be shipped, and for what must be and is not."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        wanted = ["ml4t/backtest/py.typed", "licenses/LICENSE", "report/templates/page.html"]
    else:
        with tarfile.open(path) as archive:
            names = archive.getnames()
        wanted = [
            "src/ml4t/backtest/py.typed",
            "report/templates/page.html",
            "LICENSE",
            "README.md",
            "CHANGELOG.md",
        ]
    bad = [name for name in names if FORBIDDEN.search(name)]
    absent = [name for name in wanted if not any(found.endswith(name) for found in names)]
    if bad or absent:
        raise SystemExit(f"{path.name}: holds {bad[:5]}, lacks {absent}; see [tool.hatch.build]")


def check(path: Path) -> None:
    """Install one distribution in an environment of its own and use it."""
    check_members(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        # Nothing of the caller's may leak in: no PYTHONPATH, and another working folder.
        settings = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

        def run(*command: str | Path, quiet: bool = False) -> None:
            out = subprocess.DEVNULL if quiet else None
            done = subprocess.run(
                [*map(str, command)], cwd=folder, env=settings, stdout=out, check=False
            )
            if done.returncode:
                raise SystemExit(f"{path.name}: {command[0]} failed with {done.returncode}")

        python = scripts / "python"
        pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
        run(*pip, path.resolve(), neighbour(folder))
        (folder / "use.py").write_text(USE, encoding="utf-8")
        (folder / "example.py").write_text(example("plan_rebalance", "skfolio"), encoding="utf-8")
        for script in ("use.py", "example.py"):
            run(python, "-W", "error", script)
        command = scripts / "ml4t-backtest"
        told = subprocess.run([command], cwd=folder, env=settings, capture_output=True, check=False)
        if told.returncode != 2 or b"ml4t-backtest[cli]" not in told.stderr:
            raise SystemExit(f"{path.name}: without its extra the command says {told.stderr!r}")
        run(*pip, f"{path.resolve()}[cli,report]")
        run(command, "--help", quiet=True)
        (folder / "example.py").write_text(example(".report(", "skfolio"), encoding="utf-8")
        run(python, "-W", "error", "example.py", quiet=True)
        if not (folder / "report.html").is_file():
            raise SystemExit(f"{path.name}: the example of the README wrote no report")
    print(f"{path.name}: installed, imported, README examples run")


def main(folder: str = str(ROOT / "dist")) -> None:
    """Check the one wheel and the one sdist of a folder."""
    for pattern in ("*.whl", "*.tar.gz"):
        found = sorted(Path(folder).glob(pattern))
        if len(found) != 1:
            raise SystemExit(f"{folder}: {len(found)} files {pattern}, not one; run `make dist`")
        check(found[0])


if __name__ == "__main__":
    main(*sys.argv[1:2])
