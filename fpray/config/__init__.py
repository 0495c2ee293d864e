"""The sweep file: what a user asks for, read and checked before anything starts.

`read_sweep` turns YAML and `--set` overrides into a `Sweep`, in which every default is filled in; a mistake is one
sentence that names the key. Its sections are `data` (the layout's options), `model` (`Models`), `train` (`Train`, with
an `Augment`), `search` (`Search`), `methods` (`MethodSettings` of each, made from the method's hyperparameters),
`report` (`Reporting`, the rules of picks) and `resources` (`Resources`, of which a method may have `Needs` of its own);
the `plugins` that it names are loaded first.
`TrialSettings` are what a method's trials run by.
`dump_sweep` writes the same sweep as YAML again, secrets hidden. `sweep_schema` describes every key for editors,
`sweep_page` for readers; `starting_file` is a file to start from.

Names are imported when they are first asked for: reading a file's text, `read_content`, needs no torch.
"""

from typing import TYPE_CHECKING

from fpray.lazily import attach

if TYPE_CHECKING:
    from fpray.config.augment import Augment
    from fpray.config.data import with_todays_keys
    from fpray.config.defaults import todays_defaults, with_kept_defaults
    from fpray.config.file import check_sweep, dump_sweep, read_sweep, resolved, sweep_of
    from fpray.config.json_schema import sweep_schema
    from fpray.config.methods import MethodSettings
    from fpray.config.models import Models
    from fpray.config.page import sweep_page
    from fpray.config.plugins import Plugin
    from fpray.config.reporting import MIN_ID, checked_rule, labels_of, least_id, words_of
    from fpray.config.resources import Needs, Resources
    from fpray.config.schema import PackedSettings, Search, Sweep, TrialSettings
    from fpray.config.starting import example_file, name_for, starting_file
    from fpray.config.text import default_file, parse, read_content, upgraded
    from fpray.config.train import Train, train_with_todays_keys

__getattr__ = attach(
    __name__,
    {
        "Augment": "augment",
        "with_todays_keys": "data",
        "todays_defaults": "defaults",
        "with_kept_defaults": "defaults",
        "check_sweep": "file",
        "dump_sweep": "file",
        "read_sweep": "file",
        "resolved": "file",
        "sweep_of": "file",
        "sweep_schema": "json_schema",
        "MethodSettings": "methods",
        "Models": "models",
        "sweep_page": "page",
        "Plugin": "plugins",
        "MIN_ID": "reporting",
        "checked_rule": "reporting",
        "labels_of": "reporting",
        "least_id": "reporting",
        "words_of": "reporting",
        "Needs": "resources",
        "Resources": "resources",
        "PackedSettings": "schema",
        "Search": "schema",
        "Sweep": "schema",
        "Train": "train",
        "train_with_todays_keys": "train",
        "TrialSettings": "schema",
        "example_file": "starting",
        "name_for": "starting",
        "starting_file": "starting",
        "default_file": "text",
        "parse": "text",
        "read_content": "text",
        "upgraded": "text",
    },
)

__all__ = [
    "Augment",
    "MIN_ID",
    "MethodSettings",
    "Models",
    "Needs",
    "PackedSettings",
    "Plugin",
    "Resources",
    "Search",
    "Sweep",
    "Train",
    "TrialSettings",
    "check_sweep",
    "checked_rule",
    "default_file",
    "dump_sweep",
    "example_file",
    "labels_of",
    "least_id",
    "name_for",
    "parse",
    "read_content",
    "read_sweep",
    "resolved",
    "sweep_of",
    "todays_defaults",
    "starting_file",
    "sweep_page",
    "sweep_schema",
    "train_with_todays_keys",
    "upgraded",
    "with_kept_defaults",
    "with_todays_keys",
    "words_of",
]
