"""Looks into an ONNX file before onnxruntime does: no external data, no foreign operators.

The `onnx` package would do it in a line and is not a dependency of the runtime, so this walks the
protobuf wire format (https://protobuf.dev/programming-guides/encoding) along the few fields of
onnx.proto that matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from cxr_edge.errors import ModelRefusedError

_STANDARD_DOMAINS = {b"", b"ai.onnx"}
# Message -> {field number: message inside}; from onnx.proto.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DOMAIN_FIELD = {"node": 7, "opset": 1}
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION = 14
_MAX_DEPTH = 32
_ORT_MARK, _ORT_MARK_AT = b"ORTM", 4  # of its FlatBuffers file
_MAX_KEY = 2**32  # number and wire type of a field


def check_self_contained(content: bytes) -> None:
    """Refuse a model that reads other files or needs operators outside the standard domain.

    Raises:
        ModelRefusedError: it does, or the bytes are no protobuf message at all.
    """
    if content[_ORT_MARK_AT : _ORT_MARK_AT + len(_ORT_MARK)] == _ORT_MARK:
        raise ModelRefusedError("the file is a model in ORT format, not ONNX")
    try:
        _check("model", memoryview(content), 0)
    except (IndexError, ValueError) as error:
        raise ModelRefusedError("the file is not an ONNX model") from error


def _check(kind: str, message: memoryview, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ModelRefusedError("the model nests its graphs too deeply")
    for number, value in _fields(message):
        if kind == "tensor" and _is_external(number, value):
            raise ModelRefusedError("the model keeps weights in other files (external data)")
        if isinstance(value, int):
            continue
        if number == _DOMAIN_FIELD.get(kind) and bytes(value) not in _STANDARD_DOMAINS:
            domain = bytes(value).decode("utf-8", "replace")
            raise ModelRefusedError(f"the model needs operators of domain {domain!r}")
        child = _CHILDREN.get(kind, {}).get(number)
        if child is not None:
            _check(child, value, depth + 1)


def _is_external(number: int, value: memoryview | int) -> bool:
    return number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """(field number, varint or bytes) in file order; fixed-width values come as bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if not 8 <= key < _MAX_KEY:
            raise ValueError("no field number")
        wire_type = key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
        if position + length > len(message):
            raise ValueError("field runs over the end")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Value and the position behind it.

    Readers disagree about one that is longer than it need be: some cut it to 32 bits, and see
    another field.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise ValueError("varint longer than it need be")
            return value, position
    raise ValueError("varint too long")
