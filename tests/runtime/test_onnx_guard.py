"""What the guard sees in the bytes of an ONNX file, wherever it hides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.runtime import Device
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.runtime.onnx_guard import check_self_contained
from tests.factories import bundled_choices, file_name
from tests.runtime.broken import GraphChange, in_a_branch
from tests.tiny import tiny_content

onnx = pytest.importorskip("onnx")
make_node = onnx.helper.make_node


def tensor(*, external: bool, name: str = "t") -> Any:
    """Four floats, here or in another file."""
    made = onnx.numpy_helper.from_array(np.zeros(4, np.float32), name)
    if external:
        onnx.external_data_helper.set_external_data(made, "weights.bin")
        made.ClearField("raw_data")
    return made


def sparse(*, external: bool) -> Any:
    indices = onnx.numpy_helper.from_array(np.arange(4), "i")
    return onnx.helper.make_sparse_tensor(tensor(external=external), indices, [4])


def graph_of(*nodes: Any, initializers: Any = ()) -> Any:
    return onnx.helper.make_graph(list(nodes), "inner", [], [], list(initializers))


def with_node(made: Any) -> GraphChange:
    return lambda model: model.graph.node.append(made)


def with_function(**parts: Any) -> GraphChange:
    """A model-local function of the standard domain with these parts."""

    def change(model: Any) -> None:
        function = model.functions.add()
        function.name = "local"
        for name, values in parts.items():
            getattr(function, name).extend(values)

    return change


def with_training(part: str, inner: Any) -> GraphChange:
    return lambda model: getattr(model.training_info.add(), part).CopyFrom(inner)


def entries_alone(model: Any) -> None:
    """Without the flag: some readers go by one, some by the other."""
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def with_sparse(model: Any) -> None:
    model.graph.sparse_initializer.append(sparse(external=True))


EXTERNAL: dict[str, GraphChange] = {
    "initializer": lambda model: model.graph.initializer.append(tensor(external=True)),
    "entries alone": entries_alone,
    "sparse initializer": with_sparse,
    "attribute": with_node(make_node("Constant", [], ["c"], value=tensor(external=True))),
    "attribute, sparse": with_node(
        make_node("Constant", [], ["c"], sparse_value=sparse(external=True))
    ),
    "attribute, one of several": with_node(
        make_node("Any", [], ["c"], all=[tensor(external=False), tensor(external=True)])
    ),
    "branch": in_a_branch(initializers=[tensor(external=True)]),
    "function": with_function(node=[make_node("Constant", [], ["c"], value=tensor(external=True))]),
    "default attribute of a function": with_function(
        attribute_proto=[onnx.helper.make_attribute("value", tensor(external=True))]
    ),
    "training graph": with_training("algorithm", graph_of(initializers=[tensor(external=True)])),
    "training start": with_training(
        "initialization", graph_of(initializers=[tensor(external=True)])
    ),
}

FOREIGN: dict[str, GraphChange] = {
    "opset": lambda model: model.opset_import.append(onnx.helper.make_opsetid("com.evil", 1)),
    "node": with_node(make_node("Steal", [], ["c"], domain="com.evil")),
    "node in a branch": in_a_branch(make_node("Steal", [], ["c"], domain="com.evil")),
    "node in a function": with_function(node=[make_node("Steal", [], ["c"], domain="com.evil")]),
    "opset of a function": with_function(opset_import=[onnx.helper.make_opsetid("com.evil", 1)]),
    "node in a training graph": with_training(
        "algorithm", graph_of(make_node("Steal", [], ["c"], domain="com.evil"))
    ),
}

HARMLESS: dict[str, GraphChange] = {
    "as it is": lambda model: None,
    "standard domain by name": lambda model: model.opset_import.append(
        onnx.helper.make_opsetid("ai.onnx", 17)
    ),
    "constant": with_node(make_node("Constant", [], ["c"], value=tensor(external=False))),
    "data location said to be here": lambda model: setattr(
        model.graph.initializer[0], "data_location", onnx.TensorProto.DEFAULT
    ),
    "text that looks like it": lambda model: setattr(model, "doc_string", "com.evil location"),
}


@pytest.mark.parametrize("change", EXTERNAL.values(), ids=EXTERNAL)
def test_external_data_is_refused(change: GraphChange) -> None:
    with pytest.raises(ModelRefusedError, match="external data"):
        check_self_contained(tiny_content(change))


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_foreign_operators_are_refused(change: GraphChange) -> None:
    with pytest.raises(ModelRefusedError, match="operators of domain '"):
        check_self_contained(tiny_content(change))


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_harmless(change: GraphChange) -> None:
    check_self_contained(tiny_content(change))


@pytest.mark.parametrize(
    "choice", [item for item in bundled_choices() if item.format == "onnx"], ids=file_name
)
def test_bundled_models_pass(choice: Any) -> None:
    check_self_contained(choice.path.read_bytes())


def field(number: int, body: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, size = b"", len(body)
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes, so many times."""
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


