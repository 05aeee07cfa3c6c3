"""To a registry of containers, as an OCI artifact: a layer a file, titled with its path.

Spec: github.com/opencontainers/image-spec, manifest.md ("Guidelines for Artifact Usage"), and
distribution-spec. Credentials are those of `docker login` or `oras login`.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from finery.packaging.push.errors import PushError

KIND = "application/vnd.finery.package.v1"
LAYER = "application/octet-stream"
TITLE = "org.opencontainers.image.title"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
CHUNKED = 16 * 2**20
"""Larger files are sent in pieces of this size, and never held in memory whole."""


def push_to_registry(package: Path, name: str, public: bool) -> str:
    """Upload the blobs that the registry lacks, then the manifest; the artifact by its digest.

    Who may read it is the registry's affair. Raises `PushError`.
    """
    try:
        import oras.oci
        from oras.provider import Registry
    except ImportError:
        raise PushError(
            f"oci://{name}: needs the package oras; pip install 'finery[oci]' -c constraints.txt"
        ) from None
    import requests

    host = name.partition("/")[0]
    registry = Registry(hostname=host, insecure=host.rpartition(":")[0] in LOOPBACK)
    try:
        container = registry.get_container(name)
        registry.auth.load_configs(container)
        manifest = oras.oci.NewManifest() | {"artifactType": KIND}
        for file in sorted(file for file in package.rglob("*") if file.is_file()):
            layer = oras.oci.NewLayer(os.fspath(file), media_type=LAYER)
            layer["annotations"] = {TITLE: file.relative_to(package).as_posix()}
            manifest["layers"].append(layer)
            _upload(registry, file, container, layer, file.stat().st_size > CHUNKED)
        manifest["config"] = _empty_config(registry, container)
        answer = registry.upload_manifest(manifest, container)
        _insist(answer, "the manifest")
    except requests.RequestException as error:
        cause = type(error).__name__
        raise PushError(f"oci://{name}: {host} cannot be reached ({cause}); run again") from None
    except ValueError as error:  # oras's word for a refused or missing login
        reason = " ".join(str(error).split())[:200]
        raise PushError(f"oci://{name}: {reason}; `docker login {host}`, and run again") from None
    return f"oci://{name}@{answer.headers.get('Docker-Content-Digest', '')}".rstrip("@")


def _upload(registry: Any, file: Path, container: Any, layer: dict, chunked: bool) -> None:
    answer = registry.upload_blob(os.fspath(file), container, layer, do_chunked=chunked)
    _insist(answer, file.name)


def _empty_config(registry: Any, container: Any) -> dict[str, Any]:
    """The empty config that the spec gives to artifacts, uploaded."""
    import oras.oci

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"{}")
        file.flush()
        config = oras.oci.NewLayer(file.name, media_type="application/vnd.oci.empty.v1+json")
        config.pop("annotations", None)
        _upload(registry, Path(file.name), container, config, False)
    return config


def _insist(answer: Any, what: str) -> None:
    if answer.status_code not in (200, 201, 202):
        raise ValueError(f"the registry answers {what} with status {answer.status_code}")
