"""Tests of the demo page of a model, pushed as a Space."""

from pathlib import Path

import pytest
import yaml
from support.waiting import PATIENCE
from support.web import served

from hf_rnn import Predictor
from hf_rnn.app.npm_packages import archives
from hf_rnn.app.space import write_static_space
from hf_rnn.utils.errors import HfRnnError


def test_a_space_is_one_commit_and_can_be_pushed_again(server, client, tiny_run):
    code, said, _ = client.cli("demo", tiny_run, "--space", "user/page")
    assert code == 0
    assert said.strip().endswith("user/page")
    repo = server.repo("user/page", "space")
    files = repo.files()
    assert {"app.py", "requirements.txt", "README.md", "hf_rnn/app/demo.py", "model/model.safetensors"} <= files.keys()
    assert yaml.safe_load(files["README.md"].decode().split("---")[1])["sdk"] == "gradio"
    assert repo.history()[0].title == "Upload the page of a model"
    assert client.cli("demo", tiny_run, "--space", "user/page")[0] == 0
    assert repo.files() == files


def test_what_the_hub_does_not_take(server, client, tiny_run):
    assert "there is no token" in client.fails("demo", tiny_run, "--space", "user/page", token="")
    assert "other" in client.fails("demo", tiny_run, "--space", "other/page")


@pytest.fixture(scope="module")
def assets() -> Path:
    """Return the folder with the npm packages of the static page."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    try:
        return archives()[0].parent
    except HfRnnError as error:
        pytest.skip(f"the packages of the static page cannot be fetched: {error}")


@pytest.mark.slow
def test_a_static_space_answers_in_a_browser(server, client, tiny_run, assets, tmp_path, browser):
    code, said, error = client.cli("demo", tiny_run, "--static", "--space", "user/static", "--assets", assets)
    assert code == 0, error
    assert said.strip().endswith("user/static")
    repo = server.repo("user/static", "space")
    files = repo.files()
    about = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert (about["sdk"], about["app_file"], about["title"]) == ("static", "index.html", "static")
    assert not [name for name in files if name.endswith((".py", ".safetensors"))]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with served(tmp_path) as address:
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.wait_for_selector("#answer:not([hidden])")
        page.fill("#text", "the film was not good .")
        (answer,) = Predictor.from_pretrained(tiny_run)(["the film was not good ."])
        page.wait_for_function("document.querySelector('#cost').innerText.startsWith('6 tokens')")
        assert page.inner_text("#said") == f"{answer['label']} {100 * answer['score']:.1f}\xa0%"
        page.close()
    # A second push replaces all files.
    assert client.cli("demo", tiny_run, "--static", "--space", "user/static", "--assets", assets)[0] == 0
    assert repo.files().keys() == files.keys()


def test_the_files_of_a_static_space(tiny_run, assets, tmp_path):
    folder = write_static_space(str(tiny_run), tmp_path / "space", "user/page", assets=assets)
    assert "sdk: static" in (folder / "README.md").read_text()
    assert (folder / "vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm").is_file()
