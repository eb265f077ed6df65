"""YAML is read strictly, in bounded time, and refused in one sentence."""

import os
import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from presets import ROOT

from gud.config.preset import load_preset
from gud.config.reading import read_yaml
from gud.errors import InputError

CONFIG = ROOT / "config"
LEVELS = "bcdefghij"


def bomb(level):
    """Ten aliases of the level before, in each of nine levels: 10^10 values."""
    first, levels = level.format(*["1"] * 10), zip("a" + LEVELS, LEVELS, strict=False)
    return f"a: &a {first}\n" + "".join(
        f"{name}: &{name} {level.format(*['*' + before] * 10)}\n" for before, name in levels
    )


MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 10)}]}}\n"
    for before, name in zip("a" + LEVELS, LEVELS, strict=False)
)
TEN = "[{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]"


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_shipped_presets_read_as_by_any_reader_of_yaml(name):
    path = CONFIG / f"{name}.yaml"
    assert read_yaml(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    "content, words",
    [
        ("seed: 1\nseed: 2", ["seed twice", "line 2"]),
        ("data:\n  x: {size: 1, size: 2}", ["data.x.size twice", "line 2"]),
        ('a: 1\n"a": 1', ["a twice"]),
        ("a: {<<: {b: 1}, <<: {c: 1}}", ["a.<< twice"]),
        ("a: &a [*a]", ["32 deep", "itself", "line 1"]),
        ("a: &a {b: *a}", ["32 deep", "itself"]),
        ("a: &a {<<: *a}", ["32 deep", "itself"]),
        pytest.param(bomb(TEN), ["10000 values", "aliases"], id="bomb"),
        pytest.param(MERGES, ["10000 values", "aliases"], id="bomb of merges"),
        pytest.param("[" * 100_000, ["32 deep"], id="deep list"),
        pytest.param("- " * 50_000, ["32 deep"], id="deep block"),
        pytest.param('{"a":' * 20_000, ["32 deep"], id="deep mapping"),
        pytest.param("a: [" + "1," * 60_000 + "]", ["10000 values"], id="long list"),
        pytest.param("a: " + "x" * 200_000, ["131072 bytes"], id="long file"),
        pytest.param("a: 1" + "0" * 5000, ["a (line 1)", "1e15"], id="long number"),
        ("a: {b: 10000000000000000}", ["a.b (line 1)", "1e15"]),
        ("a: [1, 1e999]", ["a.1 (line 1) = 1e999"]),
        ("a: .nan", ["a (line 1) = .nan"]),
        ("a: -.inf", ["a (line 1) = -.inf"]),
        (b"a: \xff", ["UTF-8", "at 3"]),
        ("a: 1".encode("utf-16"), ["UTF-8"]),
        (b"a: \x00", ["not YAML", "#x0000"]),
        ('a: "\\0"', ["U+0000", "a (line 1)"]),
        ('a: "\\ud800"', ["not YAML", "Unicode"]),
        ("1: 1", ["key '1'", "quotes"]),
        ("true: 1", ["key 'true'", "quotes"]),
        ("~: 1", ["key '~'", "quotes"]),
        ('"a\\nb": 1', ["one line"]),
        ("? [a]\n: 1", ["list or mapping for a key"]),
        ("a: !!python/object/apply:os.system [id]", ["tag", "os.system", "line 1"]),
        ("a: !!set {b, c}", ["tag", "set"]),
        ("a: 1\n---\nb: 1", ["another document", "line 2"]),
        ("a: *b", ["undefined alias", "'*' in line 1, column 4"]),
        ("a: [1", ["not YAML", "line"]),
        ("a: 'x", ["not YAML"]),
        ("a: @x", ["not YAML", "'@' in line 1, column 4"]),
        ("a:\n\tb: 1", ["not YAML", "'\\t' in line 2, column 1"]),
        ("a: {<<: 3}", ["<<", "not a mapping"]),
        ("", ["must be a mapping", "empty"]),
        ("- 1", ["must be a mapping", "a list"]),
        ("x", ["must be a mapping", "one value"]),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_lies_or_never_ends_is_refused_at_once(tmp_path, content, words):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.monotonic()
    with pytest.raises(InputError) as refused:
        load_preset(path)
    assert time.monotonic() - started < 5
    sentence = str(refused.value)
    assert "\n" not in sentence and len(sentence) < 400
    for word in [str(path), *words]:
        assert word in sentence, sentence


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 1e-3),
        ("010", 10.0),
        ("300_000", 300_000),
        ("yes", "yes"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("", None),
        ("-.5", -0.5),
    ],
)
def test_scalars_mean_what_they_look_like(tmp_path, text, value):
    path = tmp_path / "mine.yaml"
    path.write_text(f"a: {text}")
    (found,) = read_yaml(path).values()
    assert found == value and type(found) is type(value)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="none.yaml cannot be read: No such file"):
        load_preset(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: it is not a file"):
        load_preset(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match="pipe.yaml cannot be read: it is not a file"):
        load_preset(tmp_path / "pipe.yaml")


SAMPLE = (CONFIG / "demo.yaml").read_bytes()


@pytest.mark.slow
@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, len(SAMPLE)), st.integers(0, 40))
@example(b"\t", 30, 0)
def test_any_damage_is_one_sentence_or_no_damage(tmp_path_factory, bytes_, at, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_bytes(SAMPLE[:at] + bytes_ + SAMPLE[at + cut :])
    try:
        load_preset(path)
    except InputError as error:
        assert "\n" not in str(error)
