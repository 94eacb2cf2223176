"""Tests of the quantization of ONNX graphs: models of all kinds, and single operators."""

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from hf_rnn import (  # noqa: E402
    RNNConfig,
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNForTokenClassification,
)
from hf_rnn.interchange.graphs import write_graph  # noqa: E402
from hf_rnn.interchange.onnx_writers import export_writer  # noqa: E402
from hf_rnn.interchange.quantization import LARGEST_IN_PRODUCTS, quantize  # noqa: E402
from hf_rnn.training.ngrams import keys_of  # noqa: E402
from hf_rnn.utils.errors import ConfigError  # noqa: E402

V = 500
IDS = torch.arange(3 * 6).reshape(3, 6) * 23 % V
WHOLE = torch.ones_like(IDS)
MASKS = [WHOLE, WHOLE.tril(2), WHOLE.triu(1), torch.tensor([[1, 0, 1, 0, 1, 1]] * 3), torch.zeros_like(WHOLE)]


def exported(model, folder):
    file = folder / "model.onnx"
    if isinstance(model, RNNForCausalLM):
        export_writer(model.eval(), folder)
    else:
        write_graph(model.eval(), file)
    return file


def classifier(**settings):
    sizes = {"vocab_size": V, "embedding_size": 32, "hidden_size": 32, "num_labels": 3, "pooling": "concat"}
    model = RNNForSequenceClassification(RNNConfig(**{**sizes, **settings}))
    model.classifier.out_proj.weight.data.normal_()
    return model


