"""The classes: vector shapes in families whose members look alike."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator

from fpray.drawnet.shapes import animals, containers, fruits, furniture, plants, tools, vehicles
from fpray.drawnet.shapes.parts import Shape

SHAPES: dict[str, dict[str, Callable[[Generator], Shape]]] = {
    "vehicle": {"car": vehicles.car, "van": vehicles.van, "truck": vehicles.truck, "bus": vehicles.bus},
    "container": {
        "mug": containers.mug,
        "jar": containers.jar,
        "bottle": containers.bottle,
        "vase": containers.vase,
    },
    "plant": {"tree": plants.tree, "pine": plants.pine, "tulip": plants.tulip, "cactus": plants.cactus},
    "animal": {"cat": animals.cat, "dog": animals.dog, "rabbit": animals.rabbit, "bear": animals.bear},
    "fruit": {"apple": fruits.apple, "pear": fruits.pear, "lemon": fruits.lemon, "cherry": fruits.cherry},
    "furniture": {
        "chair": furniture.chair,
        "stool": furniture.stool,
        "table": furniture.table,
        "bed": furniture.bed,
    },
    "tool": {"hammer": tools.hammer, "axe": tools.axe, "shovel": tools.shovel, "spoon": tools.spoon},
}
"""Family name to class name to a function that draws one random example of the class."""

FAMILIES: dict[str, tuple[str, ...]] = {family: tuple(members) for family, members in SHAPES.items()}
CLASSES: tuple[str, ...] = tuple(name for members in FAMILIES.values() for name in members)


def shape_of(class_name: str, rng: Generator) -> Shape:
    """One random example of a class, upright in the unit square."""
    family = next(members for members in SHAPES.values() if class_name in members)
    return family[class_name](rng)
