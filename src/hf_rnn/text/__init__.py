# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read files, tables in memory and data sets of the Hub into rows of text and labels.

The data passes through the modules in this order: `sources` finds the splits (with `folders` and `python_rows`),
`encodings` and `dialects` detect how a file is written, `formats` has a reader for each file format, `tables` stores
the rows, `columns` and `labels` find what the columns and labels mean, and `schema` saves these decisions.
"""
