"""What a sweep's command finds out before any trial: each failure to load a model is one sentence that says why."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
from safetensors.torch import load_file

from fpray.config.schema import Sweep
from fpray.data.base import Split
from fpray.errors import UserError
from fpray.model.clip import load_clip
from fpray.model.opening import causes, open_model
from fpray.sweep.preflight import check_objectives, preflight
from fpray.testing import TINY
from tests.evil import Evil
from tests.nobody import as_nobody

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
PICKLED = "open_clip_pytorch_model.bin"


@pytest.fixture
def folder(tiny_clip: str, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder."""
    return Path(shutil.copytree(tiny_clip.removeprefix("local-dir:"), tmp_path / "model"))


def change(folder: Path, key: str, value: Any) -> None:
    """Set a part of model_cfg, by its dotted name."""
    config = json.loads((folder / CONFIG).read_text())
    *parents, last = key.split(".")
    part = config["model_cfg"]
    for parent in parents:
        part = part[parent]
    part[last] = value
    (folder / CONFIG).write_text(json.dumps(config))


def pickled(folder: Path, content: object) -> None:
    """Put a file of `torch.save` in the place of the weights."""
    (folder / WEIGHTS).unlink()
    torch.save(content, folder / PICKLED)


def sentence(name: str, pretrained: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        open_model(name, pretrained)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("model.name: " if pretrained is None else "model.pretrained: ")
    assert f"'{pretrained or name}'" in said or "open_clip_config.json" in said
    assert "; " in said  # what is wrong; what to do
    return said


def test_a_model_that_loads_is_handed_back(tiny_clip: str) -> None:
    loaded = open_model(tiny_clip, None)
    theirs = load_clip(tiny_clip, None, torch.device("cpu")).clip.state_dict()
    assert loaded.name == tiny_clip
    assert loaded.image_size == (32, 32)
    assert all(torch.equal(value, theirs[key]) for key, value in loaded.clip.state_dict().items())


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "has no weights; add them as open_clip_model.safetensors"),
    "weights cut off": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:5000]), "damaged"),
    "empty weights": (lambda f: (f / WEIGHTS).write_bytes(b""), "damaged"),
    "pickle cut off": (lambda f: (pickled(f, {}), (f / PICKLED).write_bytes(b"PK\3\4 and no more")), "damaged"),
    "no state dict": (lambda f: pickled(f, [1, 2]), "AttributeError"),
    "other width": (
        lambda f: change(f, "vision_cfg.width", 48),
        "visual.class_embedding is [32] there and [48] in the model",
    ),
    "more layers": (
        lambda f: change(f, "vision_cfg.layers", 3),
        "visual.transformer.resblocks.2.ln_1.weight is missing there",
    ),
    "fewer layers": (
        lambda f: change(f, "vision_cfg.layers", 1),
        "is not in the model)",
    ),
    "config is no JSON": (lambda f: (f / CONFIG).write_text("{"), "is not JSON"),
    "config is a list": (lambda f: (f / CONFIG).write_text("[]"), "has no model_cfg.embed_dim"),
    "config lacks a tower": (lambda f: (f / CONFIG).write_text('{"model_cfg": {"embed_dim": 1}}'), "no model_cfg.vis"),
    "config has an unknown key": (lambda f: change(f, "vision_cfg.layerz", 1), "unexpected keyword argument 'layerz'"),
    "unknown timm model": (lambda f: change(f, "vision_cfg", {"timm_model_name": "vit_9"}), "Unknown model (vit_9)"),
    "more than all memory": (
        lambda f: change(f, "text_cfg.vocab_size", 10**13),  # 2**49 bytes: more than any process can address
        "needs more memory than this machine has free",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_said_in_one_sentence(damage: str, folder: Path) -> None:
    spoil, said = DAMAGES[damage]
    spoil(folder)
    assert said in sentence(f"local-dir:{folder}")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_not_run(zipped: bool, folder: Path, trap: Path) -> None:
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    content = {"state_dict": state, "epoch": Evil(trap)}
    torch.save(content, folder / PICKLED, _use_new_zipfile_serialization=zipped)
    assert "could run code and is not read; save its state_dict alone, as .safetensors" in sentence(
        f"local-dir:{folder}"
    )
    with pytest.raises(Exception, match="Weights only load failed"):
        load_clip(f"local-dir:{folder}", None, torch.device("cpu"))
    assert not trap.exists()
    torch.load(folder / PICKLED, weights_only=False)["epoch"].close()
    assert trap.exists()  # the trap works


@pytest.fixture
def tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny model as an architecture that open_clip knows by name."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny", TINY)
    return "ViT-tiny"


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "bin", "training.pt"])
def test_a_checkpoint_file_is_loaded(suffix: str, tiny_architecture: str, folder: Path, tmp_path: Path) -> None:
    state, path = load_file(folder / WEIGHTS), tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        shutil.copy(folder / WEIGHTS, path)
    elif suffix == "training.pt":  # as open_clip's own training leaves it
        inside = {f"module.{key}": value for key, value in state.items()}
        torch.save({"epoch": 3, "name": "run", "state_dict": inside, "optimizer": {"state": {}}}, path)
    else:
        torch.save(state, path)
    loaded = open_model(tiny_architecture, str(path)).clip.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*TorchScript archive:UserWarning")