NO_MODEL = {
    "varint that does not end": b"\x80" * 20,
    "varint cut off": b"\x3a\x80",
    "field longer than the file": b"\x3a\x7f\x00",
    "length of 2^63": b"\x3a" + b"\xff" * 9 + b"\x01",
    "group": b"\x3b\x3c",
    "wire type 6": b"\x3e",
    "fixed 64 cut off": b"\x39\x00\x00",
}


@pytest.mark.parametrize("content", NO_MODEL.values(), ids=NO_MODEL)
def test_what_is_no_protobuf(content: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="not an ONNX model"):
        check_self_contained(content)


@pytest.mark.parametrize("depth", [100, 5000])
def test_deep_nesting_is_refused_and_not_followed(depth: int) -> None:
    with pytest.raises(ModelRefusedError, match="too deeply"):
        check_self_contained(nested(depth))


def test_usual_nesting_is_fine() -> None:
    check_self_contained(nested(5))


def refused(content: bytes) -> bool:
    """By the guard or by onnxruntime; any other exception is the test's failure."""
    try:
        OnnxRunner(content, Device("cpu"))
    except ModelRefusedError:
        return True
    return False


def test_no_prefix_of_a_model_runs() -> None:
    content = tiny_content()
    # The spec in the metadata comes last and does not matter to onnxruntime.
    graph_end = content.index(b"cxr_edge_spec")
    assert all(refused(content[:length]) for length in range(0, graph_end - 20, 7))
    assert not refused(content)


def overlong(value: int, size: int) -> bytes:
    """A varint of more bytes than it need have."""
    return bytes(value >> 7 * place & 0x7F | 0x80 for place in range(size - 1)) + b"\0"


MODEL_GRAPH = 7 << 3 | 2
TAGS = {
    "one byte too many": overlong(MODEL_GRAPH, 2),
    "beyond 32 bits": bytes((MODEL_GRAPH & 0x7F | 0x80, 0x80, 0x80, 0x80, 0x10)),
    "field number 0": b"\2",
}


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
def test_a_tag_that_readers_understand_differently_is_refused(tag: bytes) -> None:
    """Some cut it to 32 bits, and find a graph where others see an unknown field."""
    content = tiny_content()
    for made in (tag + overlong(0, 1) + content, content + tag + b"\0"):
        with pytest.raises(ModelRefusedError, match="not an ONNX model"):
            check_self_contained(made)


def test_a_length_longer_than_it_need_be_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="not an ONNX model"):
        check_self_contained(tiny_content() + bytes((MODEL_GRAPH,)) + overlong(0, 3))


def test_an_orts_model_is_refused_even_if_it_is_a_message_too() -> None:
    """The mark of its format stands in a field that the message may have."""
    polyglot = b"\x08\x08\x32\x06ORTMab" + tiny_content()
    with pytest.raises(ModelRefusedError, match="ORT format"):
        check_self_contained(polyglot)


def test_onnxruntime_is_told_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes the guard is read as the guard has read it."""
    monkeypatch.setattr("cxr_edge.runtime.onnx.check_self_contained", lambda content: None)
    polyglot = b"\x08\x08\x32\x06ORTMab" + tiny_content()
    with pytest.raises(ModelRefusedError) as caught:
        OnnxRunner(b"\0\0\0\0ORTM" + bytes(100), Device("cpu"))
    assert "flatbuffer" not in str(caught.value).lower()
    assert OnnxRunner(polyglot, Device("cpu")).device == "cpu"
