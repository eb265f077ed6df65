"""The page of a preset, opened in Chromium."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
from commands import gud
from PIL import Image

from gud.provenance import read_record
from gud.webpage.content import Results, picture, without_common
from gud.webpage.report import render

pytestmark = pytest.mark.slow
PROBE = """
<script>
addEventListener("load", () => {
  const images = [...document.images].map((image) => [image.naturalWidth, image.clientWidth]);
  const ids = new Set([...document.querySelectorAll("[id]")].map((one) => one.id));
  const links = [...document.querySelectorAll("a[href]")].map((one) => one.getAttribute("href"));
  const found = {
    images: images.length,
    empty: images.filter(([natural, shown]) => !natural || !shown).length,
    links: links.length,
    outside: links.filter((link) => !link.startsWith("#")).length,
    lost: links.filter((link) => link.startsWith("#") && !ids.has(link.slice(1))).length,
    width: document.documentElement.scrollWidth,
    window: innerWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    text: getComputedStyle(document.body).color,
    requests: performance.getEntriesByType("resource").filter(({name}) => !name.startsWith("data:"))
      .length,
    opened: document.querySelector("#traces ~ details[open]") !== null,
  };
  document.title = "probe " + JSON.stringify(found);
});
</script>
"""
"""What the page itself knows of how it is shown, said in its title."""


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, installed if need be: a machine that cannot have it fails these tests."""
    if program := shutil.which("chromium"):
        return program
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        command = ["apt-get", "-qq", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"Chromium cannot be installed: {done.stderr[-500:]}"
    return shutil.which("chromium")


@pytest.fixture(scope="module")
def page(finished, verdicts, tmp_path_factory):
    """The page of the run."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    out.write_text(render(finished.named(), finished.folder / "results/tiny", verdicts))
    return out


def test_the_record_of_a_page_names_every_picture_and_table_that_it_shows(copy, capsys):
    """Here of a run of which no more is left."""
    results = copy.folder / "results/tiny"
    kept = {
        path.relative_to(results).as_posix()
        for folder in ("figures", "tables", "data", "a_scan_isotropic")
        for path in results.glob(f"{folder}/*")
        if path.suffix in (".png", ".csv") and (folder, path.suffix) != ("data", ".csv")
    } - {"a_scan_isotropic/training.csv", "a_scan_isotropic/scale.csv"}
    for path in [*results.rglob("*")]:
        name = path.relative_to(results).as_posix()
        if path.is_file() and name.removesuffix(".json") not in kept:
            path.unlink()
    assert gud("report", copy.presets / "tiny.yaml", "--results", results) == 0
    page = results / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert read_record(page)["inputs"].keys() == kept
    assert page.read_text().count("<img") == sum(name.endswith(".png") for name in kept) > 8


@pytest.fixture
def look(chromium, page, tmp_path):
    """Open the page in a window of a width, and return what it says of itself and the console."""

    def shown(width, *options, place=""):
        probed = tmp_path / "probed.html"
        probed.write_text(page.read_text().replace("</body>", f"{PROBE}</body>"))
        # A window of Chromium is never narrower than 500 pixels: a frame is.
        frame = tmp_path / "frame.html"
        frame.write_text(
            f'<iframe id="f" src="probed.html{place}" width="{width}" height="800" '
            'style="border:0"></iframe><script>f.onload = () => setTimeout(() => '
            "{ document.body.append(f.contentDocument.title); }, 300);</script>"
        )
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += ["--enable-logging=stderr", "--allow-file-access-from-files"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000"]
        command += ["--window-size=1400,900", *options, frame.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        console = re.findall(r".*CONSOLE.*", done.stderr)
        found = re.search(r"probe (\{.*\})", done.stdout)
        assert found, done.stdout[-300:] + done.stderr[-2000:]
        return json.loads(found[1].replace("&quot;", '"')), console

    return shown


def test_the_page_is_whole_in_a_browser_and_fits_a_phone(look):
    found, console = look(390)
    assert console == []
    assert found["window"] == 390 and found["width"] <= 390
    assert found["images"] >= 6 and found["empty"] == 0
    assert found["links"] > 100 and found["lost"] == 0 and found["outside"] == 0
    assert found["requests"] == 0


def test_the_page_is_light_or_dark_as_the_reader_wishes(look):
    light, _ = look(1200)
    dark, _ = look(1200, "--force-dark-mode")
    assert light["ground"] == "rgb(255, 255, 255)"
    assert dark["ground"] == "rgb(21, 21, 23)" and dark["text"] != light["text"]
    assert light["width"] <= 1200


def test_a_link_to_a_trace_opens_it(look, page):
    target = re.search(r'<details id="(a-scan-isotropic-nll[^"]+)"', page.read_text())[1]
    assert look(800, place=f"#{target}")[0]["opened"]
    assert not look(800)[0]["opened"]


class Cells(HTMLParser):
    """Texts and links of the rows of all tables."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append(([], []))
        if tag == "a" and self.rows:
            self.rows[-1][1].append(dict(attributes)["href"])

    def handle_data(self, data):
        if self.rows and data.strip():
            self.rows[-1][0].append(data.strip())


def test_each_point_of_a_table_leads_to_the_trace_of_its_own_artefact(page, finished):
    cells = Cells()
    cells.feed(page.read_text())
    rows = [(texts, links) for texts, links in cells.rows if texts[:1] == ["trace"]]
    tables = (finished.folder / "results/tiny/tables").glob("*.csv")
    assert len(rows) == sum(len(pd.read_csv(path)) for path in tables if path.stem != "comparison")
    for texts, links in rows:
        assert re.match(f"#{texts[1].replace('_', '-')}-(nll|quality)-[abs]-", links[0])


def test_a_table_says_once_what_all_its_rows_have_in_common():
    frame = pd.DataFrame({"seed": [0, 0], "a": [0.5, 1.0], "r": [0.25, 0.25]})
    shown, common = without_common(frame)
    assert list(shown) == ["a"] and common == "seed 0, r 0.25"
    alone, common = without_common(frame.head(1))
    assert list(alone) == ["seed", "a", "r"] and common == ""


def test_the_page_shows_the_verdicts_there_are(page):
    text = page.read_text()
    assert 'id="claims"' in text and "the isotropic prior has a lower NLL" in text


def test_a_figure_of_guided_samples_is_followed_by_their_shares(tmp_path):
    figure, samples = "figures/conditional.png", "psld/guided/a=1_r=0.npz"
    shares = samples.replace("npz", "csv")
    for name in (figure, shares):
        (tmp_path / name).parent.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / figure)
    table = pd.DataFrame(
        {"class": ["cat", "all"], "guided_share": [0.75, 0.625], "samples": [8, 8]}
    )
    table.to_csv(tmp_path / shares, index=False)
    records = {figure: {"inputs": {f"../{samples}": ""}}, samples: {}, shares: {}}
    kinds = {figure: "figure", samples: "guided", shares: "guided shares"}
    (shown,) = picture(Results(tmp_path, records, kinds), figure).tables
    assert shown.name == shares and shown.common == "samples 8"
    assert shown.rows == [["cat", "0.75"], ["all", "0.625"]]
    del kinds[shares]
    assert picture(Results(tmp_path, records, kinds), figure).tables == []
