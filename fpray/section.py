"""A part of the sweep file: a pydantic model whose unknown keys are an error that names the nearest right one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from fpray.errors import did_you_mean


class Section(BaseModel):
    """Base of everything that a user may write in a sweep file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # pydantic's own can't hash a mapping

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, written: Any) -> Any:
        if isinstance(written, Mapping):
            for key in written:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key '{key}'; {did_you_mean(str(key), cls.model_fields)}")
        return written
