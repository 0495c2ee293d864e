"""fpray finds, for your data and your GPUs, the CLIP fine-tuning method with the best ID/OOD trade-off.

From Python: `fpray.run("my.yaml")` runs a sweep, `fpray.load("fpray-results/my")` opens one that is there. Both give a
`Results`. `fpray.load_model("DIR")` opens a model that `fpray export` wrote. Importing fpray itself is cheap.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.export import load_model
    from fpray.results import Results, load, run

__version__ = "0.1.0"
__getattr__ = attach(__name__, {"Results": "results", "load": "results", "load_model": "export", "run": "results"})
__all__ = ["Results", "__version__", "load", "load_model", "run"]
