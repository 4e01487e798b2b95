"""A page: templates, styles, scripts and data put together in one file."""

from __future__ import annotations

import importlib.resources
import os
import secrets
from pathlib import Path
from typing import Any

from ml4t.backtest.errors import ResultError, shown
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import Markup, jinja2, plotly
from ml4t.backtest.report.pack import Packer, zipped

_TEMPLATES = "templates"
#: In the order in which they build on each other.
_SCRIPTS = ("unpack.js", "charts.js", "grid.js", "explorer.js", "boot.js")
_STYLES = ("page.css",)


def render(template: str, context: dict[str, Any], content: dict[str, Any], packer: Packer) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    template : str
        Its name in ``templates``.
    context : dict
        What the template shows. All of it is escaped.
    content : dict
        What the scripts of the page draw from, with references to arrays of `packer`.
    packer : Packer
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The only text that is not escaped: our own files, and base64.
    parts = {
        "styles": _joined(_STYLES),
        "scripts": _joined(_SCRIPTS),
        "payload": packer.compressed({"on_dark": style.ON_DARK, **content}),
        "plotly": zipped(_plotly_script()),
    }
    own = {name: Markup(text) for name, text in parts.items()}
    page: str = environment.get_template(template).render(**context, **own)
    return page


def checked_target(path: str | os.PathLike[str]) -> Path:
    """Return where a file can be written; raises before any work is done if it cannot.

    Raises
    ------
    ValueError
        If the path is none, a folder, or in a folder that does not exist.
    """
    try:
        target = Path(os.path.realpath(os.fspath(path)))
        is_folder, has_folder = target.is_dir(), target.parent.is_dir()
    except (TypeError, ValueError):  # a ValueError is one about a zero byte
        raise ResultError(f"path={shown(path)} is not a path; pass a string or a Path") from None
    except OSError as error:
        raise ResultError(
            f"{shown(str(path))}: the file cannot be reached ({error.strerror}); pass another path"
        ) from None
    if is_folder:
        raise ResultError(f"{target}: this is a folder; pass the path of a file in it")
    if not has_folder:
        raise ResultError(
            f"{target}: the folder {target.parent} does not exist; make it or pass another path"
        )
    return target


def write_whole(target: Path, text: str) -> None:
    """Write a file that is there whole or not at all; an old one stays until the new one is."""
    writing = target.with_name(f".{target.name}.writing-{secrets.token_hex(4)}")
    try:
        try:
            writing.write_text(text, encoding="utf-8")
            writing.replace(target)
        except BaseException:
            writing.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ResultError(
            f"{target}: the file cannot be written ({error.strerror}); pass another path"
        ) from None


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(_read(name) for name in names)


def _read(name: str) -> str:
    folder = importlib.resources.files("ml4t.backtest.report").joinpath(_TEMPLATES)
    return folder.joinpath(name).read_text(encoding="utf-8")


def _plotly_script() -> bytes:
    """Return plotly.js as the Python package brings it along."""
    return importlib.resources.files(plotly).joinpath("package_data", "plotly.min.js").read_bytes()
