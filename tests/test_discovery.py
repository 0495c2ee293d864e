"""Discovery finds methods and layouts in fpray, in installed packages, and in modules that are added."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fpray.data import DATASETS, Dataset
from fpray.discovery import Registry
from fpray.errors import UserError
from fpray.methods import METHODS, Method, _order
from fpray.testing import registered, scripted

METHOD = """
from fpray.methods import TrainedMethod, TrainedParams

class Mine(TrainedMethod[TrainedParams]):
    name = "{name}"
    Params = TrainedParams

class Unnamed(Mine):
    pass
"""
LAYOUT = """
from fpray.data.layouts.domains import Domains

class Photos(Domains):
    name = "photos"
"""


TRAINED = [
    "car_ft",
    "carot",
    "ema",
    "flyp",
    "ftp",
    "full",
    "kd",
    "l1",
    "l2",
    "linear_probe",
    "lipsum_ft",
    "lora",
    "oft",
    "rehearsal",
    "spd",
    "wma",
]
DERIVED = ["block_wise_ft", "greedy_soup", "lines", "model_stock", "tpgm", "uniform_soup", "wise_ft"]
OWN = ["zero_shot", "given", *TRAINED, *DERIVED, "lp_ft"]


def methods() -> Registry[Method[Any]]:
    """The methods, looked for anew."""
    return Registry(Method, "fpray.methods", "fpray.methods", _order)  # type: ignore[type-abstract]


def install(site: Path, module: str, code: str, group: str, entry: str) -> None:
    """Put a package of one module into a folder, as pip does."""
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nany_word = {entry}\n")
    invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where packages are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def module_of(site: Path, name: str, code: str) -> ModuleType:
    (site / f"{name}.py").write_text(code)
    invalidate_caches()
    return import_module(name)


def test_fprays_own_are_found_in_the_order_of_tables() -> None:
    assert list(methods()) == OWN
    assert list(DATASETS) == ["domainnet", "domains", "drawnet", "imagenet", "webdataset"]


@pytest.mark.parametrize("entry", ["disc_whole", "disc_one:Mine"])
def test_an_installed_packages_method_is_found_in_its_place(entry: str, site: Path) -> None:
    module = entry.partition(":")[0]
    install(site, module, METHOD.format(name="mine"), "fpray.methods", entry)
    found = methods()
    place = OWN.index("oft")  # by its name, among those that train
    assert list(found) == [*OWN[:place], "mine", *OWN[place:]]
    assert found["mine"].__module__ == module


def test_a_layout_that_extends_another_is_found(site: Path) -> None:
    install(site, "disc_photos", LAYOUT, "fpray.layouts", "disc_photos")
    found = Registry(Dataset, "fpray.data.layouts", "fpray.layouts")  # type: ignore[type-abstract]
    assert list(found) == [*sorted([*DATASETS, "photos"])]
    assert issubclass(found["photos"], found["domains"])


def test_a_module_is_added_and_may_be_added_twice(site: Path) -> None:
    found, module = methods(), module_of(site, "disc_added", METHOD.format(name="added"))
    assert "added" not in found
    found.add(module)
    found.add(module)
    place = OWN.index("car_ft")
    assert list(found) == [*OWN[:place], "added", *OWN[place:]]


def test_a_module_without_any_is_refused(site: Path) -> None:
    module = module_of(site, "disc_none", METHOD.format(name="x").replace('name = "x"', "pass"))
    with pytest.raises(UserError, match=r"there is no Method with a name in .*disc_none.py; give its class one"):
        methods().add(module)


def test_a_name_that_is_taken_is_refused_with_both_places(site: Path) -> None:
    found = methods()
    with pytest.raises(UserError) as caught:
        found.add(module_of(site, "disc_taken", METHOD.format(name="l2")))
    said = str(caught.value)
    assert said.startswith("'l2' is there twice among the methods: in ")
    assert said.endswith("; give one of them another name")
    assert str(site / "disc_taken.py") in said and str(Path("fpray", "methods", "l2.py")) in said
    assert found["l2"].__module__ == "fpray.methods.l2"


@pytest.mark.parametrize("name", ["my-method", "Mine", "", "a b", "2nd"])
def test_a_name_that_trial_ids_and_sweep_files_cant_have_is_refused(name: str, site: Path) -> None:
    module = module_of(site, f"disc_named_{abs(hash(name))}", METHOD.format(name=name))
    with pytest.raises(UserError, match=rf"the name '{name}' in .*disc_named.* can't be used"):
        methods().add(module)


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("disc_no_import", "import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("disc_raises", "raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("disc_nothing", "x = 1", "there is no Method with a name in it"),
    ],
)
def test_a_broken_package_is_one_sentence(module: str, code: str, said: str, site: Path) -> None:
    install(site, module, code, "fpray.methods", module)
    with pytest.raises(UserError) as caught:
        list(methods())
    assert str(caught.value).startswith(f"the installed package '{module.replace('_', '-')}' has '{module}' among its")
    assert said in str(caught.value) and str(caught.value).endswith("; mend or uninstall it")
    assert "\n" not in str(caught.value)


def check(site: Path, sweep: str) -> subprocess.CompletedProcess[str]:
    """`python -m fpray.check` where the packages in a folder are installed."""
    (site / "sweep.yaml").write_text(sweep)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['fpray.check', {str(site / 'sweep.yaml')!r}]; "
    code += "import runpy; runpy.run_module('fpray.check', run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


def test_a_sweep_file_may_name_an_installed_packages_method(tmp_path: Path) -> None:
    install(tmp_path, "disc_sweep", METHOD.format(name="mine"), "fpray.methods", "disc_sweep")
    sweep = "methods: {full: {}, mine: {}}\ndata: {train_images: 28}\n"
    done = check(tmp_path, sweep)
    assert (done.returncode, done.stderr) == (0, "")
    done = check(tmp_path, sweep.replace("mine", "mein"))
    assert done.returncode == 2
    assert "methods: unknown key 'mein'; did you mean 'mine'?" in done.stderr


def test_a_broken_package_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    install(tmp_path, "disc_broken", "import nowhere_to_be_found", "fpray.methods", "disc_broken")
    done = check(tmp_path, "methods: [full]\n")
    assert done.returncode == 2
    assert "No module named 'nowhere_to_be_found'; mend or uninstall it" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_importing_looks_for_nothing() -> None:
    code = "import sys, fpray.methods, fpray.data; assert fpray.methods.METHODS._kinds is None; "
    code += "assert fpray.data.DATASETS._kinds is None; assert 'fpray.methods.kd' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_a_test_registers_for_its_time_alone() -> None:
    kind = scripted()
    with registered(kind):
        assert METHODS["scripted"] is kind
    assert "scripted" not in METHODS
    with registered(METHODS["full"]):
        pass
    assert "full" in METHODS
