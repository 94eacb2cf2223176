"""Train the committed configurations on real data and write docs/results.md: `make results`.

The metrics of each run are kept in docs/results/, one file per row. A run that is on record is not trained again,
unless its weights are missing and another run starts from them. Delete its entry to train it again.

`--together` measures several runs of a row as one model: as a model soup and as an ensemble of logits.
"""

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import hf_rnn
from hf_rnn.inference.evaluation import evaluate

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "docs" / "results"
FIRST_SEED = 42


@dataclass
class Row:
    """Row of the tables: a configuration with changes.

    Args:
        name: Name of the row, of its folder under runs/ and of its record.
        data: Name of the data set's folder.
        config: Name of the file under configs/. None means `name`; "" means no file, and a preset chooses.
        changes: More command line options.
        base: Name of the row whose weights this row starts from; None for random weights.
        title: Name of the row in the tables that have a first column of titles.
    """

    name: str
    data: str
    config: str | None = None
    changes: str = ""
    base: str | None = None
    title: str = ""

    def folder(self, seed: int) -> Path:
        """Return the folder of the run with a seed."""
        return ROOT / "runs" / (self.name if seed == FIRST_SEED else f"{self.name}-{seed}")

    @property
    def needs_vectors(self) -> bool:
        """True if the row starts from pretrained vectors."""
        return "VECTORS" in self.changes

    @property
    def record(self) -> Path:
        """The file that keeps the metrics of all runs of the row."""
        return RECORDS / f"{self.name}.json"

    def train(self, data: Path, seed: int, lend: bool = False, vectors: str = "") -> None:
        """Train a run unless it is on record; with `lend`, also if it is on record and its weights are missing."""
        if str(seed) in self.records() and not (lend and not (self.folder(seed) / "metrics.json").exists()):
            return
        if self.base:
            ROWS[self.base].train(data, FIRST_SEED, lend=True)
        config = "" if self.config == "" else f" --config configs/{self.config or self.name}.yaml"
        command = f"hf-rnn train{config} --data.path DATA/{self.data} {self.changes}".strip()
        arguments = shlex.split(command.replace("DATA/", f"{data}/").replace("VECTORS", vectors))[2:]
        arguments += ["--training.output_dir", str(self.folder(seed)), "--training.overwrite", "true"]
        metrics = hf_rnn.train([*arguments, "--training.seed", str(seed)])
        about = {key: metrics[key] for key in ("run", "validation", "test") if key in metrics}
        self.keep(str(seed), {"command": command, **about})

    def together(self, data: Path, seeds: list[int]) -> None:
        """Measure trained runs as one model: as a model soup and as an ensemble of logits."""
        first, *others = folders = [self.folder(seed) for seed in seeds]
        merged = first.with_name(f"{self.name}-mean")
        shutil.rmtree(merged, ignore_errors=True)
        hf_rnn.average(folders, merged)
        of, apart = [str(folder.relative_to(ROOT)) for folder in folders], str(merged.relative_to(ROOT))
        for kind, model, more, command in (
            ("weights", merged, [], f"hf-rnn average {' '.join(of)} --output {apart}; hf-rnn evaluate {apart}"),
            ("answers", first, others, " --others ".join([f"hf-rnn evaluate {of[0]}", *of[1:]])),
        ):
            predictor = hf_rnn.Predictor.from_pretrained(model, others=more)
            rows = replace(predictor.task.data, path=str(data / self.data))
            test = evaluate(predictor, rows)
            self.keep(kind, {"command": command, "runs": len(seeds), "test": test})

    def keep(self, key: str, record: dict) -> None:
        """Write one entry of the record."""
        RECORDS.mkdir(exist_ok=True)
        text = json.dumps({**self.records(), key: record}, indent=2)
        self.record.write_text(text + "\n", encoding="utf-8")

    def records(self) -> dict[str, dict]:
        """Return all entries of the record, by seed or by kind of joint measurement."""
        return json.loads(self.record.read_text(encoding="utf-8")) if self.record.exists() else {}

    def ended(self) -> list[dict]:
        """Return the records of the finished runs, one per seed."""
        return [record for key, record in self.records().items() if key.isdigit()]


