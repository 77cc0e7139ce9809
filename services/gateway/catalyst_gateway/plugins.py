"""The plugins of all daemons, gathered; a daemon that does not answer is left out of the list, not an error."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from catalyst.mesh.v1 import service_pb2, service_pb2_grpc
from google.protobuf import json_format


async def all_plugins(
    channels: Mapping[str, grpc.aio.Channel], metadata: Sequence[tuple[str, str]], *, strict: bool = False
) -> list[dict[str, Any]]:
    """Plugins by kind and name. Raises AioRpcError where the caller is not let in, or, if `strict`, for any failure."""
    answers = await asyncio.gather(*(_ask(channel, metadata, strict) for channel in channels.values()))
    found = [plugin for answer in answers for plugin in answer]
    return sorted(found, key=lambda plugin: (plugin["name"], plugin["daemon"]))


async def _ask(channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]], strict: bool) -> list[dict[str, Any]]:
    stub = service_pb2_grpc.PluginServiceStub(channel)
    try:
        answer = await stub.ListPlugins(service_pb2.ListPluginsRequest(page_size=1000), metadata=metadata, timeout=5)
    except grpc.aio.AioRpcError as error:
        if strict or error.code() is grpc.StatusCode.UNAUTHENTICATED:
            raise
        return []
    as_json = json_format.MessageToDict
    return [as_json(plugin, always_print_fields_with_no_presence=True) for plugin in answer.plugins]
