# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The commands, one file each: `hf-rnn NAME` runs `NAME.py`. A new file here is a new command.

A command's docstring is its help: the first line stands in the list of commands, the indented lines are examples. Its
file holds these functions:

- `parser()` returns a [`~hf_rnn.cli.options.CommandParser`] with the command's options.
- `run(options)` calls one function of the package and prints its result. The models are registered by then.
- `check(options)`, if any, raises [`~hf_rnn.utils.errors.UserError`] for options that do not go together. It is called
  before any model is loaded.
- `imports(options)`, if any, returns a context manager, inside of which the models are registered and the command runs.
- `after_interrupt(options)`, if any, returns a sentence that tells how an interrupted command goes on.

`options.command_line` are the command's arguments as they were written.

The list of commands imports every file here: import torch, transformers and our other packages, but for `utils`,
inside of the functions.
"""
