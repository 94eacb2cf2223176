# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read files, tables in memory and data sets of the Hub into rows of text and labels.

The data goes through the modules in this order: `sources` finds the splits (`folders`, `python_rows`), `encodings` and
`dialects` decide how a file is written, `formats` has a reader for each format, `tables` holds the rows, `columns` and
`labels` decide what they mean, and `schema` saves what was decided.
"""
