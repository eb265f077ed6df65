"""Artefacts that make no table together are refused."""

import numpy as np
from commands import gud
from table_artefacts import BITS, METHOD, likelihood, likelihood_at, quality, refused


def test_points_of_an_experiment_from_two_trainings_are_refused(tmp_path, points):
    other = likelihood(tmp_path, 1.5, BITS[0.5], seed=1)
    assert "another model or training" in refused([*points, other])


def test_parameters_of_no_schedule_family_are_refused(tmp_path):
    assert "no schedule family" in refused([likelihood_at(tmp_path, {"b": 0.1, "r": 0.0}, BITS[1])])


def test_missing_record_is_refused(points):
    points[0].with_name(f"{points[0].name}.json").unlink()
    assert "has no record" in refused(points)


def test_artefact_that_changed_after_its_record_is_refused(points):
    with open(points[0], "ab") as file:
        file.write(b"x")
    assert "has changed since" in refused(points)


def test_file_whose_name_is_another_point_is_refused(tmp_path, points):
    copy = points[0].with_name("a=0.6_r=0.npz")
    copy.write_bytes(points[0].read_bytes())
    copy.with_name(f"{copy.name}.json").write_text(
        points[0].with_name(f"{points[0].name}.json").read_text()
    )
    assert "is recorded as the point a=0.5_r=0" in refused([copy])


def test_a_point_given_twice_is_refused(points):
    assert "a second time" in refused([*points, points[0]])


def test_points_with_different_estimators_are_refused(tmp_path, points, monkeypatch):
    monkeypatch.setitem(METHOD, "coordinates", "components")
    assert "likelihood settings" in refused([*points, likelihood(tmp_path, 1.5, BITS[0.5])])


def test_qualities_on_different_numbers_of_images_are_refused(tmp_path):
    files = [quality(tmp_path, 1, 3.0), quality(tmp_path, 1.5, 3.0, images=9)]
    assert "quality settings" in refused(files)


def test_a_quality_whose_samples_were_made_anew_is_refused(tmp_path):
    measured = quality(tmp_path, 1, 3.0)
    quality(tmp_path / "again", 1, 3.0, images=9)
    for file in (tmp_path / "again").rglob("samples*/*"):
        (tmp_path / file.relative_to(tmp_path / "again")).write_bytes(file.read_bytes())
    assert "was made anew after" in refused([measured])


def test_bits_per_dim_of_a_wrong_shape_or_not_finite_is_refused(tmp_path):
    assert "of shape (images, probes)" in refused([likelihood(tmp_path, 1, [4.0, 5.0])])
    assert "not finite" in refused([likelihood(tmp_path, 1.5, [[np.nan]])])


def test_an_empty_command_is_refused(tmp_path, capsys):
    assert gud("table", "--out", tmp_path / "t.csv") == 2
    assert "Missing argument 'POINTS...'" in capsys.readouterr().err
