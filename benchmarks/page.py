"""Measure how long the demo page takes to answer and explain a review of 300 words.

hf-rnn train --config configs/imdb.yaml
python benchmarks/page.py runs/imdb [--data ../shared/data]
"""

import argparse
import shutil
import statistics
import time

import report
from datasets import load_dataset
from playwright.sync_api import Page, sync_playwright

from hf_rnn import Predictor
from hf_rnn.app.demo import build
from hf_rnn.interpret.attribution import METHODS

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# The scores of the words. The HTML of the page would not do, because it changes while the page waits for the answer.
SCORES = "[...document.querySelectorAll('#words span[title]')].map(word => word.title).join()"


def answer(page: Page, text: str) -> float:
    """Return the milliseconds from the click until the words have their colours."""
    page.fill("#text textarea", text)
    before = page.evaluate(SCORES)
    start = time.perf_counter()
    page.click("#ask")
    page.wait_for_function(f"before => {SCORES} && {SCORES} != before", arg=before)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(parents=[report.parser(__doc__, rounds=1)], add_help=False)
    parser.add_argument("model", help="folder of a trained model")
    arguments = parser.parse_args()
    rows = load_dataset(str(arguments.data / "imdb"), split="test")
    texts = [text for text in rows.select(range(0, len(rows), 25))["text"] if 290 <= len(text.split()) <= 310]
    blocks = build(Predictor.from_pretrained(arguments.model))
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    found = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        page = browser.new_page()
        page.goto(address)
        for method in METHODS:
            if method == "attention":
                continue
            page.get_by_label("Explained by").click()
            page.get_by_role("option", name=method.replace("_", " "), exact=True).click()
            answer(page, "warm up")
            found[method.replace("_", " ")] = [answer(page, text) for text in texts[:20]]
        browser.close()
    blocks.close()
    columns = ["explanation method", "median ms", "range"]
    rows = [
        [name, f"{statistics.median(times):.0f}", f"{min(times):.0f} to {max(times):.0f}"]
        for name, times in found.items()
    ]
    title = f"{len(texts[:20])} test reviews of 290 to 310 words"
    report.save("page", "Response time of the demo page", [report.table(title, columns, rows)], NOTES)


NOTES = """Times run from the click to the coloured words, in headless Chromium on the same machine. They include
the labels, the explanation and the reading curve. The default method of the page is input x gradient."""


if __name__ == "__main__":
    main()
