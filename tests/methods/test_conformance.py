"""Every method holds what a method must: a new module in `fpray/methods/` is tested here by itself."""

from __future__ import annotations

from fpray.methods import METHODS
from fpray.testing import MethodConformance

for _method in METHODS.values():
    _name = f"Test{_method.__name__}"
    globals()[_name] = type(_name, (MethodConformance,), {"method": _method})
