"""The page as one file: content, style and D3 in it, nothing from the network."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from fpray.report.page.content import Content

PARTS = ("page.html", "page.css", "picture.js", "page.js", "d3.min.js")


def as_html(content: Content) -> str:
    """The page."""
    place = files("fpray") / "report" / "page"
    own = {name: (place / name).read_text(encoding="utf-8") for name in PARTS}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # A text in a script must not end it, whatever it says.
    data = content.model_dump_json().replace("<", "\\u003c")
    return environment.from_string(own["page.html"]).render(
        content=content,
        data=data,
        style=own["page.css"],
        script=own["picture.js"] + own["page.js"],
        d3=own["d3.min.js"],
    )
