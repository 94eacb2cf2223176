# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Model folders and model cards, and their upload to and download from the Hub."""
