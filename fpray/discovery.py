"""Discovery: the methods and layouts that there are, each by its name.

A `Registry` finds the classes with a name in a package's modules and in installed packages, by their entry points;
a module of one's own is added. It looks for them when it is first asked, so that importing fpray stays fast, and so
that a package which is found may import fpray.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from fpray.errors import UserError

T = TypeVar("T")


def by_name(kind: Any) -> Any:
    """The order of a registry where no other is given."""
    return kind.name


class Registry(Mapping[str, type[T]], Generic[T]):
    """The subclasses of a base class that have a `name` of their own, by that name.

    Args:
        package: the package whose modules have fpray's own.
        group: the entry points of other packages; it is also what messages call these classes, after the dot.
        order: the key by which they are sorted, as tables show them.
    """

    def __init__(self, base: type[T], package: str, group: str, order: Callable[[type[T]], Any] = by_name) -> None:
        self.base, self.package, self.group, self.order = base, package, group, order
        self._kinds: dict[str, type[T]] | None = None

    def __getitem__(self, name: str) -> type[T]:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def add(self, module: ModuleType) -> None:
        """Add the classes of a module; those that are known already stay.

        Raises:
            UserError: if there is none, or if a name is taken by a class from elsewhere or can't be one.
        """
        if not self.found_in(module):
            place = getattr(module, "__file__", module.__name__)
            raise UserError(f"there is no {self.base.__name__} with a name in {place}; give its class one")
        self._kinds = self._with(self._known(), module)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Forget after the block what was added inside it; for tests."""
        before = self._known()
        try:
            yield
        finally:
            self._kinds = before

    def _known(self) -> dict[str, type[T]]:
        if self._kinds is None:
            kinds: dict[str, type[T]] = {}
            for module in pkgutil.iter_modules(import_module(self.package).__path__):
                kinds = self._with(kinds, import_module(f"{self.package}.{module.name}"))
            for entry in entry_points(group=self.group):
                kinds = self._with(kinds, self._loaded(entry))
            self._kinds = kinds
        return self._kinds

    def _loaded(self, entry: EntryPoint) -> Any:
        """The module or class that an entry point names."""
        package = f"the installed package '{entry.dist.name if entry.dist else entry.value}'"
        try:
            loaded = entry.load()
        except Exception as error:  # of any kind: it is somebody else's code
            raise UserError(
                f"{package} has '{entry.value}' among its {self.group}, which can't be imported: "
                f"{type(error).__name__}: {error}; mend or uninstall it"
            ) from error
        if not self.found_in(loaded):
            raise UserError(
                f"{package} has '{entry.value}' among its {self.group}, but there is no {self.base.__name__} with a "
                "name in it; mend or uninstall it"
            )
        return loaded

    def found_in(self, loaded: Any) -> list[type[T]]:
        """The named classes of a module, or the one class that there is."""
        inside = list(vars(loaded).values()) if isinstance(loaded, ModuleType) else [loaded]
        classes = [kind for kind in inside if inspect.isclass(kind) and issubclass(kind, self.base)]
        return list(dict.fromkeys(kind for kind in classes if "name" in vars(kind)))

    def _with(self, kinds: Mapping[str, type[T]], loaded: Any) -> dict[str, type[T]]:
        """The classes with those of a module or the class `loaded`, in order."""
        found = dict(kinds)
        for kind in self.found_in(loaded):
            name: str = vars(kind)["name"]
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise UserError(
                    f"the name '{name}' in {place_of(kind)} can't be used: write it in small letters, digits and _"
                )
            if found.setdefault(name, kind) is not kind:
                raise UserError(
                    f"'{name}' is there twice among the {self.group.rpartition('.')[2]}: in {place_of(found[name])} "
                    f"and in {place_of(kind)}; give one of them another name"
                )
        return dict(sorted(found.items(), key=lambda item: self.order(item[1])))


def place_of(kind: type[Any]) -> str:
    """The file that defines a class."""
    return str(getattr(sys.modules.get(kind.__module__), "__file__", kind.__module__))
