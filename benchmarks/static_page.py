"""Measure the page that runs a model in the browser: the first answer after it is opened, and a review of 300 words.

python benchmarks/static_page.py [--data ../shared/data] [--model FOLDER]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import report
import torch
import yaml
from datasets import load_dataset
from playwright.sync_api import Browser, sync_playwright
from support.web import CHROMIUM, QUIET, served

from hf_rnn import RNNConfig, RNNForSequenceClassification, export, train_tokenizer
from hf_rnn.app.static_page import write_static_page

# The answers alone, without the curve and the coloured words.
ANSWERS = """async (texts) => {
  const { Engine } = await import("./engine.js");
  const engine = await Engine.load();
  const times = [];
  for (const text of texts) {
    const started = performance.now();
    await engine.answer(text);
    times.push(performance.now() - started);
  }
  return times;
}"""


def untrained(folder: Path, texts: list[str]) -> Path:
    """Write a classifier with the sizes of configs/imdb.yaml and random weights, and return its folder."""
    settings = yaml.safe_load((report.ROOT / "configs" / "imdb.yaml").read_text(encoding="utf-8"))
    tokenizer = train_tokenizer(texts, **settings["tokenizer"], show_progress=False)
    labels = dict(enumerate(settings["data"]["label_names"]))
    config = RNNConfig(vocab_size=len(tokenizer), id2label=labels, **settings["model"])
    torch.manual_seed(0)
    RNNForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def first_answer(browser: Browser, address: str) -> float:
    """Return the milliseconds from opening the page, with an empty cache, until it has answered a text."""
    page = browser.new_context().new_page()
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => (document.getElementById('text').value = 'A good film.'))"
    )
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#answer:not([hidden])")
    taken = 1000 * (time.perf_counter() - started)
    page.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(parents=[report.parser(__doc__, rounds=5)], add_help=False)
    parser.add_argument(
        "--model", help="folder of a model; random weights in the sizes of configs/imdb.yaml if left out"
    )
    parser.add_argument("--assets", help="folder with the npm packages of the page")
    arguments = parser.parse_args()
    rows = load_dataset(str(arguments.data / "imdb"), split="test")
    every = rows.select(range(0, len(rows), 10))["text"]
    texts = [text for text in every if 290 <= len(text.split()) <= 310][:40]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        source = Path(arguments.model) if arguments.model else untrained(Path(folder, "model"), list(every))
        exported = export(source, Path(folder, "exported"))
        site = write_static_page(str(exported), Path(folder, "page"), assets=arguments.assets)
        size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) / 1e6
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        with served(site) as address:
            opened = [first_answer(browser, address) for _ in range(arguments.rounds)]
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#title:not(:empty)")
            # The first answers run code that the browser has not optimized yet.
            answered = page.evaluate(ANSWERS, texts[:5] + texts)[5:]
        browser.close()
    rows = [
        [name, f"{statistics.median(times):,.0f}", f"{min(times):,.0f} to {max(times):,.0f}"]
        for name, times in {
            "first answer after the page is opened": opened,
            f"answer to a review of 300 words ({len(texts)} reviews)": answered,
        }.items()
    ]
    title = f"Classifier of the size of configs/imdb.yaml, page of {size:.1f} MB"
    table = report.table(title, ["step", "median ms", "range"], rows)
    report.save("static_page", "A model in the browser", [table], NOTES)


NOTES = """Measured in headless Chromium, whose cache was empty at each opening, with a server on the same machine. The
page runs one thread. The model has random weights, which do not change the time."""


if __name__ == "__main__":
    main()
