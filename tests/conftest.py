"""Settings and fixtures of all tests: one thread per process, no network access, and the real data."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Processes that tests start use one thread too. More threads sum in another order and change the last bit of weights.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from support import tiny_config
from support.reviews import reviews_as_csv
from support.web import CHROMIUM, QUIET

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

# Two test workers run on two cores. More threads in each worker would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture
def real_data() -> Path:
    """Return the folder of real data sets beside the project, or skip the test if it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(autouse=True)
def _seed_and_quiet():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _settings_as_written():
    """Disable the default preset, so that test runs have only the settings that they write and stay short."""
    from hf_rnn.training import run_config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_config, "DEFAULT_PRESET", "none")
        yield


@pytest.fixture(autouse=True)
def _whole_floats_on_a_gpu(request, monkeypatch):
    """Disable TF32, the default of cuDNN: its mantissa has 10 bits, so results differ from float32 on a CPU."""
    if "gpu" in request.keywords:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def pytest_collection_modifyitems(items):
    for item in items:
        # Other programs are slow to import and to train.
        if "works_with" in item.keywords:
            item.add_marker(pytest.mark.slow)
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none here"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """Return the folder of a small text classifier that was trained for one epoch on made-up reviews."""
    import hf_rnn

    folder = tmp_path_factory.mktemp("tiny")
    reviews_as_csv(folder / "reviews.csv", 300)
    hf_rnn.train(tiny_config(folder / "reviews.csv", folder / "model"))
    return folder / "model"


@pytest.fixture
def reviews_csv(tmp_path) -> Path:
    """Return a CSV file of 200 reviews."""
    return reviews_as_csv(tmp_path / "reviews.csv", 200)


@pytest.fixture(scope="session")
def browser():
    """Yield Chromium, or skip the test if it or playwright is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="clicking through the page needs playwright")
    if CHROMIUM is None:
        pytest.skip("clicking through the page needs Chromium, and none is on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()
