"""The report's page: what a sweep found, to decide by.

`content_of` computes every number from the records, `as_html` puts them into one file that needs no network. The
numbers are written as JSON and CSV, too. Pictures are drawn in the reader's browser by D3, which is in this folder with
its licence.
"""

from fpray.report.page.content import Content, content_of
from fpray.report.page.html import as_html
from fpray.report.page.several import together
from fpray.report.page.tables import trials_csv

__all__ = ["Content", "as_html", "content_of", "together", "trials_csv"]
