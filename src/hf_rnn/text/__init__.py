# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read files, tables in memory and data sets of the Hub into rows of text and labels.

The data goes through the modules in this order: `sources` finds the splits, `encodings` and `dialects` decide how a
file is written, `delimited` and `formats` read it, `tables` holds the rows, `columns` and `labels` decide what they
mean, and `schema` saves what was decided.
"""
