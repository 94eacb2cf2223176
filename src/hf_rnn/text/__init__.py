# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""From files, tables in memory and the Hub to rows of text and labels.

The data goes through the modules in this order: `sources` finds the splits, `encodings` and `dialects` decide how a file
is written, `delimited` and `formats` read it, `tables` holds the rows, `columns` and `labels` decide what they mean, and
`schema` says what was decided.
"""