def test_a_torchscript_archive_is_refused_with_what_to_do(tiny_architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "ViT-tiny.pt"  # the form of OpenAI's own files
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), str(path))
    said = sentence(tiny_architecture, str(path))
    assert "TorchScript archive" in said
    assert "write the tag 'openai' instead" in said


def test_a_checkpoint_of_another_architecture_is_refused(tiny_architecture: str, folder: Path, tmp_path: Path) -> None:
    state = load_file(folder / WEIGHTS) | {"visual.proj": torch.zeros(32, 8)}
    path = tmp_path / "other.pt"
    torch.save(state, path)
    said = sentence(tiny_architecture, str(path))
    assert "is no checkpoint of 'ViT-tiny' (visual.proj is [32, 8] there and [32, 16] in the model)" in said
    assert "model.name" in said


@pytest.mark.parametrize("content", [b"hello", b"<html>", b"", b"\xd8\x04\0\0\0\0\0\0"])
def test_a_file_that_is_no_checkpoint_is_said(content: bytes, tiny_architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    said = "is no file of weights; name one that torch.save wrote, or a .safetensors with that ending"
    assert said in sentence(tiny_architecture, str(path))


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_that_may_not_be_read_are_said(
    suffix: str, tiny_architecture: str, folder: Path, open_folder: Path
) -> None:
    shutil.copy(folder / CONFIG, open_folder)
    paths = [open_folder / WEIGHTS, open_folder / f"weights.{suffix}"]
    for path in paths:
        shutil.copy(folder / WEIGHTS, path)
        path.chmod(0)
    with as_nobody():
        for said in (sentence(f"local-dir:{open_folder}"), sentence(tiny_architecture, str(paths[1]))):
            assert "can't be read" in said
            assert "see that the file is there, and that you may read it" in said
    (open_folder / CONFIG).chmod(0)
    with as_nobody():
        assert "you may not read" in sentence(f"local-dir:{open_folder}")


SPLITS = [Split("id", "real", "train"), Split("id", "real", "val"), Split("id", "real", "test")] + [
    Split("ood", domain, part) for domain in ("sketch", "clipart") for part in ("val", "test")
]


@pytest.mark.parametrize("first", ["id/val/top1", "ood/sketch/val/top1"])
def test_objectives_of_the_data_pass(first: str) -> None:
    check_objectives(Sweep(name="any", search={"objectives": [first, "ood/val/top1"]}), SPLITS)


def test_an_objective_that_the_data_has_not_is_said_before_any_trial() -> None:
    for wrong, hint in {
        "ood/skecth/val/top1": "did you mean 'ood/sketch/val/top1'?",
        "id/real/val/top1": "did you mean 'id/val/top1'?",
    }.items():
        with pytest.raises(UserError) as caught:
            check_objectives(Sweep(name="any", search={"objectives": ["ood/val/top1", wrong]}), SPLITS)
        assert str(caught.value) == f"search.objectives: the data has no '{wrong}'; {hint}"
    with pytest.raises(UserError, match="no 'ood/val/top1'"):
        check_objectives(Sweep(name="any"), SPLITS[:3])


@pytest.fixture
def hub_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Moves the Hub to another address, with nothing of it in the cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def move(address: str) -> None:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", address)

    return move


@pytest.mark.parametrize(
    ("name", "pretrained"),
    [("ViT-B-32", "openai"), ("ViT-B-16-SigLIP", "webli"), ("hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", None)],
)
def test_without_a_network_it_is_said_at_once(name: str, pretrained: str | None, hub_at: Callable[[str], None]) -> None:
    hub_at("http://127.0.0.1:9")
    said = sentence(name, pretrained)
    assert "is not on this machine, and http://127.0.0.1:9 can't be reached; connect the machine" in said
    with pytest.raises(UserError) as caught:
        open_model(name, pretrained)
    # That is: from the cache alone, where huggingface_hub otherwise tries again for most of a minute.
    assert any(isinstance(error, OfflineModeIsEnabled) for error in causes(caught.value))
    assert constants.HF_HUB_OFFLINE is False
    assert logging.root.manager.disable == logging.NOTSET


class Nothing(BaseHTTPRequestHandler):
    """A Hub without any repository."""

    def do_HEAD(self) -> None:  # noqa: N802
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_repository_that_is_not_there_is_said(hub_at: Callable[[str], None]) -> None:
    server = HTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub_at(f"http://127.0.0.1:{server.server_port}")
    try:
        said = sentence("hf-hub:no/such")
    finally:
        server.shutdown()
        server.server_close()
    assert f"can't be downloaded from http://127.0.0.1:{server.server_port}" in said
    assert "check the name" in said


def test_every_model_and_every_method_is_held_against_each_other(tiny_clip: str, folder: Path) -> None:
    preflight(Sweep(name="any", model={"name": tiny_clip}), ["a"])
    change(folder, "vision_cfg.layers", 1)
    with pytest.raises(UserError, match=r"model.name: 'local-dir:.*can't be loaded"):
        preflight(Sweep(name="any", model={"name": [tiny_clip, f"local-dir:{folder}"]}), ["a"])
