"""Tests of the demo page of a model, in a browser."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.waiting import PATIENCE, wait_until

from hf_rnn import DataArguments, LanguageModeling, Predictor, RNNConfig, RNNForCausalLM
from hf_rnn.app.demo import Page, curve_svg
from hf_rnn.app.space import write_space
from hf_rnn.cli.main import main
from hf_rnn.interpret.reading_curve import ReadingCurve
from hf_rnn.utils.errors import UserError

# An import takes seconds, even if no test of this file runs. `find_spec` does not import.
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the page needs gradio")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def address(tiny_run, tmp_path_factory):
    """Yield the address of a demo page that runs in a separate process."""
    port, home = free_port(), tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "hf_rnn", "demo", str(tiny_run), "--port", str(port)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(home)}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=alone)

    def answers() -> bool:
        assert server.poll() is None, (home / "log").read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE)
        except OSError:
            return False
        return True

    try:
        wait_until(answers, "the page does not answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_text_is_answered_and_explained(browser, address, tiny_run, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    foreign = []
    page.on("request", lambda request: foreign.append(request.url) if "127.0.0.1" not in request.url else None)
    page.goto(address)
    page.click("#ask")
    page.wait_for_selector("text=there is no text yet")
    page.fill("#text textarea", "the lamp was <lovely> , but the price was awful .")
    titles = "[...document.querySelectorAll('#words span[title]')].map(word => word.title).join()"
    for method in ("input x gradient", "integrated gradients", "sentence occlusion"):
        before = page.evaluate(titles)
        page.get_by_label("Explained by").click()
        page.get_by_role("option", name=method, exact=True).click()
        page.click("#ask")
        page.wait_for_function(f"before => {titles} != before", arg=before)
        page.wait_for_selector("#curve svg polyline")
    assert "<lovely>" in page.inner_text("#words")
    (answer,) = Predictor.from_pretrained(tiny_run)(["the lamp was <lovely> , but the price was awful ."])
    assert answer["label"] in page.inner_text("#answer")
    assert f"{100 * answer['score']:.0f}%" in page.inner_text("#answer")
    page.get_by_label("Explained by").click()
    page.get_by_role("option", name="occlusion", exact=True).click()
    told = "[...document.querySelectorAll('#words span[title]')].find(word => word.innerText == 'lovely')?.title"
    scores: dict[str, str] = {}
    for label in ("positive", "negative"):
        before = list(scores.values())
        page.get_by_label("Explained label").click()
        page.get_by_role("option", name=label, exact=True).click()
        page.click("#ask")
        page.wait_for_function(f"before => {told} && !before.includes({told})", arg=before)
        scores[label] = page.evaluate(told)
    assert float(scores["positive"]) == pytest.approx(-float(scores["negative"]), abs=2e-4)
    # After several quick requests, the page shows the answer to the last one.
    for text in ("the soup was awful .", "the film was fine .", "the lamp was charming ."):
        page.fill("#text textarea", text)
        page.click("#ask")
    page.wait_for_selector("#words >> text=charming")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not foreign
    page.close()


@pytest.mark.slow
def test_a_file_is_answered(browser, address, tiny_run, tmp_path):
    texts = ["the lamp was lovely .", "the soup was awful ."]
    (tmp_path / "in.csv").write_text("\n".join(["number,words", *(f"{n},{text}" for n, text in enumerate(texts))]))
    (tmp_path / "broken.parquet").write_text("this is no parquet")
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    page.get_by_role("tab", name="A file").click()
    page.click("#ask-file")
    page.wait_for_selector("text=there is no file yet")
    page.set_input_files("#file input[type=file]", tmp_path / "in.csv")
    page.wait_for_selector("#file >> text=in")
    page.fill("#column textarea, #column input", "word")
    page.click("#ask-file")
    page.wait_for_selector("text=did you mean")
    page.fill("#column textarea, #column input", "words")
    page.click("#ask-file")
    page.wait_for_selector("#said >> text=2 rows were answered.")
    with page.expect_download() as download:
        page.locator("#answers a[download], #answers a").first.click()
    rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert [row["words"] for row in rows] == texts
    expected = Predictor.from_pretrained(tiny_run)(texts)
    assert [row["prediction"]["label"] for row in rows] == [answer["label"] for answer in expected]
    page.close()


def test_the_curve_is_drawn_within_its_frame():
    for scores in ([[0.2, 0.8]], [[0.5, 0.5], [1.0, 0.0], [0.1, 0.9]], [[-3.0], [7.5]]):
        words = ["<b>", "fine", "film"][: len(scores)]
        labels = ["a", "b"][: len(scores[0])]
        drawn = curve_svg(ReadingCurve("", labels, words, [0] * len(words), np.array(scores), []))
        assert "<b>" not in drawn
        for points in re.findall(r'points="([^"]+)"', drawn):
            for point in points.split():
                x, y = map(float, point.split(","))
                assert 40 <= x <= 471
                assert 20 <= y <= 150


def test_a_language_model_has_no_page(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    predictor.model = RNNForCausalLM(RNNConfig(vocab_size=10))
    predictor.task = LanguageModeling(DataArguments())
    with pytest.raises(
        UserError, match="a model for language modeling, but only the labels of text classifiers can be explained"
    ):
        Page(predictor)


def test_a_file_without_a_clear_column_names_the_field_of_the_page(tiny_run, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("one,two\ngood words,bad words\nfine words,poor words\n")
    with pytest.raises(UserError, match=r"'in\.csv' has .*Write its name above( to choose one)?\.$"):
        Page(Predictor.from_pretrained(tiny_run)).answer_file(str(file), None)


@pytest.mark.slow
def test_a_space_runs_by_itself(tiny_run, tmp_path):
    folder = write_space(str(tiny_run), tmp_path / "space", "user/page")
    assert "sdk: gradio" in (folder / "README.md").read_text()
    needed = (folder / "requirements.txt").read_text()
    assert "gradio" in needed
    assert "captum" in needed
    assert "torch" in needed
    assert "pytest" not in needed
    # The working directory comes first on the import path, so that the Space's own copy of the package is imported.
    script = "import app, hf_rnn; print(hf_rnn.__file__); print(type(app.demo).__name__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(folder / "hf_rnn" / "__init__.py"), "Blocks"]


def test_a_space_is_not_written_over_something(tiny_run, tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    assert main(["demo", str(tiny_run), "--space", "user/page", "--output", str(tmp_path)]) == 1
    assert "is not empty: name a new folder" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
    assert main(["demo", str(tiny_run), "--output", str(tmp_path / "new")]) == 1
    assert "--space USER/NAME" in capsys.readouterr().err
