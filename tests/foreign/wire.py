"""Frames of `watchtree.link.v1`, by a hand-made protobuf codec and the field table of docs/protocol.md, section 5.

Nothing here was made by protoc or shared with the Rust crates: what it reads and writes is what the document says.
"""

import re
import struct
from pathlib import Path

MAGIC = b"WT1"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


class Malformed(Exception):
    """Bytes that are no message."""


def read_schema(document=DOCUMENT):
    """({message: {field: (number, type, mark)}}, {enum: {number: value without prefix}}) from the document's table."""
    text = document.read_text(encoding="utf-8").split("## 5. Fields", 1)[1].split("## 6.", 1)[0]
    messages, enums = {}, {}
    for name, rest in re.findall(r"^- `(\w+)`: (.*)$", text, re.MULTILINE):
        fields = re.findall(r"(\d+) `(\w+)` (\w+)(\[\]|\?)?", rest)
        if fields or rest == "no fields":
            messages[name] = {field: (int(number), kind, mark) for number, field, kind, mark in fields}
        else:
            prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
            values = re.findall(r"(\d+) ([A-Z]\w+)", rest)
            enums[name] = {int(number): value.removeprefix(prefix) for number, value in values}
    return messages, enums


MESSAGES, ENUMS = read_schema()
# Section 2: which message is the body of which kind.
BODIES = {
    kind: message
    for kind, message in re.findall(r"^\| \d+ \| `(\w+)` \| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
}


def varint(value):
    """Seven bits per byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_of(enum, value):
    """The number of an enum's value; numbers stay what they are."""
    if isinstance(value, int):
        return value
    return next(number for number, word in ENUMS[enum].items() if word == value)


def encode(message, values):
    """The bytes of a message: fields in the order of their numbers, zero values left out."""
    out = bytearray()
    unknown = values.keys() - MESSAGES[message].keys()
    if unknown:
        raise KeyError(f"{message} has no {unknown}")
    for field, (number, kind, mark) in sorted(MESSAGES[message].items(), key=lambda item: item[1][0]):
        if field not in values:
            continue
        many = values[field] if mark == "[]" else [values[field]]
        for value in many:
            if kind in MESSAGES:
                data = encode(kind, value)
            elif kind in ("string", "bytes"):
                data = value.encode() if isinstance(value, str) else value
            elif kind == "fixed64":
                if value:
                    out += varint(number << 3 | 1) + struct.pack("<Q", value)
                continue
            else:
                value = number_of(kind, value) if kind in ENUMS else int(value)
                if value or mark:
                    out += varint(number << 3) + varint(value)
                continue
            if data or mark or kind in MESSAGES:
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return bytes(out)


def take_varint(data, at):
    """(value, next place)"""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a varint that does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def raw_fields(data):
    """[(number, value)]: value is an int, or bytes where a length stands before it."""
    at, out = 0, []
    while at < len(data):
        key, at = take_varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = take_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value = int.from_bytes(data[at : at + size], "little")
            at += size
        elif wire == 2:
            size, at = take_varint(data, at)
            value = data[at : at + size]
            at += size
        else:
            raise Malformed(f"wire type {wire}")
        if at > len(data):
            raise Malformed("a field longer than the message")
        out.append((key >> 3, value))
    return out


def decode(message, data):
    """The values of a message: zero where nothing was sent, enums as words, unknown fields skipped."""
    by_number = {number: (field, kind, mark) for field, (number, kind, mark) in MESSAGES[message].items()}
    out = {}
    for field, (_, kind, mark) in MESSAGES[message].items():
        if mark == "[]":
            out[field] = []
        elif not mark and kind not in MESSAGES:
            out[field] = {"string": "", "bytes": b"", "bool": False}.get(kind, ENUMS.get(kind, {}).get(0, 0))
    for number, value in raw_fields(data):
        if number not in by_number:
            continue
        field, kind, mark = by_number[number]
        if isinstance(value, int) != (kind not in MESSAGES and kind not in ("string", "bytes")):
            raise Malformed(f"{message}.{field} has another wire type")
        if kind in MESSAGES:
            value = decode(kind, value)
        elif kind == "string":
            value = value.decode()
        elif kind == "bool":
            value = bool(value)
        elif kind in ENUMS:
            value = ENUMS[kind].get(value, value)
        if mark == "[]":
            out[field].append(value)
        else:
            out[field] = value
    return out


def frame(kind, header, body):
    """The three parts."""
    return [MAGIC, encode("Header", {"kind": kind, **header}), encode(BODIES[kind], body)]


def read_frame(parts):
    """(kind, header, body); the body is None if its kind is not known."""
    if len(parts) != 3 or parts[0] != MAGIC:
        raise Malformed(f"{len(parts)} parts that start with {parts[0][:8] if parts else b''!r}")
    header = decode("Header", parts[1])
    kind = header.pop("kind")
    return kind, header, decode(BODIES[kind], parts[2]) if kind in BODIES else None


def fnv1a64_xor(subjects):
    """The digest of [(subject, incarnation, state word)]."""
    total = 0
    for parts in subjects:
        value = 0xCBF29CE484222325
        for byte in b"\0".join(part.encode() for part in parts):
            value = (value ^ byte) * 0x100000001B3 % 2**64
        total ^= value
    return total