def run(file, *inputs):
    """Return the outputs of a graph; parts of its state that `inputs` lacks are random, the same ones at each call."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    feeds = {each.name: np.asarray(value) for each, value in zip(session.get_inputs(), inputs, strict=False)}
    for each in session.get_inputs()[len(inputs) :]:
        assert each.name.startswith("past_")
        sizes = dict(zip(("batch", "source"), inputs[1].shape, strict=True))
        feeds[each.name] = normal(*(sizes.get(size, size) for size in each.shape)) * 0.3
    return session.run(None, feeds)


def error(source, target, *inputs):
    """Return the greatest error of an output: the root mean square of differences, relative to its spread."""
    both = zip(*(run(file, *inputs) for file in (source, target)), strict=True)
    return max(_error(expected, found) for expected, found in both)


def _error(expected, found):
    assert expected.shape == found.shape
    return np.sqrt(np.square(found - expected).mean()) / max(expected.std(), 1e-6)


def check_near(source, target, most=0.03):
    """Compare the outputs of two graphs for masks of all kinds."""
    # Rows without tokens have equal logits in a model, so that these have no spread.
    assert max(error(source, target, IDS, mask) for mask in MASKS[:-1]) < most
    assert np.abs(run(source, IDS, MASKS[-1])[0] - run(target, IDS, MASKS[-1])[0]).max() < 0.01


def operators(file):
    return [node.op_type for node in onnx.load(str(file)).graph.node]


def numbers(file, name):
    """Return the number of stored values whose names contain `name`."""
    return sum(np.prod(each.dims) for each in onnx.load(str(file)).graph.initializer if name in each.name)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("cell_type", "embeddings"),
    [("lstm", "int8"), ("gru", "int8"), ("rnn_tanh", "int8"), ("rnn_relu", "int8"), ("lstm", "pq")],
)
def test_each_cell_and_direction(cell_type, embeddings, bidirectional, tmp_path):
    settings = {"cell_type": cell_type, "bidirectional": bidirectional, "embedding_size": 64, "hidden_size": 112}
    source, target = exported(classifier(**settings), tmp_path), tmp_path / "q.onnx"
    facts = quantize(source, target, embeddings)
    check_near(source, target, 0.03 if embeddings == "int8" else 0.3)
    assert facts["bytes_before"] == source.stat().st_size
    assert facts["bytes_after"] == target.stat().st_size < 0.4 * source.stat().st_size
    # onnxruntime has no integer operators for the other cells.
    assert facts["operators"] == ({"DynamicQuantizeLSTM": 1} if cell_type == "lstm" else {})
    computed = {each["computed"] for each in facts["tensors"] if len(each["shape"]) == 3}
    assert computed == {"int8" if cell_type == "lstm" else "float32"}
    (table,) = [each for each in facts["tensors"] if each["read_by"] == ["Gather"]]
    assert table["shape"] == [V, 64]
    assert table["stored"].startswith("int8, 500 scales" if embeddings == "int8" else "product quantization, 32 codes")


@pytest.mark.parametrize(("hidden_size", "integers"), [(32, True), (112, False)])
def test_texts_do_not_depend_on_the_batch_without_integer_arithmetic(hidden_size, integers, tmp_path):
    model = classifier(num_hidden_layers=2, bidirectional=True, hidden_size=hidden_size)
    source, target = exported(model, tmp_path), tmp_path / "q.onnx"
    # A small LSTM takes no less time with integers.
    facts = quantize(source, target, integers=integers)
    assert facts["operators"] == {}
    assert {each["computed"] for each in facts["tensors"]} == {"float32"}
    assert target.stat().st_size < 0.4 * source.stat().st_size
    check_near(source, target)
    (together,), (alone,) = run(target, IDS, MASKS[1]), run(target, IDS[:1], MASKS[1][:1])
    assert np.abs(together[:1] - alone).max() < 1e-5


def test_inputs_outputs_and_metadata_stay(tmp_path):
    source, target = exported(classifier(hidden_size=128), tmp_path), tmp_path / "q.onnx"
    model = onnx.load(str(source))
    model.metadata_props.add(key="hf_rnn", value='{"format": 1}')
    onnx.save(model, str(source))
    quantize(source, target)
    found = onnx.load(str(target))
    assert found.graph.input == model.graph.input
    assert found.graph.output == model.graph.output
    assert found.metadata_props == model.metadata_props
    assert {each.domain: each.version for each in found.opset_import} == {"": 17, "com.microsoft": 1}


def test_the_wide_path(tmp_path):
    keys = np.unique(keys_of([np.array([first, second]) for first in range(0, V, 7) for second in range(60)], 2)[0])
    model = classifier(wide_ngrams=len(keys), wide_order=2)
    model.wide_path.keys.copy_(torch.from_numpy(keys))
    model.wide_path.weight.data.normal_()
    model.wide_path.scale.uniform_(0.5, 2)
    source, target = exported(model, tmp_path), tmp_path / "q.onnx"
    facts = {each["tensor"].rpartition(".")[2]: each for each in quantize(source, target)["tensors"]}
    assert facts["keys"]["stored"] == "int32"
    assert (facts["scale"]["stored"], facts["keys"]["computed"]) == ("int8, 1 scales", "int64")
    # With one label per column, each column has a scale.
    stored = {each.name: [*each.dims] for each in onnx.load(str(target)).graph.initializer}
    assert stored["model.wide_path.weight.scales"] == [1, 3]
    assert stored["model.wide_path.weight.codes"] == [len(keys), 3]
    check_near(source, target)


def language_model(V, **settings):
    config = RNNConfig(vocab_size=V, embedding_size=32, hidden_size=32, tie_word_embeddings=True, **settings)
    return RNNForCausalLM(config)


@pytest.mark.parametrize("embeddings", ["int8", "pq"])
@pytest.mark.parametrize("size", [V, 2100])
def test_a_tied_table_is_stored_once(size, embeddings, tmp_path):
    source, target = exported(language_model(size), tmp_path), tmp_path / "q.onnx"
    facts = quantize(source, target, embeddings)
    check_near(source, target, 0.05 if embeddings == "int8" else 0.3)
    # The output layer of the larger vocabulary is computed with integers, unless its table has to be decoded first.
    is_integer = size == 2100 and embeddings == "int8"
    assert facts["operators"].get("DynamicQuantizeMatMul", 0) == is_integer
    (table,) = [each for each in facts["tensors"] if "Gather" in each["read_by"]]
    assert table["shape"] == [size, 32]
    assert table["computed"] == ("int8" if is_integer else "float32")
    assert numbers(target, "embed_tokens.weight.codes") == size * (32 if embeddings == "int8" else 16)
    assert target.stat().st_size < size * 32 + 50_000


@pytest.mark.parametrize("embeddings", ["int8", "pq"])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_a_translator(cell_type, embeddings, tmp_path):
    settings = {"attention_type": "additive", "input_feeding": True, "coverage": 1.0, "bidirectional": True}
    sizes = {"vocab_size": 2100, "embedding_size": 32, "hidden_size": 112, "cell_type": cell_type}
    export_writer(RNNForConditionalGeneration(RNNConfig(**sizes, **settings)).eval(), tmp_path)
    encoder, decoder = (tmp_path / f"{name}_model.onnx" for name in ("encoder", "decoder"))
    most = 0.05 if embeddings == "int8" else 0.3
    found = {}
    for file in (encoder, decoder):
        target = file.with_name(f"q_{file.name}")
        found[file] = quantize(file, target, embeddings)
        assert target.stat().st_size < 0.45 * file.stat().st_size
        if file == encoder:
            assert max(error(file, target, IDS, mask) for mask in MASKS[:-1]) < most
            values, keys, *state = run(file, IDS, MASKS[1])
        else:
            # The remaining parts of the state are random.
            assert error(file, target, IDS[:, :1], MASKS[1], values, keys, *state) < most
    # The directions of the encoder are too small for integers.
    assert "DynamicQuantizeLSTM" not in found[encoder]["operators"]
    assert found[decoder]["operators"].get("DynamicQuantizeLSTM", 0) == (cell_type == "lstm")


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger(crf, tmp_path):
    settings = {"character_encoder": "lstm", "character_embedding_size": 25, "character_hidden_size": 25, "crf": crf}
    model = RNNForTokenClassification(
        RNNConfig(vocab_size=V, embedding_size=32, hidden_size=32, num_labels=5, **settings)
    )
    model.characters.learn_spelling([f"token {place}" for place in range(V)])
    source, target = exported(model, tmp_path), tmp_path / "q.onnx"
    quantize(source, target)
    check_near(source, target, 0.05)


def test_product_quantization_is_repeatable_and_small(tmp_path):
    source = exported(classifier(vocab_size=3000), tmp_path)
    files = {name: tmp_path / name for name in ("int8", "pq", "again")}
    for name, file in files.items():
        quantize(source, file, "pq" if name == "again" else name)
    assert files["pq"].read_bytes() == files["again"].read_bytes()
    assert files["pq"].stat().st_size < 0.85 * files["int8"].stat().st_size


def test_product_quantization_of_a_small_vocabulary_is_int8(tmp_path):
    ids = helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64)
    lookup = helper.make_node("Gather", ["table", "ids"], ["y"])
    source = graph(tmp_path, [ids, lookup], ["x"], {"table": normal(40, 32)})
    (table,) = quantize(source, tmp_path / "q.onnx", "pq")["tensors"]
    assert table["stored"] == "int8, 40 scales"


def test_unknown_embeddings(tmp_path):
    source = exported(classifier(), tmp_path)
    with pytest.raises(ConfigError, match="embeddings='int4' is not one of int8, pq"):
        quantize(source, tmp_path / "q.onnx", "int4")
    assert not (tmp_path / "q.onnx").exists()


def graph(folder, nodes, inputs, weights):
    """Write a graph whose output is `y`."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", values, [output], tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    file = folder / "model.onnx"
    onnx.save(model, str(file))
    return file


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_graph_with_nothing_to_quantize(tmp_path):
    bias = normal(2, 600)
    source = graph(tmp_path, [helper.make_node("Add", ["x", "bias"], ["y"])], ["x"], {"bias": bias})
    facts = quantize(source, tmp_path / "q.onnx")
    assert (facts["operators"], facts["tensors"]) == ({}, [])
    assert facts["kept"] == [
        {"why": "input 1 of Add, not a weight of a product, a recurrence or a table", "tensors": 1, "bytes": 4800}
    ]
    assert np.array_equal(run(tmp_path / "q.onnx", normal(2, 600, seed=1))[0], normal(2, 600, seed=1) + bias)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("size", [64, 256])
