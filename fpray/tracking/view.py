"""How MLflow's page lists a sweep's trials when the printed address opens it: flat, with both accuracies in columns.

This is the shared view of MLflow's own pages, which they keep in a tag of the experiment, and find by the key that the
address names. Its form is the pages' own, read in MLflow 3.17; `tests/tracking/test_in_a_browser.py` looks at what a
browser makes of it.
"""

from __future__ import annotations

import json

from fpray.tracking import points
from fpray.tracking.names import Names

KEY = "fpray"
"""What the address names."""
VIEW_TAG = f"mlflow.sharedViewState.{KEY}"
"""The experiment's tag."""
_SHOWN = ("id/val/top1", "ood/val/top1", "id/test/top1", "ood/test/top1")


def view(names: Names) -> str:
    """The tag's value: trials alone, best OOD validation first; on the page of charts ID against OOD comes first."""
    val_id, val_ood, test_id, test_ood = (names.accuracy(key) for key in _SHOWN)
    columns = ["params.`method`", *(f"metrics.`{key}`" for key in (val_id, val_ood, test_id, test_ood))]
    chart = {
        "uuid": KEY,
        "type": "SCATTER",
        "xaxis": {"key": test_id, "type": "METRIC"},
        "yaxis": {"key": test_ood, "type": "METRIC"},
        "metricSectionId": KEY,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }
    state = {
        # MLflow nests trials under their parent, closed, unless runs are filtered or sorted by something of theirs.
        "searchFilter": f"tags.`{points.TRIAL_TAG}` LIKE '%'",
        "orderByKey": f"metrics.`{val_ood}`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [chart],
        "compareRunSections": [{"uuid": KEY, "name": "ID and OOD", "display": True, "isReordered": True}],
        "isAccordionReordered": True,
    }
    return json.dumps(state)
