"""Test classes of tasks that transformers' pipeline mixin needs and that its source distribution lacks."""

import unittest

from transformers import (
    FeatureExtractionPipeline,
    TextClassificationPipeline,
    TextGenerationPipeline,
    TokenClassificationPipeline,
)


class TextClassificationPipelineTests(unittest.TestCase):
    def get_test_pipeline(self, model, tokenizer=None, dtype="float32", **processors):
        pipeline = TextClassificationPipeline(model=model, tokenizer=tokenizer, dtype=dtype, **processors)
        return pipeline, ["HuggingFace is in", "This is another test"]

    def run_pipeline_test(self, pipeline, examples):
        labels = set(pipeline.model.config.id2label.values())
        for one in (pipeline(examples[0]), pipeline([examples[0]])):
            self.assertEqual(len(one), 1)
            self.assertIn(one[0]["label"], labels)
            self.assertIsInstance(one[0]["score"], float)
        two = pipeline(examples)
        self.assertEqual(len(two), 2)
        every = pipeline(examples, top_k=None)
        for answers in every:
            self.assertEqual({answer["label"] for answer in answers}, labels)
            self.assertAlmostEqual(sum(answer["score"] for answer in answers), 1, places=2)
            scores = [answer["score"] for answer in answers]
            self.assertEqual(scores, sorted(scores, reverse=True))
        pair = pipeline({"text": examples[0], "text_pair": examples[1]})
        self.assertIn(pair["label"], labels)
        with self.assertRaises(ValueError):
            pipeline([[examples[0], examples[1]]])


class TokenClassificationPipelineTests(unittest.TestCase):
    def get_test_pipeline(self, model, tokenizer=None, dtype="float32", **processors):
        pipeline = TokenClassificationPipeline(model=model, tokenizer=tokenizer, dtype=dtype, **processors)
        return pipeline, ["HuggingFace is in Paris", "This is another test"]

    def run_pipeline_test(self, pipeline, examples):
        labels = set(pipeline.model.config.id2label.values())
        tokens = pipeline(examples[0], ignore_labels=[])
        self.assertEqual(len(tokens), len(pipeline.tokenizer(examples[0])["input_ids"]))
        self.assertLessEqual({token["entity"] for token in tokens}, labels)
        for strategy in ("simple", "first", "average", "max"):
            for entity in pipeline(examples[0], aggregation_strategy=strategy, ignore_labels=[]):
                self.assertEqual(examples[0][entity["start"] : entity["end"]].strip(), entity["word"].strip())
        self.assertEqual(len(pipeline(examples)), 2)


class FeatureExtractionPipelineTests(unittest.TestCase):
    def get_test_pipeline(self, model, tokenizer=None, dtype="float32", **processors):
        pipeline = FeatureExtractionPipeline(model=model, tokenizer=tokenizer, dtype=dtype, **processors)
        return pipeline, ["HuggingFace is in", "This is another test"]

    def run_pipeline_test(self, pipeline, examples):
        (rows,) = pipeline(examples[0])
        self.assertEqual(len(rows), len(pipeline.tokenizer(examples[0])["input_ids"]))
        self.assertEqual({len(row) for row in rows}, {pipeline.model.config.output_size})
        self.assertEqual(len(pipeline(examples)), 2)


class TextGenerationPipelineTests(unittest.TestCase):
    def get_test_pipeline(self, model, tokenizer=None, dtype="float32", **processors):
        pipeline = TextGenerationPipeline(model=model, tokenizer=tokenizer, dtype=dtype, max_new_tokens=5, **processors)
        return pipeline, ["HuggingFace is in", "This is another test"]

    def run_pipeline_test(self, pipeline, examples):
        (one,) = pipeline(examples[0])
        self.assertTrue(one["generated_text"].startswith(examples[0]))
        (rest,) = pipeline(examples[0], return_full_text=False)
        self.assertFalse(rest["generated_text"].startswith(examples[0]))
        two = pipeline(examples, num_return_sequences=2, do_sample=True)
        self.assertEqual([len(answers) for answers in two], [2, 2])
        together = pipeline(examples, batch_size=2, do_sample=False)
        alone = [pipeline(example, do_sample=False) for example in examples]
        self.assertEqual(together, alone)
