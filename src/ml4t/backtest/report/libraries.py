"""The libraries of the extra ``report``, imported in one place that says how to get them."""

from __future__ import annotations

from ml4t.backtest.errors import MissingExtraError

try:
    import jinja2
    import plotly
    import plotly.graph_objects as go
    from markupsafe import Markup
    from plotly.subplots import make_subplots
except ImportError as missing:
    raise MissingExtraError(
        f"reports and figures need {missing.name}, which is not installed; "
        'run: pip install "ml4t-backtest[report]"'
    ) from None

__all__ = ["Markup", "go", "jinja2", "make_subplots", "plotly"]