IMDB = Row("imdb", "imdb", title="supervised")
IMDB_FINETUNE = Row("imdb_finetune", "imdb", base="imdb_lm", title="+ pretrained language model, both directions")
# The preset `best`, for a classifier that starts from the language model.
IMDB_BEST = Row("imdb_lm_best", "imdb", "", "--preset best --model.pretrained runs/imdb_lm", "imdb_lm")
# The same with a smaller language model, which is trained in half an hour.
SMALL = "--model.hidden_size 256 --training.num_train_epochs 1 --training.bf16 false"
IMDB_BEST_SMALL = Row(
    "imdb_lm_small_best", "imdb", "", "--preset best --model.pretrained runs/imdb_lm_small", "imdb_lm_small"
)
CLASSIFIERS = [
    Row("imdb_seed", "imdb"),
    IMDB,
    Row("sst2", "sst2"),
    Row("trec", "trec"),
    IMDB_FINETUNE,
    IMDB_BEST,
    IMDB_BEST_SMALL,
    Row("sst2_finetune", "sst2", base="imdb_lm"),
    Row("trec_finetune", "trec", base="imdb_lm"),
]
LANGUAGE_MODELS = [
    Row("imdb_lm", "imdb"),
    Row("imdb_lm_small", "imdb", "imdb_lm", SMALL),
    Row("wikitext2_lm", "wikitext2"),
]


def part(name: str, changes: str, title: str, base: str | None = "imdb_lm") -> Row:
    """Return the row `imdb_finetune` with some options changed."""
    return Row(name, "imdb", "imdb_finetune", changes, base, title)