def test_gemm(size, transposed, has_bias, tmp_path):
    weights = {"w": normal(size, 300) if not transposed else normal(300, size), "b": normal(300)}
    inputs = ["x", "w", "b"][: 2 + has_bias]
    source = graph(tmp_path, [helper.make_node("Gemm", inputs, ["y"], transB=transposed)], ["x"], weights)
    facts = quantize(source, tmp_path / "q.onnx")
    # A small product takes no less time with integers.
    assert facts["operators"] == ({"DynamicQuantizeMatMul": 1} if size == 256 else {})
    assert facts["tensors"][0]["stored"] == "int8, 300 scales"
    assert error(source, tmp_path / "q.onnx", normal(7, size, seed=1)) < 0.03


def test_a_gemm_with_factors_computes_in_float(tmp_path):
    node = helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5)
    source = graph(tmp_path, [node], ["x"], {"w": normal(256, 300)})
    assert quantize(source, tmp_path / "q.onnx")["operators"] == {}
    assert error(source, tmp_path / "q.onnx", normal(7, 256, seed=1)) < 0.03


def test_large_weights_do_not_overflow_16_bits():
    # x86 CPUs without VNNI add two products of uint8 and int8 in 16 bits.
    assert 2 * 255 * LARGEST_IN_PRODUCTS < 2**15


