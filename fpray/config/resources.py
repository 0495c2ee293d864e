"""The `resources` section: what a trial needs of a cluster, and how its trials are run there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from fpray.section import Section


def auto_or_from(least: int) -> BeforeValidator:
    """A check that a value is `auto` or a whole number that is large enough."""

    def check(written: Any) -> Any:
        if written != "auto" and (not isinstance(written, int) or written < least):
            raise ValueError(f"must be 'auto' or a whole number, at least {least}, not {written!r}")
        return written

    return BeforeValidator(check, json_schema_input_type=Literal["auto"] | Annotated[int, Field(ge=least)])


AutoOrFrom0 = Annotated[Literal["auto"] | int, auto_or_from(0)]
AutoOrFrom1 = Annotated[Literal["auto"] | int, auto_or_from(1)]


class Needs(Section):
    """The needs of a trial: those of one of its workers, and the number of its workers.

    A method may have some of its own, `methods.<name>.resources`, which take the place of the sweep's.
    """

    cpus: float = Field(1, gt=0)
    """The CPUs of each worker."""
    gpus: float = Field(0, ge=0, le=1)
    """The GPU of each worker: 1, or less for a part of one that other trials share, or 0 to train on CPUs."""
    accelerator: str | None = None
    """The kind of GPU, by Ray's name for it (`A10G`, `H100`); null for any."""
    workers: int = Field(1, ge=1)
    """The processes that train a trial together, with one GPU each and the same batch between them."""
    loader_workers: AutoOrFrom0 = "auto"
    """Processes of each worker that load images; `auto`: with a GPU one less than its CPUs, else none."""

    @model_validator(mode="after")
    def _gpus_as_ray_gives_them(self) -> Needs:
        if self.workers > 1 and self.gpus not in (0, 1):
            raise ValueError(f"{self.workers} workers can't share a GPU; set gpus to 1, or workers to 1")
        return self

    @property
    def loaders(self) -> int:
        """The number of processes that load images for one worker; with 0 it loads them itself."""
        if self.loader_workers != "auto":
            return self.loader_workers
        return max(0, int(self.cpus) - 1) if self.gpus else 0

    def __str__(self) -> str:
        gpu = f" and {self.gpus:g} GPU(s)" + (f" of type {self.accelerator}" if self.accelerator else "")
        return f"{self.workers} worker(s) with {self.cpus:g} CPU(s){gpu}"


class Resources(Needs):
    """The needs of a trial, the number of trials that run at a time, and when an attempt at one has failed."""

    concurrency: AutoOrFrom1 = "auto"
    """The most trials at a time; on a cluster of which it isn't known how far it grows, also more than fit now."""
    max_failures: int = Field(1, ge=0)
    """The number of attempts in a row that may fail, without an epoch between them, before the trial has failed."""
    stall_seconds: float = Field(1800, gt=0)
    """After how many seconds without a step or an evaluated batch an attempt counts as hung, and is ended."""

    keep_gib: float = Field(100, ge=0)
    """GiB of cropped images, and of what the reference gives (features, the zero-shot head), that are kept on each
    node's disk for all trials there; 0 for none."""

    @property
    def kept_bytes(self) -> int:
        """The same in bytes."""
        return int(self.keep_gib * 2**30)

    def of_method(self, own: Needs | None) -> Resources:
        """The resources of the trials of a method that has some needs of its own."""
        written = {} if own is None else own.model_dump(exclude_unset=True)
        return Resources.model_validate(self.model_dump() | written)