ONE_WAY = "--model.forward_only true"
# Miyato et al. use a perturbation of norm 5 for a text whose embedding has a norm of about 320.
ADVERSARIAL = "--training.adversarial 1 --training.perturbation 0.02"
UNLABELLED = "--training.entropy_minimisation 1 --data.unlabelled_splits '[unsupervised]'"
LADDER = [
    IMDB,
    part("imdb_one_way", ONE_WAY, "+ pretrained language model, one direction"),
    part("imdb_one_way_adversarial", f"{ONE_WAY} {ADVERSARIAL}", "+ adversarial training"),
    part("imdb_one_way_mixed", f"{ONE_WAY} {ADVERSARIAL} {UNLABELLED}", "+ entropy minimisation on unlabelled reviews"),
    IMDB_FINETUNE,
]
# Sizes and tokenizer of the language model, for a classifier with random initial weights.
FROM_NOTHING = (
    "--model.pretrained null --model.embedding_size 256 --model.hidden_size 512 --tokenizer.kind word "
    "--tokenizer.vocab_size 30000 --tokenizer.lowercase true --tokenizer.strip_html true"
)
LEFT_OUT = [
    part("imdb_no_lm", FROM_NOTHING, "the language model", base=None),
    part("imdb_one_rate", f"{ONE_WAY} --training.layer_lr_decay 1", "lower learning rates of lower layers"),
    part(
        "imdb_unfreezing",
        f"{ONE_WAY} --training.gradual_unfreezing true",
        "training all layers from the first epoch on",
    ),
    part("imdb_last", f"{ONE_WAY} --model.pooling last", "maximum and mean in the pooling"),
    part("imdb_no_dropconnect", f"{ONE_WAY} --model.weight_dropout 0", "dropout of recurrent weights (DropConnect)"),
    part("imdb_400", f"{ONE_WAY} --data.max_length 400", "tokens of a text beyond 400"),
]
TAGGING = "--task token_classification"
TAGGERS = [
    Row("conll2003", "conll2003"),
    Row("conll2003_default", "conll2003", "", TAGGING),
    Row("conll2003_best", "conll2003", "", f"{TAGGING} --preset best"),
    Row("conll2003_best_vectors", "conll2003", "", f"{TAGGING} --preset best --model.vectors VECTORS"),
]
DE_EN = "--data.text_column de --data.label_column en"
TRANSLATORS = [
    Row("multi30k_en_de", "multi30k", "multi30k", title="English to German"),
    Row("multi30k_de_en", "multi30k", "multi30k", DE_EN, title="German to English"),
]
ROWS = {row.name: row for row in [*LANGUAGE_MODELS, *CLASSIFIERS, *LADDER, *LEFT_OUT, *TAGGERS, *TRANSLATORS]}
PUBLISHED_F1 = {
    "Ma and Hovy 2016, BiLSTM-CNN-CRF, no outside vectors": "80.76",
    "Ma and Hovy 2016, the same with outside vectors": "91.21",
}
PUBLISHED_BLEU = {"LIUM-CVC 2017, GRU with attention, text only (tokenized with Moses)": "39.0"}
PUBLISHED_ACCURACY = {
    "Miyato et al. 2017, adversarial and virtual adversarial training": "94.1 %",
    "Howard and Ruder 2018, ULMFiT, forward and backward": "95.4 %",
    "Sachan et al. 2019, mixed objective": "95.68 %",
}
PUBLISHED_PERPLEXITY = {
    "Grave et al. 2017, one LSTM layer of 1024, without the cache": "99.3",
    "Merity et al. 2018, AWD-LSTM of 33 million parameters, 750 epochs, without pointer": "65.8",
    "Melis 2022, Mogrifier RLSTM, without dynamic evaluation": "55.0",
}
NOTES = [
    "`conll2003_default` ran while other programs used the two cores, which tripled its minutes. The runs of "
    "`conll2003_best_vectors` had one thread each, and two to four programs shared the two cores. With 50,000 words of "
    "the vectors instead of 100,000 and the full learning rate of the embedding, three runs had a test F1 of 87.97 % "
    "and a validation F1 of 93.14 %. Without words of the vectors in the vocabulary, with a standard deviation of the "
    "vectors of 0.1 and dropout of 0.5, one run had 83.41 % and 89.59 %.",
    "`imdb_lm_small` and `imdb_lm_small_best` used both cores while other programs ran, which took up to half of their "
    "minutes. The n-grams of the second one are part of its accuracy.",
    "`imdb_seed`, `imdb`, `sst2` and `trec` ran with one thread each (`OMP_NUM_THREADS=1`), and two programs shared "
    "the two cores.",
    "`imdb_lm` used both cores while other programs ran; alone it takes 65 to 70 minutes. `imdb_no_lm` and all rows "
    "that start from `imdb_lm` ran with one thread each, and two programs shared the two cores. The first run of "
    "`imdb_one_way` was paused for some 8 of its 35 minutes (the others took 22 and 24). `imdb_finetune` was stopped "
    "in its second epoch and resumed from the checkpoint of the first; its minutes include both parts.",
    "The seeds 43 and 44 of `imdb_finetune` and `imdb_one_way_mixed`, 44 of `trec_finetune`, 43 of `sst2_finetune`, "
    "and `imdb_unfreezing` and `imdb_400` ran later, also with one thread each. Since then, only the seed and the "
    "epoch determine the order of rows. Tests ran at the same time as some of them; the slowest run was a seventh "
    "slower.",
    "The perplexity of `imdb_lm` was computed from its loss, 4.468 nats per token, after the word count changed to "
    "exclude HTML tags: 184.77 per word, and 175.18 with the tags. 1.6 % of its validation tokens are unknown words.",
    "`wikitext2_lm` used both cores; tests ran at the same time for some ten of its minutes. Its learning rate was "
    "chosen by one epoch on the training text: 0.003 had a validation perplexity of 234.9, and 0.008 one of 203.5.",
    "The test split was read for each seed of a row, for each part left out or added, and for the model soups and "
    "ensembles; it was used for no choice.",
    "`conll2003` and `multi30k_*` ran with one thread each. Two to five programs shared the two cores, so some runs "
    "were twice as slow as others. Their settings were chosen on the validation split: for `conll2003` by the F1 of "
    "seven runs (which also printed test figures, 82.0 to 83.6 %, that were used for no choice), for `multi30k` by "
    "the BLEU of three runs. `hf-rnn evaluate` computed the scores of `multi30k_*` again, because training had "
    "computed them partly in bf16, which gave 0.1 to 0.3 more.",
    "The test split of `imdb` was read four times, once for each configuration that had been chosen on the validation "
    "split: 30,000 words and three epochs 89.91 %, two epochs 89.94 %, 10,000 words (chosen on the last 5,000 "
    "training rows in the order of the release, in which neighbours share a film) 89.93 %, and the same on 24,000 "
    "instead of 22,500 training rows, because the last epoch was always the best and needs few rows to show it.",
]


