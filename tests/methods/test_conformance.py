"""Every method holds what a method must: a new module in `fpray/methods/` is tested here by itself.

One that asks for something is tested in a file of its own.
"""

from __future__ import annotations

from fpray.config.methods import asks
from fpray.methods import METHODS
from fpray.testing import MethodConformance

for _method in (own for own in METHODS.values() if not asks(own)):
    _name = f"Test{_method.__name__}"
    globals()[_name] = type(_name, (MethodConformance,), {"method": _method})
