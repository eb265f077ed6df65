"""Presets as the workflow takes them: by any name, side by side, from the user's own copies."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
import yaml
from presets import ROOT, tiny_preset
from workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.mark.parametrize("preset", ["mien", "", "1"])
def test_a_preset_that_is_not_there_is_one_sentence_and_an_error(workspace, preset):
    workspace.write(tiny_preset())
    output = workspace.run("-n", "all", preset=preset, succeeds=False)
    assert f"is not in {workspace.presets}, which has tiny" in output
    assert "Traceback" not in output and "Error:\n" not in output


def test_a_folder_without_presets_is_one_sentence_and_an_error(workspace):
    output = workspace.run("-n", "all", succeeds=False)
    assert f"there is no preset in {workspace.presets}" in output


def test_a_preset_of_no_figures_is_one_sentence_and_an_error(workspace):
    workspace.write(tiny_preset() | {"figures": {}, "quick": []})
    output = workspace.run("-n", "all", preset="tiny", succeeds=False)
    assert "preset tiny: nothing is named in its section figures" in output


def test_presets_may_be_called_what_files_are_called(workspace):
    names = ["mine (copy)", "a+b", "a(b", "a.b", "präset", "x=1@y-z"]
    for name in names:
        workspace.write(tiny_preset(), name)
    figures = [f"results/{name}/figures/figure3.pdf" for name in names]
    planned = workspace.run("-n", *figures)
    assert all(f"output: {figure}" in planned for figure in figures)
    assert "output: results/a(b/summary.md" in workspace.run("-n", "all", preset="a(b")


def test_a_preset_of_an_odd_name_is_made(workspace):
    workspace.write(tiny_preset(), "it's mine (copy)")
    workspace.write(tiny_preset(), "mine (copy)")
    target = "results/mine (copy)/figures/figure2.pdf"
    workspace.run(target)
    assert (workspace.folder / target).exists()
    assert "not in" in workspace.run("-n", "all", preset="it's mine (copy)", succeeds=False)


def test_a_spoilt_preset_stops_its_own_run_alone(workspace):
    workspace.write(tiny_preset())
    workspace.write(tiny_preset() | {"seed": "none"}, "other")
    workspace.run("-n", "results/tiny/figures/figure3.pdf")
    workspace.run("-n", "all", preset="tiny")
    for arguments in ({"preset": "other"}, {}):
        target = "all" if arguments else "results/other/figures/figure3.pdf"
        output = workspace.run("-n", target, **arguments, succeeds=False)
        assert 'other.yaml: seed = "none" is not allowed: input should be a valid integer' in output
        assert "InputFunctionException" not in output


def test_a_network_that_experiments_share_is_trained_once(workspace):
    preset = tiny_preset()
    shared = preset["experiments"]["a_scan_matching"] | {"weights_of": "a_scan_matching"}
    preset["experiments"]["sharing"] = shared
    preset["figures"]["compared"] = {"experiments": ["a_scan_matching", "sharing"]}
    workspace.write(preset)
    planned = workspace.run("-n", "results/tiny/tables/compared.csv")
    assert planned.count("rule train:") == 1 and "results/tiny/sharing/nll/a=1_r=0.npz" in planned
    assert "results/tiny/sharing/model.safetensors" not in planned
    output = workspace.run("-n", "results/tiny/sharing/model.safetensors", succeeds=False)
    assert "sharing trains no network: it takes that of a_scan_matching" in output


def archive(path, images):
    """A file in the format of CIFAR-10 with so many images in each of its six members."""
    records = np.random.default_rng(0).integers(0, 256, (6, images, 3073), dtype=np.uint8)
    records[:, :, 0] = 0
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    with tarfile.open(path, "w:gz") as tar:
        for name, record in zip(names, records, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = record.nbytes
            tar.addfile(member, io.BytesIO(record.tobytes()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_cifar(url, sha256):
    preset = tiny_preset()
    preset["downloads"] = {"cifar10": {"url": url, "sha256": sha256}}
    preset["data"]["cifar10"] = {"source": "cifar10", "archive": "cifar10"}
    preset["titles"]["cifar10"] = "CIFAR-10"
    return preset


def test_a_copy_of_paper_with_a_mirror_works_beside_it(workspace):
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    copy = workspace.folder / "cifar-10-binary.tar.gz"
    digest = archive(copy, 8)
    workspace.write(paper, "paper")
    paper["downloads"]["cifar10"] = {"url": copy.as_uri(), "sha256": digest}
    needed = ["nll", "settings", "images"], ["quality", "metric", "reference_images"]
    workspace.write(paper, "mirror")
    output = workspace.run("results/mirror/data/cifar10.npz", succeeds=False)
    assert "experiments.a_scan_isotropic.nll.settings.images asks for 6144 test images" in output
    assert not (workspace.folder / "results/mirror/data/cifar10.npz").exists()
    paper["defaults"][needed[0][0]]["settings"]["images"] = 8
    workspace.write(paper, "mirror")
    workspace.run("results/mirror/data/cifar10.npz")
    with np.load(workspace.folder / "results/mirror/data/cifar10.npz") as made:
        assert len(made["train"]) == 40 and len(made["test"]) == 8
    assert "cifar-10-binary.tar.gz" in workspace.run("-n", "results/paper/data/cifar10.npz")


def test_the_same_bytes_are_one_download_wherever_they_come_from(workspace):
    copy = workspace.folder / "copy.tar.gz"
    digest = archive(copy, 8)
    # Nothing listens at port 9.
    workspace.write(of_cifar("http://127.0.0.1:9/copy.tar.gz", digest), "far")
    workspace.write(of_cifar(copy.as_uri(), digest), "near")
    workspace.write(of_cifar(copy.as_uri(), "unpublished"), "loose")
    for name in ("near", "far", "loose"):
        workspace.run(f"results/{name}/data/cifar10.npz")
    folders = {path.parent.name for path in workspace.folder.glob("resources/downloads/*/copy*.gz")}
    assert len(folders) == 2 and digest[:16] in folders
    moved = of_cifar("http://127.0.0.1:9/elsewhere/copy.tar.gz", digest)
    workspace.write(moved, "near")
    assert "Nothing to be done" in workspace.run("-n", "results/near/data/cifar10.npz")


def test_a_damaged_archive_is_met_by_one_attempt_whatever_the_retries(workspace):
    copy = workspace.folder / "copy.tar.gz"
    copy.write_bytes(b"no archive")
    target = "results/tiny/data/cifar10.npz"
    for sha256, rule in (("0" * 64, "download"), ("unpublished", "data")):
        workspace.write(of_cifar(copy.as_uri(), sha256))
        output = workspace.run("--retries", "3", target, succeeds=False)
        assert f"Error in rule {rule}:" in output and "Trying to restart" not in output


def test_more_images_than_there_are_stop_a_run_before_its_first_job(workspace):
    workspace.write(tiny_preset())
    workspace.run("results/tiny/data/natural16.npz")
    record = workspace.folder / "results/tiny/data/natural16.npz.json"
    images = json.loads(record.read_text())["images"]["test"]
    preset = tiny_preset()
    preset["defaults"]["nll"]["settings"]["images"] = images + 1
    workspace.write(preset)
    output = workspace.run("-n", "all", preset="tiny", succeeds=False)
    assert f"nll.settings.images asks for {images + 1} test images, but " in output
    assert f"natural16.npz has {images}" in output


@pytest.mark.parametrize("demo", ["demo", "demo_psld"])
def test_the_first_look_of_a_demo_is_part_of_all_of_it(workspace, demo):
    (workspace.presets / f"{demo}.yaml").write_bytes(
        (ROOT / "config" / f"{demo}.yaml").read_bytes()
    )
    look, whole = (
        {
            file
            for line in workspace.run("-n", name).splitlines()
            if line.startswith("    output: ")
            for file in line.removeprefix("    output: ").split(", ")
        }
        for name in (demo, f"{demo}_all")
    )
    assert f"results/{demo}/quick.md" in look and len(look) < len(whole)
    assert all("quick" in file for file in look - whole)
