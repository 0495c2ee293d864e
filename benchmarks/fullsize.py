"""A sweep of every method with a full-size ViT-B/16, on small trees in DomainNet's and ImageNet's own layouts.

    python -m benchmarks.fullsize                 both layouts
    python -m benchmarks.fullsize domainnet

Weights are random and images are noise of 256 pixels, so accuracies mean nothing. The sweep shows that everything runs
at 224 pixels, and how much memory it takes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from benchmarks.material import random_weights
from fpray.config.methods import listed
from tests.data.trees import TREES  # the trees that the tests make

FEW: dict[str, dict[str, Any]] = {
    "domainnet": {"classes": ["aircraft_carrier", "airplane"], "ood": ["sketch"], "id_val": 0.5, "ood_val": 0.5},
    "imagenet": {"wnids": ["n01484850", "n03196217"]},  # in all five shifts
}
"""Options with which a sweep on two CPU cores takes minutes."""
STEPS = {"tpgm": {"steps": 3, "batch_size": 8}}
"""What a method does after training, that it takes no longer than the others."""


class PeakMemory(threading.Thread):
    """The peak memory of a process's descendants in GiB: of the largest one, and of all together."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self.one, self.all = psutil.Process(pid), 0.0, 0.0

    def run(self) -> None:
        while self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE:
            held = []
            for process in self._root.children(recursive=True):
                try:
                    held.append(process.memory_full_info().uss / 2**30)
                except psutil.Error:
                    continue  # the process has ended
            self.one, self.all = max([self.one, *held]), max(self.all, sum(held))
            time.sleep(1)


def thin(root: Path) -> None:
    """Keep every fourth image of DomainNet's lists."""
    for file in root.glob("*_*.txt"):
        file.write_text("\n".join(file.read_text().splitlines()[::4]))


def enlarge(root: Path) -> None:
    """Bring every image below a folder to 256 pixels."""
    for path in root.rglob("*"):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC).save(path)


def run(layout: str, model: str, scratch: Path) -> dict[str, Any]:
    """Run a sweep of every method on a layout.

    Returns:
        Its exit code, number of finished trials, time and memory.
    """
    data = TREES[layout](scratch / layout) | FEW[layout] | {"templates": ["a photo of a {}.", "a {}."]}
    thin(scratch / layout)
    enlarge(scratch / layout)
    sweep = {
        "name": layout,
        "data": data | {"rehearsal": {"source": str(scratch / layout)}},
        "model": {"name": model},
        # Two seeds, which Model Stock takes.
        "train": {"epochs": 1, "batch_size": 2, "alphas": 3, "seeds": [0, 1]},
        "methods": {name: {"trials": 1} | STEPS.get(name, {}) for name in listed("all", seeds=2, replaying=True)},
        "storage": str(scratch / "results"),
        "tracking": None,
    }
    file = scratch / f"{layout}.yaml"
    file.write_text(json.dumps(sweep))  # JSON is YAML
    started = time.monotonic()
    command = subprocess.Popen([sys.executable, "-m", "fpray.sweep", str(file)])
    peak = PeakMemory(command.pid)
    peak.start()
    code = command.wait()
    peak.join()
    paths = (scratch / "results" / layout / "trials").glob("*/record.json")
    records = [json.loads(path.read_text()) for path in paths]
    return {
        "layout": layout,
        "exit code": code,
        "finished": sum(record["status"] == "finished" for record in records),
        "steps of a trial": max(epoch["step"] for record in records for epoch in record["history"]),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "peak GiB of the largest process": round(peak.one, 2),
        "peak GiB of all": round(peak.all, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layouts", nargs="*", choices=list(FEW), default=list(FEW))
    layouts = parser.parse_args().layouts
    with tempfile.TemporaryDirectory(prefix="fpray-fullsize-") as folder:
        model = random_weights("ViT-B-16", Path(folder) / "model")
        for layout in layouts:
            print(json.dumps(run(layout, model, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
