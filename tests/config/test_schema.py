"""The sweep file's content: defaults, what fills in what, and that every mistake is one sentence with its key."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fpray.config.file import check_sweep, dump_sweep
from fpray.config.schema import Sweep
from fpray.data.layouts.drawnet import DrawNetOptions
from fpray.errors import UserError
from fpray.methods import LISTS, METHODS
from fpray.model.names import Model
from fpray.space import Choice, Constant, Grid, Log, Uniform
from fpray.testing import registered, scripted


def sweep_of(**content: Any) -> Sweep:
    return check_sweep({"name": "my"} | content, "my.yaml")


def complaint(**content: Any) -> str:
    with pytest.raises(UserError) as caught:
        sweep_of(**content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_name_alone_is_a_sweep_of_the_papers_methods_on_drawnet() -> None:
    sweep = sweep_of()
    assert set(sweep.methods) == set(LISTS["paper"])
    assert isinstance(sweep.data, DrawNetOptions)
    assert (sweep.model.name, sweep.search.sampler, sweep.train.seeds) == ("drawnet-s", "tpe", (0,))
    assert sweep.search.objectives == ("id/val/top1", "ood/val/top1")


def test_defaults_of_a_method_are_its_modules() -> None:
    chosen = sweep_of(methods=["full", "zero_shot", "wise_ft"]).methods
    assert chosen["full"].space() == {"lr": Log(3e-6, 3e-5)}
    assert chosen["wise_ft"].space() == {"alpha": Uniform(0.0, 1.0)}
    assert chosen["wise_ft"].sources() == ("full",)
    assert {name: chosen[name].trials for name in chosen} == {"zero_shot": 1, "full": 8, "wise_ft": 8}


@pytest.mark.parametrize("methods", [["full", "l2"], {"l2": None, "full": None}, {"full": {}, "l2": {}}])
def test_methods_may_be_a_list_or_have_no_settings(methods: Any) -> None:
    assert list(sweep_of(methods=methods).methods) == ["full", "l2"]


def test_the_common_learning_rate_fills_in_where_a_method_has_none() -> None:
    methods = {"full": {}, "l2": {"lr": 1e-5}, "zero_shot": {}, "wise_ft": {}}
    chosen = sweep_of(train={"lr": {"log": [1e-6, 1e-4]}}, methods=methods).methods
    assert chosen["full"].space()["lr"] == Log(1e-6, 1e-4)
    assert chosen["l2"].space()["lr"] == Constant(1e-5)
    assert "lr" not in chosen["zero_shot"].space() | chosen["wise_ft"].space()


def test_words_stand_for_lists_of_methods() -> None:
    assert set(sweep_of(methods="paper").methods) == set(LISTS["paper"])
    assert set(sweep_of(methods="fast").methods) == set(LISTS["fast"])
    replaying, pairs = {"rehearsal": {"source": "pretraining"}}, {"seeds": [0, 1]}
    every = sweep_of(methods="all", data=replaying, train=pairs)
    assert list(every.methods) == [name for name in METHODS if name != "given"]
    for sections, without in (({"data": replaying}, "model_stock"), ({"train": pairs}, "rehearsal")):
        own = sweep_of(methods="all", **sections)
        assert list(own.methods) == [name for name in every.methods if name != without]
    assert "or by one of the words all, paper, fast" in complaint(methods="papers")


def test_a_given_model_must_be_named_and_may_be_a_source() -> None:
    assert complaint(methods=["given"]) == "my.yaml: methods.given.checkpoint: field required"
    methods = {"given": {"checkpoint": {"grid": ["a.pt", "b.pt"]}}, "wise_ft": {"of": "given"}}
    chosen = sweep_of(methods=methods).methods
    assert (chosen["given"].trials, chosen["wise_ft"].sources()) == (2, ("given",))


def test_methods_that_build_on_each_other_in_a_ring_are_refused() -> None:
    chosen = sweep_of(methods={"linear_probe": {}, "lp_ft": {}, "wise_ft": {"of": ["lp_ft", "linear_probe"]}}).methods
    assert chosen["lp_ft"].sources() == ("linear_probe",)
    assert complaint(methods={"lp_ft": {"of": "lp_ft"}}) == (
        "my.yaml: methods.lp_ft.of: 'lp_ft' builds on lp_ft in turn; name another method"
    )
    assert "'lp_ft' is not among the sweep's methods" not in complaint(methods={"lp_ft": {}})


def test_grids_say_how_many_trials() -> None:
    grids = {"lr": {"grid": [1e-5, 1e-4]}, "strength": {"grid": [0.1, 1, 2]}}
    assert sweep_of(methods={"l2": grids}).methods["l2"].trials == 6
    assert sweep_of(methods={"l2": grids | {"trials": 4}}).methods["l2"].trials == 4
    half = {"lr": {"grid": [1e-5, 1e-4]}}
    assert sweep_of(methods={"l2": half}).methods["l2"].trials == METHODS["l2"].default_trials
    assert sweep_of(methods={"full": {"lr": 1e-5}}).methods["full"].trials == 1
    sources = sweep_of(methods={"full": {}, "wise_ft": {"alpha": {"grid": [0.1, 0.5]}}}).methods
    assert sources["wise_ft"].trials == METHODS["wise_ft"].default_trials


def test_sampler_grid_takes_choices_for_grids() -> None:
    choice = {"choice": [1e-5, 1e-4]}
    sweep = sweep_of(
        search={"sampler": "grid"}, train={"lr": choice}, methods={"full": {}, "l2": {"lr": choice, "strength": 1}}
    )
    for name in ("full", "l2"):
        assert sweep.methods[name].space()["lr"] == Grid((1e-5, 1e-4))
        assert sweep.methods[name].trials == 2
    assert sweep_of(methods={"full": {"lr": choice}}).methods["full"].space()["lr"] == Choice((1e-5, 1e-4))


@pytest.mark.parametrize("section", ["data", "model", "train", "search", "methods", "resources"])
def test_an_empty_section_means_its_defaults(section: str) -> None:
    assert sweep_of(**{section: None}) == sweep_of()


def test_without_tracking_is_not_with_its_defaults() -> None:
    assert sweep_of(tracking=None).tracking is None
    assert sweep_of(tracking={}).tracking == sweep_of().tracking is not None


def test_what_takes_true_and_false_takes_them_still() -> None:
    assert sweep_of(train={"compile": True}).train.compile is True
    assert sweep_of(train={"accumulate": 8, "batch_size": 8}).train.accumulate == 8


def test_a_home_folder_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    home, pairs = "local-dir:/home/me/a", {"name": "RN50", "pretrained": "~/a.pt"}
    assert sweep_of(model={"name": "local-dir:~/a"}).model.name == home
    assert sweep_of(model={"name": ["drawnet-s", "local-dir:~/a"]}).model.name == ("drawnet-s", home)
    assert sweep_of(model={"name": {"choice": ["local-dir:~/a"]}}).model.name == Choice((home,))
    assert sweep_of(model=pairs).model.pretrained == "/home/me/a.pt"
    listed = {"name": ["RN50", "drawnet-s"], "pretrained": ["~/a.pt", None]}
    assert sweep_of(model=listed).model.pretrained == ("/home/me/a.pt", None)


def test_one_seed_or_several() -> None:
    assert sweep_of(train={"seeds": 3}).train.seeds == (3,)
    assert sweep_of(train={"seeds": [3, 1]}).train.seeds == (3, 1)


def test_models_are_one_a_list_or_a_choice() -> None:
    one = sweep_of(model={"name": "ViT-B-16", "pretrained": "openai"}).model
    assert one.each() == (Model(name="ViT-B-16", pretrained="openai"),)
    assert one.apart() == {None: one.each()}
    names = ["ViT-B-16", "hf-hub:timm/vit large", "local-dir:/any/my.clip/"]
    listed = sweep_of(model={"name": names, "pretrained": ["openai", None, None]}).model
    assert [model.name for model in listed.each()] == names
    assert [model.pretrained for model in listed.each()] == ["openai", None, None]
    assert listed.apart() == {
        short: (model,) for short, model in zip(("ViT-B-16", "vit_large", "my.clip"), listed.each(), strict=True)
    }
    choice = sweep_of(model={"name": {"choice": ["ViT-B-32", "ViT-B-16"]}, "pretrained": "openai"}).model
    assert choice.each() == tuple(Model(name=f"ViT-B-{n}", pretrained="openai") for n in (32, 16))
    assert choice.apart() == {None: choice.each()}


@pytest.mark.parametrize("name", ["ViT-B-16", ["ViT-B-16"], {"choice": ["ViT-B-32", "ViT-B-16"]}])
def test_the_models_read_back_as_written(name: Any) -> None:
    sweep = sweep_of(model={"name": name, "pretrained": "openai"})
    written = yaml.safe_load(dump_sweep(sweep))
    assert written["model"] == {"name": name, "pretrained": "openai"}
    assert check_sweep(written, "my.yaml") == sweep


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"trian": {}}, ["unknown key 'trian'", "did you mean 'train'?"]),
        ({"zzz": {}}, ["unknown key 'zzz'", "known are: data, keep, methods, model"]),
        ({"train": {"epoch": 3}}, ["train: unknown key 'epoch'", "did you mean 'epochs'?"]),
        ({"data": {"sed": 3}}, ["data: unknown key 'sed'", "did you mean 'seeds'?"]),
        ({"data": {"layout": "drawnot"}}, ["data: unknown layout 'drawnot'", "did you mean 'drawnet'?"]),
        ({"data": {"train_images": 0}}, ["data.train_images", "greater than or equal to 1"]),
        ({"data": {"layout": ["domains"]}}, ["data: unknown layout '['domains']'", "did you mean 'domains'?"]),
        ({"data": {"layout": {"a": 1}}}, ["data: unknown layout", "known are: domainnet, domains"]),
        ({"data": {"layout": "imagefolder"}}, ["data: unknown layout 'imagefolder'", "known are: domainnet, domains"]),
        ({"data": {"root": "x", "id": "a"}}, ["data: has the keys of another", "add layout: domainnet or domains"]),
        ({"data": {"root": "x", "zzz": 1}}, ["data: unknown key 'root'; known are: layout"]),
        ({"data": "drawnet"}, ["data: write keys below it, for example {layout: drawnet}"]),
        ({"data": ["drawnet"]}, ["data: write keys below it, for example {layout: ...}"]),
        ({"data": {"layout": "domains", "root": "x", "id": 3}}, ["data.id.0: must be text; put it in quotes"]),
        (
            {"data": {"layout": "domains", "root": "x", "id": "a", "classes": [0]}},
            ["data.classes.0: must be text; put it in quotes"],
        ),
        ({"model": "ViT-B-32"}, ["model: write keys below it, for example {name: ViT-B-32}"]),
        ({"methods": {"ful": {}}}, ["methods: unknown key 'ful'", "did you mean 'full'?"]),
        ({"methods": ["full", "l22"]}, ["methods: unknown key 'l22'", "did you mean 'l2'?"]),
        ({"methods": "full"}, ["methods: name the methods"]),
        ({"methods": [{"full": {"trials": 2}}, "l2"]}, ["methods: name the methods alone, [full, l2], as keys"]),
        ({"methods": [["full"]]}, ["methods: name the methods alone"]),
        ({"methods": {"full": 3}}, ["methods.full: write keys below it, for example {trials: 3}"]),
        ({"methods": {"full": {"trials": True}}}, ["methods.full.trials: takes numbers, not true or false"]),
        ({"methods": {"full": {"lr": True}}}, ["methods.full.lr: true is not allowed", "number"]),
        ({"methods": {"full": {"lr": float("inf")}}}, ["methods.full.lr: inf is not allowed", "finite"]),
        ({"methods": {"full": {"lr": {"choice": [0.1, float("inf")]}}}}, ["methods.full.lr: inf is not allowed"]),
        ({"methods": {"l2": {"strenght": 1}}}, ["methods.l2: unknown key 'strenght'", "did you mean 'strength'?"]),
        (
            {"methods": {"l2": {"kappa": 1, "strength": 1}}},
            ["methods.l2: 'strength' takes the place of 'kappa'; leave one of them out"],
        ),
        ({"methods": {"l2": {"kappa": None}}}, ["methods.l2: 'kappa' is null; give it, or 'strength' in its place"]),
        (
            {"methods": {"kd": {"form": {"choice": ["kl", "mse_features"]}}}},
            ["methods.kd: 'strength' has a default for each value of 'form', which is searched; give it a range"],
        ),
        ({"methods": {"full": {"trials": 0}}}, ["methods.full.trials", "greater than or equal to 1"]),
        ({"methods": {"l2": {"strength": {"uniform": [1, 1]}}}}, ["methods.l2.strength", "[1, 1] is empty"]),
        ({"methods": {"l2": {"strength": {"log": [0, 1]}}}}, ["methods.l2.strength", "[0, 1] touches 0"]),
        ({"methods": {"l2": {"strength": {"uniform": [-1, 1]}}}}, ["methods.l2.strength: -1.0 is not allowed"]),
        ({"methods": {"l2": {"strength": float("nan")}}}, ["methods.l2.strength: nan is not allowed"]),
        ({"methods": {"full": {"lr": "big"}}}, ["methods.full.lr: 'big' is not allowed", "number"]),
        ({"methods": {"full": {"lr": 0}}}, ["methods.full.lr: 0 is not allowed", "greater than 0"]),
        ({"train": {"lr": -1}, "methods": ["full"]}, ["train.lr: -1 is not allowed"]),
        ({"train": {"lr": "1e-4"}, "methods": ["full"]}, ["train.lr: '1e-4' is not allowed", "number"]),
        ({"train": {"lr": {"log": [0, 1]}}}, ["train.lr", "[0, 1] touches 0"]),
        ({"methods": {"full": {}, "wise_ft": {"alpha": 1.5}}}, ["methods.wise_ft.alpha: 1.5 is not", "equal to 1"]),
        (
            {"methods": {"full": {}, "wise_ft": {"alpha": {"uniform": [-0.1, 1]}}}},
            ["wise_ft.alpha: -0.1", "equal to 0"],
        ),
        ({"methods": {"full": {}, "wise_ft": {"alpha": {"grid": [0.5, 2]}}}}, ["methods.wise_ft.alpha: 2 is not"]),
        ({"methods": {"wise_ft": {}}}, ["methods.wise_ft.of: 'full' is not among", "add it"]),
        ({"methods": {"full": {}, "wise_ft": {"of": ["l2"]}}}, ["methods.wise_ft.of: 'l2' is not among"]),
        ({"methods": {"zero_shot": {}, "wise_ft": {"of": ["zero_shot"]}}}, ["'zero_shot' trains nothing"]),
        ({"methods": {"full": {}, "wise_ft": {"of": ["wise_ft"]}}}, ["'wise_ft' trains nothing"]),
        ({"methods": {"full": {}, "wise_ft": {"of": []}}}, ["methods.wise_ft.of: give at least 1"]),
        ({"methods": {"kd": {"form": "klx"}}}, ["methods.kd.form: 'klx' is not allowed", "'kl', 'mse_logits'"]),
        ({"methods": {"kd": {"form": {"uniform": [0, 1]}}}}, ["methods.kd.form: takes words"]),
        ({"methods": {"lora": {"dropout": 1.0}}}, ["methods.lora.dropout: 1.0 is not allowed", "less than 1"]),
        ({"methods": {"lora": {"rank": 4.5}}}, ["methods.lora.rank: 4.5 is not allowed", "integer"]),
        ({"methods": {"lora": {"rank": {"uniform": [1, 8]}}}}, ["methods.lora.rank: takes whole numbers", "{int:"]),
        ({"methods": {"full": {"lr": {"grid": [1e-5, 1e-4]}, "trials": 3}}}, ["methods.full: 3 trials", "only 2"]),
        ({"methods": {"zero_shot": {"trials": 2}}}, ["methods.zero_shot: 2 trials", "only 1"]),
        ({"search": {"sampler": "grid"}, "methods": ["full"]}, ["methods.full.lr: sampler 'grid'", "{grid: [...]}"]),
        ({"search": {"sampler": "tpx"}}, ["search.sampler", "'tpe'"]),
        (
            {"search": {"objectives": ["id/test/top1", "ood/val/top1"]}},
            ["search.objectives", "'id/test/top1'", "not a"],
        ),
        ({"search": {"objectives": ["id/val/top1"] * 2}}, ["search.objectives: 'id/val/top1' is there twice"]),
        ({"search": {"objectives": ["ood/val/top1"]}}, ["search.objectives: 'ood/val/top1' alone", "add id/val/top1"]),
        ({"search": {"objectives": []}}, ["search.objectives"]),
        ({"search": {"objectives": ["id/val/top1", "ood/val/top1", "ood/a/val/top1"]}}, ["search.objectives"]),
        ({"search": {"reference_point": [1]}}, ["search.reference_point"]),
        ({"search": {"reference_point": [float("nan"), 0]}}, ["search.reference_point.0", "finite"]),
        ({"search": {"reference_point": [True, 0]}}, ["search.reference_point: takes numbers"]),
        ({"train": {"weight_decay": float("nan")}}, ["train.weight_decay", "finite"]),
        ({"train": {"batch_size": True}}, ["train.batch_size: takes numbers"]),
        ({"resources": {"cpus": float("inf")}}, ["resources.cpus", "finite"]),
        ({"resources": {"gpus": float("inf")}}, ["resources.gpus"]),
        ({"train": {"accumulate": 9, "batch_size": 8}}, ["train.accumulate: the 8 images", "9 parts"]),
        (
            {"train": {"accumulate": 5, "batch_size": 8}, "resources": {"workers": 2}},
            ["train.accumulate: the 4 images that each worker has", "5 parts; lower it"],
        ),
        ({"train": {"seeds": []}}, ["train.seeds: give one seed or more"]),
        ({"train": {"seeds": [0, 0]}}, ["train.seeds: give one seed or more, each once"]),
        ({"train": {"seeds": -1}}, ["train.seeds.0", "greater than or equal to 0"]),
        ({"train": {"seeds": "many"}}, ["train.seeds.0", "integer"]),
        ({"train": {"epochs": 0}}, ["train.epochs", "greater than or equal to 1"]),
        ({"train": {"epochs": "many"}}, ["train.epochs", "integer"]),
        ({"train": {"batch_size": 10}, "resources": {"workers": 3}}, ["train.batch_size: 10", "3 workers"]),
        ({"model": {"nam": "ViT-B-16"}}, ["model: unknown key 'nam'", "did you mean 'name'?"]),
        ({"model": {"name": []}}, ["model.name: the list is empty", "name one model"]),
        ({"model": {"name": {"choice": []}}}, ["model.name: 'choice' has no values"]),
        ({"model": {"name": {"choises": ["a"]}}}, ["model.name: must be a model's name", "{choice:"]),
        ({"model": {"name": {"log": [1, 2]}}}, ["model.name: must be a model's name, a list of names, or {choice:"]),
        ({"model": {"name": 16}}, ["model.name: must be a model's name, a list of names, or {choice:"]),
        ({"model": {"name": ["a", 16]}}, ["model.name: must be a model's name, a list of names, or {choice:"]),
        ({"model": {"name": ["a/ViT", "b", "b/ViT"]}}, ["model.name: 'ViT' is there twice", "take one of the two out"]),
        ({"model": {"name": {"choice": ["a/b", "c/b"]}}}, ["model.name: 'b' is there twice"]),
        ({"model": {"name": ["a", "b"], "pretrained": ["openai"]}}, ["model.pretrained: gives 1 for 2 model(s)"]),
        ({"model": {"name": ["a", "b"], "pretrained": ["openai", 3]}}, ["model.pretrained: must be a tag, or a list"]),
        ({"model": {"pretrained": 3}}, ["model.pretrained: must be a tag, or a list"]),
        ({"resources": {"concurrency": 0}}, ["resources.concurrency"]),
        ({"resources": {"gpus": 1.5}}, ["resources.gpus", "less than or equal to 1"]),
        ({"resources": {"gpus": 0.5, "workers": 2}}, ["resources: 2 workers can't share a GPU; set gpus to 1"]),
        ({"train": {"seeds": [2**32]}}, ["train.seeds", "less than 4294967296"]),
        ({"train": {"batch_size": "auto"}}, ["train.batch_size: 'auto' is what fits on a GPU"]),
        ({"model": {"name": "local-dir:~nobody-here/a"}}, ["model.name: nobody has the home folder '~nobody-here'"]),
        ({"model": {"name": ["drawnet-s", "local-dir:~nobody-here/a"]}}, ["model.name: nobody has the home"]),
        ({"model": {"name": "RN50", "pretrained": "~nobody-here/a.pt"}}, ["model.pretrained: nobody has the home"]),
        ({"name": "a b"}, ["name: 'a b' must start with a letter or digit", "only letters, digits, '.', '_', '-'"]),
        ({"name": "a/b"}, ["name: 'a/b' must start"]),
        ({"name": ".a"}, ["name: '.a' must start"]),
        ({"name": "a\n"}, ["name: 'a\\n' must start"]),
        ({"name": 3}, ["name: must be text; put it in quotes"]),
        ({"storage": None}, ["storage: input should be a valid string"]),
        ({"train": {"epochs": "three"}}, ["train.epochs: input should be a valid integer, not 'three'"]),
    ],
)
def test_every_mistake_is_one_sentence_with_its_key(content: dict[str, Any], said: list[str]) -> None:
    sentence = complaint(**content)
    assert sentence.startswith("my.yaml: ")
    assert all(part in sentence for part in said), sentence


def test_a_method_that_is_added_later_is_read_and_written_in_the_order_of_tables() -> None:
    assert "unknown key 'scripted'" in complaint(methods=["scripted"])
    with registered(scripted()):
        sweep = sweep_of(methods={"wise_ft": {}, "scripted": {"lr": 1e-5}, "full": {}})
        assert list(sweep.methods) == ["full", "scripted", "wise_ft"]
        assert sweep.methods["scripted"].space() == {"lr": Constant(1e-5)}
        written = yaml.safe_load(dump_sweep(sweep))
        assert list(written["methods"]) == ["full", "scripted", "wise_ft"]
        assert check_sweep(written, "my.yaml") == sweep
        assert complaint(methods={"scripted": {"lrr": 1}}) == (
            "my.yaml: methods.scripted: unknown key 'lrr'; did you mean 'lr'?"
        )
        assert "scripted" in sweep_of(methods="all").methods
    assert "scripted" not in sweep_of(methods="all").methods
