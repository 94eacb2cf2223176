# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The command hf-rnn-run: answer texts with an exported model, as JSON Lines."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn, TextIO

from .errors import HfRnnError

_EPILOG = """examples:
  hf-rnn-run exported/imdb "What a film!" "I fell asleep."
  hf-rnn-run USER/MODEL --file texts.txt > answers.jsonl
  hf-rnn-run exported/pairs --file pairs.jsonl --top_k 0
  hf-rnn-run exported/translator "How are you?" --num_beams 3
  hf-rnn-run exported/language_model "The film" --max_new_tokens 20 --seed 1

A file has one text on each line, or is JSON Lines (.jsonl, or --format jsonl). A row of JSON Lines has its text as
"text" and the second text of a pair as "text_pair", or in the columns of the training data. Without texts and --file,
the lines of standard input are read."""

# Endings of files whose lines are not texts.
TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".xlsx", ".gz", ".bz2", ".xz", ".zip", ".zst")
# Options of language models only.
WRITING = ("max_new_tokens", "temperature", "top_p", "seed")
TEXT, JSON_LINES = FORMATS = ("text", "jsonl")


class _Parser(argparse.ArgumentParser):
    """Parser whose error about an unknown option names the nearest known one."""

    def error(self, message: str) -> NoReturn:
        words = message.partition("unrecognized arguments: ")[2].split()
        near = difflib.get_close_matches(words[0].partition("=")[0], self._option_string_actions, n=1) if words else []
        super().error(f"there is no option {words[0]}: did you mean {near[0]}?" if near else message)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    made = _Parser(
        "hf-rnn-run",
        description="Answer texts with an exported model. Each answer is a line of JSON.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("model", metavar="MODEL", help="folder that hf-rnn export wrote, or Hub id")
    made.add_argument("texts", metavar="TEXT", nargs="*", help="texts to answer")
    made.add_argument("--file", help="file of texts, or - for standard input")
    made.add_argument(
        "--format",
        choices=FORMATS,
        help="text: a text on each line; jsonl: a JSON object on each line (default: jsonl for a file that ends with "
        ".jsonl or .json, else text)",
    )
    made.add_argument(
        "--top_k",
        type=int,
        help="number of labels of a text, 0 for all (default: 1); of a language model, number of the most probable "
        "tokens among which one is drawn (default: 0, for all)",
    )
    made.add_argument("--min_score", type=float, help="least score of a label, from 0 to 1 (default: 0, for none)")
    made.add_argument("--num_beams", type=int, help="beams of a translator or a language model; as saved if left out")
    writing = made.add_argument_group("language models, which continue texts")
    writing.add_argument("--max_new_tokens", type=int, help="most tokens of a continuation (default: 50)")
    writing.add_argument("--temperature", type=float, help="divisor of the logits; 0 for greedy decoding (default: 1)")
    writing.add_argument("--top_p", type=float, help="probability of the tokens among which one is drawn (default: 1)")
    writing.add_argument("--seed", type=int, help="seed of the random numbers; a new one if left out")
    made.add_argument("--threads", type=int, default=1, help="threads of an operator, 0 for one on each core")
    made.add_argument("--quantized", action="store_true", help="use the int8 weights")
    made.add_argument("--revision", help="branch, tag or commit of a model on the Hub")
    return made


def run(arguments: Sequence[str]) -> None:
    """Answer the texts that the arguments name, and print an answer on each line.

    Args:
        arguments: Words of the command line after the name of the command.

    Raises:
        HfRnnError: The model or a text cannot be used, or there is no text.
    """
    # A text may stand after an option.
    options = parser().parse_intermixed_args(arguments)
    if options.texts and options.file:
        raise HfRnnError(f"{options.texts[0]!r} and --file {options.file} are both given: write one of them.")
    if options.file and options.file.lower().endswith(TABLES):
        raise HfRnnError(
            f"--file {options.file} is a table or compressed, and its lines are not texts: write its texts into a file "
            "with one on each line, or into JSON Lines (.jsonl); or write hf-rnn predict, which reads tables."
        )
    if not options.texts and not options.file and _is_terminal():
        raise HfRnnError('there is no text: write hf-rnn-run MODEL "some text", or --file FILE, or pipe lines into it.')
    # Imported after the check of the arguments: onnxruntime takes 0.1 s.
    from .model import Model

    quantized = True if options.quantized else None
    model = Model.from_pretrained(
        options.model, quantized=quantized, revision=options.revision, threads=options.threads
    )
    columns = model.record.text_columns
    texts = iter(options.texts) if options.texts else _rows(options.file or "-", columns, options.format)
    none = True
    for answer in _answers(model, texts, options):
        none = False
        print(json.dumps(answer, ensure_ascii=False))
    if none:
        raise HfRnnError("the input has no line: write a text on each line.")


def _answers(model: Any, texts: Iterator[Any], options: argparse.Namespace) -> Iterator[dict]:
    """Yield the answer to each text; that of a language model is the text with its continuation."""
    given = {name: getattr(options, name) for name in WRITING if getattr(options, name) is not None}
    if model.record.task == "language_modeling":
        if options.min_score is not None:
            raise HfRnnError(f"--min_score {options.min_score} compares the scores of labels: leave it out.")
        for text in texts:
            yield {"text": model.generate(text, num_beams=options.num_beams, top_k=options.top_k, **given)}
        return
    if given:
        name, value = next(iter(given.items()))
        raise HfRnnError(f"--{name} {value} is an option of language models only: leave it out.")
    top_k = 1 if options.top_k is None else options.top_k
    yield from model.stream(texts, top_k=top_k, min_score=options.min_score or 0.0, num_beams=options.num_beams)


def _is_terminal() -> bool:
    """Return True if somebody types, or if there is no standard input."""
    return sys.stdin is None or sys.stdin.closed or sys.stdin.isatty()


def _rows(file: str, columns: Sequence[str], form: str | None) -> Iterator[Any]:
    """Yield the text or the pair of texts on each line of a file, or of standard input.

    Args:
        file: Path of the file; - for standard input.
        columns: Columns of the texts in the training data, which rows of JSON Lines may have too.
        form: Form of the lines, one of `FORMATS`. None for the form that the ending of the file names.
    """
    if file == "-" and hasattr(sys.stdin, "reconfigure"):
        # Whatever the locale, errors are not hidden.
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    where = "standard input" if file == "-" else repr(file)
    named = form or (JSON_LINES if file.lower().endswith((".jsonl", ".json")) else None)
    try:
        with nullcontext(sys.stdin) if file == "-" else open(file, encoding="utf-8-sig") as lines:
            yield from _json_texts(lines, columns, where) if named == JSON_LINES else _lines(lines, where, named)
    except UnicodeDecodeError as error:
        raise HfRnnError(f"{where} is not UTF-8 ({error.reason}): convert it, iconv -f latin1 -t utf-8.") from error
    except OSError as error:
        raise HfRnnError(f"{where} cannot be read ({error.strerror}): name a file of texts, --file FILE.") from error


def _lines(lines: TextIO, where: str, form: str | None) -> Iterator[str]:
    """Yield the text on each line. If no form was named, the first line must not be a JSON object."""
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if number == 1 and form is None and isinstance(_json(line), dict):
            raise HfRnnError(
                f"line 1 of {where} is a JSON object, {line[:60]!r}: write --format jsonl to read its text, or "
                "--format text to answer the line as it is."
            )
        yield line


def _json_texts(lines: TextIO, columns: Sequence[str], where: str) -> Iterator[Any]:
    """Yield the text, or the pair of texts, of each line of JSON. Blank lines are left out."""
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line:
            continue
        row = _json(line)
        # The names of the training data come first, also where a row has a column "text" too.
        names = columns if isinstance(row, dict) and columns[0] in row else ("text", "text_pair")[: len(columns)]
        missing = [name for name in names if not isinstance(row, dict) or name not in row]
        if missing:
            example = ", ".join(f'"{name}": "…"' for name in names)
            raise HfRnnError(
                f"line {number} of {where} is {line[:60]!r}, without {' and '.join(map(repr, missing))}: write a JSON "
                f"object, {{{example}}}."
            )
        texts = tuple(row[name] for name in names)
        if len(names) == 1 and "text_pair" in row:
            # A record without the columns of training does not say that the model reads pairs.
            texts = (*texts, row["text_pair"])
        yield texts if len(texts) > 1 else texts[0]


def _json(line: str) -> Any:
    """Return the value of a line of JSON; None for other lines."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def main() -> None:
    """Run the command with the words of the command line, and end the process."""
    # Output is UTF-8 whatever the locale. Pipes and files may have another encoding by default.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except HfRnnError as error:
        print(f"hf-rnn-run: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader, such as `head`, has ended. Nothing is written at the end of the process either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("hf-rnn-run: interrupted.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

__all__ = ["main", "parser", "run"]