def spread(values: list[float], form: str) -> str:
    """Return the mean, with the standard deviation if there are several runs."""
    if len(values) == 1:
        return format(values[0], form)
    return f"{mean(values):{form}} ± {stdev(values):{form}} ({len(values)} runs)"


def of(runs: list[dict], split: str, metric: str, form: str = ".2%") -> str:
    """Return the table cell of a metric on a split; empty if no run has that split."""
    values = [run[split][metric] for run in runs if split in run]
    return spread(values, form) if values else ""


def minutes(row: Row, runs: list[dict]) -> str:
    """Return the mean minutes of a run, plus those of the run that it starts from."""
    own = f"{mean(run['run']['train_seconds'] for run in runs) / 60:.1f}"
    return f"{own} + {minutes(ROWS[row.base], ROWS[row.base].ended())}" if row.base else own


def table(head: str, rows: list[Row], cells) -> list[str]:
    """Return the Markdown lines of a table of the rows that have finished runs."""
    ended = [(row, row.ended()) for row in rows if row.ended()]
    if not ended:
        return []
    lines = ["| " + " | ".join(cells(row, runs)) + " |" for row, runs in ended]
    return [head, "|" + "---|" * head.count(" | ") + "---|", *lines, ""]


def published(figure: str, figures: dict[str, str]) -> list[str]:
    """Return the Markdown lines of a table of published figures."""
    return [f"| published | {figure} |", "|---|---|", *[f"| {who} | {what} |" for who, what in figures.items()], ""]


