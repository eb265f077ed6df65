"""Presets with one thing spoilt: each is refused in one sentence that names the key in the file."""

import copy
import functools
import json

import pytest
import yaml
from presets import ROOT, as_yaml
from spoilt_keys import DELETE, ONE_KEY, SEVERAL_KEYS

from gud.config.preset import load_preset
from gud.errors import InputError

CONFIG = ROOT / "config"


@functools.cache
def read(name):
    # Through JSON, which undoes the aliases: a change of one experiment is one of no other.
    return json.loads(json.dumps(yaml.safe_load((CONFIG / name).read_text())))


def spoilt(tmp_path, changes, preset="demo.yaml"):
    """A preset's file with some values, given by their dotted keys, changed or deleted."""
    raw = copy.deepcopy(read(preset))
    for dotted, value in changes.items():
        *sections, last = dotted.split(".")
        section = raw
        for key in sections:
            section = section[int(key)] if isinstance(section, list) else section[key]
        if value is DELETE:
            del section[last]
        else:
            section[int(last) if isinstance(section, list) else last] = value
    path = tmp_path / "mine.yaml"
    path.write_text(as_yaml(raw))
    return path


def sentence_of(path):
    with pytest.raises(InputError) as refused:
        load_preset(path)
    sentence = str(refused.value)
    assert "\n" not in sentence and str(path) in sentence
    return sentence.replace(str(path), "")


def test_there_are_more_than_a_hundred():
    assert len(ONE_KEY) + len(SEVERAL_KEYS) > 140


@pytest.mark.parametrize("changes, words", ONE_KEY)
def test_a_spoilt_value_is_named_by_its_key_in_the_file(tmp_path, changes, words):
    key, *rest = words
    sentence = sentence_of(spoilt(tmp_path, changes))
    # A fault of several keys is told by one of them: the key itself or the section around it.
    sections = key.split(".")
    assert any(".".join(sections[:n]) in sentence for n in range(len(sections), 0, -1)), sentence
    assert sections[-1] in sentence or sections[-2] in sentence, sentence
    for word in rest:
        assert word in sentence, sentence


@pytest.mark.parametrize("changes, words", SEVERAL_KEYS, ids=lambda value: str(value)[:60])
def test_values_that_do_not_go_together_are_named(tmp_path, changes, words):
    sentence = sentence_of(spoilt(tmp_path, changes))
    for word in words:
        assert word in sentence, sentence


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"defaults.training.batch_size": 0}, ": defaults.training.batch_size = 0 is not allowed"),
        (
            {"experiments.large.training.batch_size": 0},
            ": experiments.large.training.batch_size = 0 is not allowed",
        ),
        (
            {"defaults.nll.settings.images": -5},
            ": defaults.nll.settings.images = -5 is not allowed",
        ),
        (
            {"experiments.wavelets.nll.settings.images": -5},
            ": experiments.wavelets.nll.settings.images = -5 is not allowed",
        ),
        ({"defaults.training.steps": DELETE}, ".training.steps is missing"),
        ({"experiments.wavelets.basis": {"name": "haar"}}, "experiments.wavelets.basis.levels is"),
        ({"defaults.network.haar": 1}, ": defaults.network.haar is not a known key"),
        ({"figures.figure4.haar.haar": 1}, ": figures.figure4.haar.haar is not a known key"),
        ({"data.natural16.images": 1}, ": data.natural16.images is not a known key"),
        (
            {"defaults.network.width": 18},
            ": defaults.network does not fit images of data.natural16: The network's width is 18",
        ),
    ],
)
def test_the_sentence_begins_with_the_key_where_the_file_has_it(tmp_path, changes, sentence):
    assert sentence in sentence_of(spoilt(tmp_path, changes))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"known": "right"}, ["known", "right", "frame"]),
        ({"keys": 0}, ["keys", "greater than 0"]),
        ({"keys": DELETE}, ["keys is missing"]),
        ({"images": 2}, ["images", "not a known key"]),
        ({"sampling.method": "ode"}, ["sampling.method", "ode", "steps"]),
        ({"sampling.method": "quicsort"}, ["sampling.method", "quicsort", "exponential_ode3"]),
    ],
)
def test_a_spoilt_section_of_inpainting_is_named(tmp_path, changes, words):
    changes = {f"figures.inpainting.settings.{key}": value for key, value in changes.items()}
    sentence = sentence_of(spoilt(tmp_path, changes, "demo_psld.yaml"))
    for word in ("figures.inpainting.settings", *words):
        assert word in sentence, sentence


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"classifier": DELETE}, ["classifier is missing"]),
        ({"classifier.network.name": "cross_attention"}, ["classifier.network.name", "ncsnpp"]),
        ({"classifier.network.width": 18}, ["classifier.network", "width is 18"]),
        ({"classifier.training.steps": 0}, ["classifier.training.steps", "greater than 0"]),
        ({"classifier.training.flip": False}, ["classifier.training.flip", "must be true"]),
        ({"guidance.scale": 0}, ["guidance.scale", "greater than 0"]),
        ({"guidance.classes": 6}, ["guidance.classes", "not a known key"]),
        ({"guidance.sampling.method": "ubu"}, ["guidance.sampling.method", "ubu", "sscs2"]),
    ],
)
def test_a_spoilt_section_of_guidance_is_named(tmp_path, changes, words):
    changes = {f"figures.conditional.settings.{key}": value for key, value in changes.items()}
    sentence = sentence_of(spoilt(tmp_path, changes, "demo_psld.yaml"))
    for word in ("figures.conditional.settings", *words):
        assert word in sentence, sentence


def test_images_of_no_classes_are_not_guided(tmp_path):
    tissue = {"data.natural16.source": "tissue_patches"}
    sentence = sentence_of(spoilt(tmp_path, tissue, "demo_psld.yaml"))
    assert "figures.conditional needs classes, which images of data.natural16" in sentence


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            {"downloads.cifar10.url": "ftp://x/y.tgz"},
            ["downloads.cifar10.url: ", "https://, http:// or file:///"],
        ),
        ({"downloads.cifar10.url": "file://data/y.tgz"}, ["downloads.cifar10.url", "file:///"]),
        ({"downloads.cifar10.url": "https://x/"}, ["downloads.cifar10.url"]),
        ({"downloads.cifar10.sha256": "abc"}, ["downloads.cifar10.sha256", "unpublished"]),
        ({"downloads.cifar10": DELETE}, ["data.cifar10", "inception"]),
        ({"downloads.inception": DELETE}, ["defaults.quality.metric.weights", "inception"]),
        ({"data.pcam32.size": 33}, ["data.pcam32.size", "96"]),
        ({"data.pcam32.archives.test": []}, ["data.pcam32.archives.test", "at least 1"]),
        ({"data.pcam32.archives.test": ["pcam_train"]}, ["data.pcam32", "pcam_train", "both"]),
        ({"data.celebahq256.archives.images": []}, ["celebahq256.archives.images", "not a known"]),
        (
            {
                "experiments.ordering_scan.data": "celebahq256",
                "experiments.ordering_scan.network.attention": [],
                "experiments.ordering_scan.network.gamma_attention": [64],
            },
            ["experiments.ordering_scan.network", "65536"],
        ),
        ({"figures.figure7.settings.time": 0.2}, ["figures.figure7.settings", "time = 0.2"]),
    ],
)
def test_a_spoilt_preset_of_downloads_is_named(tmp_path, changes, words):
    sentence = sentence_of(spoilt(tmp_path, changes, "paper.yaml"))
    for word in words:
        assert word in sentence, sentence
