# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Models in the formats of other programs: export to ONNX, import from Keras, fastai and torch."""
