"""Fixtures of the pages: a browser, the npm packages of the static page, and the page of a small model."""

from pathlib import Path

import pytest
from support.web import CHROMIUM, QUIET

from hf_rnn.utils.errors import HfRnnError


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="clicking through the page needs playwright")
    if CHROMIUM is None:
        pytest.skip("clicking through the page needs Chromium, and none is on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def libraries() -> list[Path]:
    """Return the archives of the npm packages, from the cache or from npm."""
    from hf_rnn.app.npm_packages import archives

    try:
        return archives()
    except HfRnnError as error:
        pytest.skip(f"the packages of the static page cannot be fetched: {error}")


@pytest.fixture(scope="session")
def exported(tiny_run, tmp_path_factory) -> Path:
    """Return the folder of a small text classifier as it is exported."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    import hf_rnn

    return hf_rnn.export(tiny_run, tmp_path_factory.mktemp("exported") / "tiny")


@pytest.fixture(scope="session")
def page_folder(exported, libraries, tmp_path_factory) -> Path:
    from hf_rnn.app.static_page import write_static_page

    return write_static_page(str(exported), tmp_path_factory.mktemp("page") / "page")