def test_rows_of_a_table_have_their_own_precision(tmp_path):
    table = normal(100, 32) * np.logspace(-3, 3, 100, dtype=np.float32)[:, None]
    table[0] = 0
    ids = helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64)
    source = graph(tmp_path, [ids, helper.make_node("Gather", ["table", "ids"], ["y"])], ["x"], {"table": table})
    quantize(source, tmp_path / "q.onnx")
    (found,) = run(tmp_path / "q.onnx", np.arange(100, dtype=np.float32))
    assert not found[0].any()
    assert (np.abs(found - table).max(1) <= 0.006 * np.abs(table).max(1)).all()


@pytest.mark.parametrize("columns", [17, 32])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_lookups_by_product_quantization(shape, columns, tmp_path):
    # With few different rows, k-means finds them exactly.
    table = np.tile(normal(8, columns), (50, 1)).astype(np.float16).astype(np.float32)
    ids = np.random.default_rng(1).integers(0, 400, shape)
    nodes = [helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64)]
    nodes += [helper.make_node("Gather", ["table", "ids"], ["y"])]
    source = graph(tmp_path, nodes, ["x"], {"table": table})
    facts = quantize(source, tmp_path / "q.onnx", "pq")
    assert facts["tensors"][0]["stored"] == f"product quantization, {(columns + 1) // 2} codes of 8 centroids"
    (found,) = run(tmp_path / "q.onnx", ids.astype(np.float32))
    assert np.allclose(found, table[ids], atol=2e-3)


def lstm(folder, D, extra=(), inputs=("x",), **options):
    weights = {"w": normal(D, 384, 96) * 0.2, "r": normal(D, 384, 96) * 0.1, "b": normal(D, 768), "p": normal(D, 288)}
    weights |= {"lengths": np.array([5, 0, 3], np.int32)}
    weights = {name: values for name, values in weights.items() if name in ("w", "r", "b", *extra)}
    node = helper.make_node("LSTM", ["x", "w", "r", "b", *extra], ["y"], hidden_size=96, **options)
    return graph(folder, [node], inputs, weights)


def test_an_lstm_with_lengths_and_initial_states(tmp_path):
    source = lstm(tmp_path, 2, ["lengths", "h", "c"], ["x", "h", "c"], direction="bidirectional")
    assert quantize(source, tmp_path / "q.onnx")["operators"] == {"DynamicQuantizeLSTM": 1}
    arguments = normal(5, 3, 96), normal(2, 3, 96, seed=1), normal(2, 3, 96, seed=2)
    assert error(source, tmp_path / "q.onnx", *arguments) < 0.03
    (found,) = run(tmp_path / "q.onnx", *arguments)
    # Each row ends at its length.
    assert not found[:, :, 1].any()
    assert not found[3:, :, 2].any()


@pytest.mark.parametrize("options", [{"activations": ["Sigmoid", "Tanh", "Relu"]}, {"extra": ["", "", "", "p"]}])
def test_an_lstm_that_has_no_integer_operator(options, tmp_path):
    source = lstm(tmp_path, 1, **options)
    facts = quantize(source, tmp_path / "q.onnx")
    assert facts["operators"] == {}
    assert {each["stored"] for each in facts["tensors"]} == {"int8, 384 scales"}
    assert error(source, tmp_path / "q.onnx", normal(5, 3, 96)) < 0.03


def test_a_weight_in_the_body_of_a_loop(tmp_path):
    body = onnx.parser.parse_graph("""
        step (float[B, H] state, float[B, H] x) => (float[B, H] next, float[B, H] found) {
            product = MatMul (state, w)
            both = Add (product, x)
            next = Tanh (both)
            found = Identity (next)
        }
    """)
    start = helper.make_node("ReduceSum", ["x", "axis"], ["start"], keepdims=0)
    axis = helper.make_node("Constant", [], ["axis"], value_ints=[0])
    loop = helper.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1)
    source = graph(tmp_path, [axis, start, loop], ["x"], {"w": normal(300, 300) * 0.05})
    facts = quantize(source, tmp_path / "q.onnx")
    assert [each["read_by"] for each in facts["tensors"]] == [["MatMul"]]
    assert facts["operators"] == {}
    assert error(source, tmp_path / "q.onnx", normal(6, 2, 300)) < 0.03


def test_a_table_that_is_also_added_stays_in_float(tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Add", ["rows", "table"], ["y"]),
    ]
    source = graph(tmp_path, nodes, ["x"], {"table": normal(100, 32)})
    facts = quantize(source, tmp_path / "q.onnx")
    assert facts["tensors"] == []
    (expected,), (found,) = (run(file, np.arange(100, dtype=np.float32)) for file in (source, tmp_path / "q.onnx"))
    assert np.array_equal(expected, found)
