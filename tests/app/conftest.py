"""Fixtures of the pages: the npm packages of the static page, and the page of a small model."""

from pathlib import Path

import pytest

from hf_rnn.utils.errors import HfRnnError


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