def _facts(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells for epochs, minutes and parameters."""
    run = runs[0]["run"]
    return [f"{run['epochs']:g}", minutes(row, runs), f"{run['parameters']:,}"]


def accuracy(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells of a text classifier."""
    metrics = (("test", "accuracy"), ("test", "f1_macro"), ("validation", "accuracy"))
    return [f"`{runs[0]['command']}`", *[of(runs, *metric) for metric in metrics], *_facts(row, runs)]


def titled(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells of a text classifier, with the title first."""
    return [row.title, *accuracy(row, runs)]


def perplexity(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells of a language model."""
    per_word = [of(runs, split, "word_perplexity", ".2f") for split in ("test", "validation")]
    return [f"`{runs[0]['command']}`", *per_word, *_facts(row, runs)]


def tagging(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells of a tagger."""
    return [f"`{runs[0]['command']}`", *[of(runs, split, "f1") for split in ("test", "validation")], *_facts(row, runs)]


TRANSLATED = "test BLEU, lower-cased | BLEU | chrF | validation BLEU, lower-cased | epochs | minutes | parameters |"


def translating(row: Row, runs: list[dict]) -> list[str]:
    """Return the cells of a translator."""
    wanted = (("test", "bleu_lowercase"), ("test", "bleu"), ("test", "chrf"), ("validation", "bleu_lowercase"))
    return [row.title, f"`{runs[0]['command']}`", *[of(runs, *metric, ".2f") for metric in wanted], *_facts(row, runs)]


def signature() -> str:
    """Return the signature of sacreBLEU, which records how BLEU was computed."""
    runs = [run for row in TRANSLATORS for run in row.ended()]
    return f"`{runs[0]['test']['bleu_lowercase/signature']}`" if runs else ""


def as_one() -> list[str]:
    """Return the Markdown lines of the table of model soups and ensembles."""
    lines = []
    for name, row in ROWS.items():
        for kind in ("weights", "answers"):
            if record := row.records().get(kind):
                figures = " | ".join(f"{record['test'][metric]:.2%}" for metric in ("accuracy", "f1_macro"))
                what = f"`{name}`, mean of the {kind} of {record['runs']} runs"
                lines.append(f"| {what} | `{record['command']}` | {figures} |")
    head = ["| several runs as one model | command | test accuracy | macro F1 |", "|---|---|---|---|"]
    return [*head, *lines, ""] if lines else []


def page() -> str:
    """Return the text of docs/results.md."""
    columns = "test accuracy | macro F1 | validation accuracy | epochs | minutes | parameters |"
    lines = [
        "# Results",
        "",
        "Each run uses the committed configuration, on a CPU. A row of one run has the committed seed; a row of",
        "several runs has the seeds 42, 43, …, and gives the mean ± standard deviation. The epoch was chosen on the",
        "validation split. If a data set has no validation split, a part of the training split was held out for it.",
        "The test split was read after training.",
        "",
        "`DATA` is a folder with one folder of Parquet files per data set. Without `--data.path`, the data come from",
        "the Hub. A command without a configuration uses a preset. `VECTORS` is a file of GloVe 6B vectors with 100",
        "dimensions, without the words that its source lacks. `make results` runs all commands and writes this page.",
        "",
        *table(f"| command | {columns}", CLASSIFIERS, accuracy),
        *as_one(),
        "The `_finetune` rows start from the encoder of `imdb_lm`; the minutes after the plus sign are those of",
        "`imdb_lm`.",
        "The mean of the weights is a model soup, and the mean of the answers is an ensemble of logits.",
        "",
        "## Language models",
        "",
        "Perplexity is per word, with the words of the data set; the end of a document or line counts as a word.",
        "",
        *table("| command | test | validation | epochs | minutes | parameters |", LANGUAGE_MODELS, perplexity),
        *published("test, WikiText-2", PUBLISHED_PERPLEXITY),
        "## Named entity recognition",
        "",
        "F1 is that of whole entities, as conlleval computes it.",
        "",
        *table("| command | test F1 | validation F1 | epochs | minutes | parameters |", TAGGERS, tagging),
        *published("test F1, CoNLL-2003", PUBLISHED_F1),
        "## Translation",
        "",
        "BLEU and chrF are computed by sacreBLEU, with a beam of five. The first column is BLEU of lower-cased texts, "
        "as in the literature; its signature is " + signature(),
        "",
        *table(f"| Multi30k | command | {TRANSLATED}", TRANSLATORS, translating),
        *published("English to German, 2016 test, BLEU, lower-cased and tokenized", PUBLISHED_BLEU),
        "## IMDB: from supervised training to a pretrained language model",
        "",
        *table(f"| IMDB | command | {columns}", LADDER, titled),
        *published("test accuracy", PUBLISHED_ACCURACY),
        *table(f"| left out of `imdb_one_way` | command | {columns}", LEFT_OUT, titled),
        "## Hardware, versions and notes",
        "",
    ]
    for name, row in ROWS.items():
        for metrics in row.ended()[:1]:
            run = metrics["run"]
            stated = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
            lines.append(
                f"- `{name}`: {run['date']}, {run['hardware']}; {stated}. {run['train_rows']:,} training rows."
            )
    lines += [f"- {note}" for note in NOTES]
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder of Parquet files per data set")
    parser.add_argument("--only", nargs="*", choices=ROWS, help="rows to train; all by default")
    parser.add_argument("--vectors", default="", help="file of pretrained vectors, for the rows that begin with them")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each row")
    parser.add_argument("--together", action="store_true", help="measure these runs as one, instead of training them")
    arguments = parser.parse_args()
    named = arguments.only or [name for name, row in ROWS.items() if arguments.vectors or not row.needs_vectors]
    if not arguments.vectors and any(ROWS[name].needs_vectors for name in named):
        parser.error("a row that was named begins with pretrained vectors: name their file, --vectors FILE")
    seeds = list(range(FIRST_SEED, FIRST_SEED + arguments.seeds))
    for name in named:
        if arguments.together:
            ROWS[name].together(arguments.data, seeds)
            continue
        for seed in seeds:
            ROWS[name].train(arguments.data, seed, vectors=arguments.vectors)
    text = page()
    print(text)
    (ROOT / "docs" / "results.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
