"""Protobuf messages made at run time from a short spelling, each file in a descriptor pool of its own.

Another library that brings the same messages along does not collide with them.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Spec = dict[str, dict[int, str]]
"""Message → field number → ``name type oneof?``; ``*`` repeats, a capital is another message of these."""


def made(package: str, spec: Spec) -> dict[str, Any]:
    """The classes by name; Any because protobuf makes their attributes at run time."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(package, spec))
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in spec
    }


def _file(package: str, spec: Spec) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in spec.items():
        message = file.message_type.add(name=name)
        for number, field in fields.items():
            _add_field(message, package, number, field.split())
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, package: str, number: int, spec: list[str]) -> None:
    proto = descriptor_pb2.FieldDescriptorProto
    name, kind, *oneof = spec
    field = message.field.add(name=name, number=number, label=proto.LABEL_OPTIONAL)
    if kind.startswith("*"):
        field.label = proto.LABEL_REPEATED
        kind = kind[1:]
    if kind[0].isupper():
        field.type, field.type_name = proto.TYPE_MESSAGE, f".{package}.{kind}"
    else:
        field.type = proto.Type.Value(f"TYPE_{kind.upper()}")
    for choice in oneof:
        if choice not in (known.name for known in message.oneof_decl):
            message.oneof_decl.add(name=choice)
        field.oneof_index = [known.name for known in message.oneof_decl].index(choice)
