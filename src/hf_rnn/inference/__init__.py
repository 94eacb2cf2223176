# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Prediction with trained models: for texts, files, text streams and long texts; and model soups."""
